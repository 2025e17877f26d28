"""A table's status as a process sees it that only reads, with fixed or faked readings."""

from __future__ import annotations

from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.aws.ledger import AwsLedger
from bootstrap.core.errors import Side
from bootstrap.core.journal_rows import Row
from bootstrap.core.stack_outputs import Outputs
from bootstrap.journal.verification_records import Verified
from bootstrap.status.health_checks import HealthReader
from bootstrap.status.key_health import read_keys
from bootstrap.status.snapshot import StatusSnapshot
from bootstrap.status.status import StatusContext, read_status
from replicator.stream import Destination, StreamFacts
from replicator.watchdog.aws_states import TableState
from replicator.watchdog.lambda_states import FunctionState, MappingState
from replicator.watchdog.probe_rounds import WatchdogState
from replicator.watchdog.readings import (
    Identity,
    Intent,
    Probed,
    Readings,
    SourceWrites,
    Undelivered,
)
from tests.support.bootstrap.fake_accounts import (
    FakeBulkLoads,
    FakeSource,
    FakeTarget,
    fake_policies,
)
from tests.support.bootstrap.fake_aws import (
    COMMAND,
    LEDGER,
    STREAM_ARN,
    TARGET_ARN,
    FakeAws,
    outputs,
)
from tests.support.bootstrap.killed_process import Process, journal_verified

NOW = 2_000_000_000.0


def look(
    world: FakeAws, health: Any = None, usage: Any = None, chosen: Outputs | None = None
) -> StatusSnapshot:
    watcher = Process(world, pid=99)
    stack = chosen or outputs()
    (table,) = stack.tables
    source, target = FakeSource(world, lambda: None), FakeTarget(world, lambda: None)
    return read_status(
        StatusContext(
            table=table,
            store=watcher.store,
            source=source,
            target=target,
            ledger=AwsLedger(Calls(Side.TARGET, "Role importer"), world.dynamodb, LEDGER),
            machine=watcher.machine,
            command=COMMAND,
            health=health,
            usage=usage,
            policies=lambda side: fake_policies(world, side, lambda: None),
            loads=FakeBulkLoads(world, lambda: None) if table.load.is_bulk else None,
            target_arn=TARGET_ARN,
            keys=read_keys(source, target, stack, table),
        )
    )


def identity(now: str, first: str) -> Identity:
    """Return an active table's ids, now and at first."""
    return Identity(TableState(now, "ACTIVE"), first)


def healthy(at: float = NOW, **changes: Any) -> Readings:
    values: dict[str, Any] = {
        "at": at,
        "intent": Intent(replicating=True),
        "mapping": MappingState("Enabled"),
        "destinations": [Destination(STREAM_ARN, "ACTIVE", "MICROSECOND")],
        "stream": StreamFacts("ACTIVE", 8760, 10_240, "USER_PARTITION_KEY", at - 9_000),
        "source": identity("source-1", "source-1"),
        "target": identity("target-1", "target-1"),
        "quarantine": 0,
        "failures": 0,
        "skipped": 0,
        "unreplicated": 0.0,
        "probed": Probed(at - 60, None, 2.5),
        "foreign": (),
        "function": FunctionState("Active", "Successful"),
        "undelivered": Undelivered(),
    }
    return Readings(**{**values, **changes})


class FixedHealth:
    """Healthy readings, but for `changes`."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes

    def readings(self, row: Row, at: float) -> Readings:
        return healthy(at, **self.changes)


class _Answers:
    """One account, with an answer for every reading; an answer that is an exception is raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def __getattr__(self, name: str) -> Any:
        def read(*given: Any) -> Any:
            answer = self.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return read


def health_reader(
    source: dict[str, Any] | None = None,
    target: dict[str, Any] | None = None,
    book: WatchdogState | None = None,
    ledger: dict[str, Any] | None = None,
) -> HealthReader:
    """Make a reader of accounts that give healthy answers, but for those named."""
    good = healthy()
    ok_source = {
        "table": TableState("source-1", "ACTIVE"),
        "destinations": good.destinations,
        "stream": good.stream,
        "skipped": 0,
        "unreplicated": 0.0,
    }
    ok_target = {
        "table": TableState("target-1", "ACTIVE"),
        "mapping": good.mapping,
        "undelivered": Undelivered(),
    }
    book = book or WatchdogState(through=NOW - 60, lag=2.5)
    if book.function is None:
        seen_at = max(NOW, book.through or 0.0)
        book = book.saw_function(FunctionState("Active", "Successful"), seen_at)
    ok_ledger = {
        "intent": good.intent,
        "watchdog_state": book,
        "foreign": (),
        "came_through": None,
    }
    in_source: Any = _Answers(**{**ok_source, **(source or {})})
    in_target: Any = _Answers(**{**ok_target, **(target or {})})
    rows: Any = _Answers(**{**ok_ledger, **(ledger or {})})
    writes: Any = _Answers(read=SourceWrites(0.0, NOW, True))
    return HealthReader(in_source, in_target, rows, lambda: 0, lambda: 0, writes)


def verify_as_of(world: FakeAws, at: float) -> None:
    """Record a full verification: no change made before `at` is missing."""
    counts = dict.fromkeys(("changed_since", "missing", "extra", "different", "foreign"), 0)
    counts |= dict.fromkeys(("source_items", "target_items", "equal"), 3)
    found = Verified("r", at + 120, at + 120, at + 120, 1.0, **counts, complete_until=at)
    journal_verified(world, found)
