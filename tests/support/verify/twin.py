"""Both tables as exports see them, on the bootstrap's world, and a process that verifies them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.aws.journal_table import AwsJournal
from bootstrap.aws.ledger import AwsLedger
from bootstrap.aws.own_writes import AwsOwnWrites
from bootstrap.core.durations import Timing
from bootstrap.core.errors import Side
from bootstrap.core.facts import Backups, ExportFacts, ExportSpec, ItemRead, TableFacts
from bootstrap.core.formatting import plain_json
from bootstrap.core.ledger_settings import LedgerSettings
from bootstrap.core.poller import Poller
from bootstrap.journal.journal import Journal
from bootstrap.journal.lease import Holder, Lease, Machine
from bootstrap.journal.verification_records import row_name
from bootstrap.run.step_context import StepContext
from bootstrap.verify.backfill import Backfill
from bootstrap.verify.backfill import BackfillContext as FillingDesk
from bootstrap.verify.backfill import row_name as backfill_row
from bootstrap.verify.context import VerifyContext, VerifyOptions
from bootstrap.verify.repair import Repairer
from bootstrap.verify.verify import Verification, VerifyResult
from infra.local.emulator.export_files import (
    Line,
    S3Object,
    data_files,
    full_lines,
    manifests,
    partitioned,
)
from replicator.change import Change
from replicator.consumer.ledger import LedgerWriter
from replicator.runtime import Runtime
from tests.support.bootstrap.fake_accounts import FakeScanner, FakeSnapshots, FakeSource, FakeTarget
from tests.support.bootstrap.fake_aws import (
    JOURNAL,
    LEDGER,
    SOURCE_ARN,
    TOKEN_SECONDS,
    FakeAws,
    outputs,
)
from tests.support.bootstrap.killed_process import replicated
from tests.support.fakes.errors import Killed
from tests.support.verify.exports import BUCKET, Directory

TARGET_ARN = "arn:aws:dynamodb:eu-west-1:222222222222:table/orders-replica"
REPLICA = "orders-replica"
Item = dict[str, Any]


class Table:
    """`taking.Exports` of one table; an export is written when it is started."""

    def __init__(self, world: FakeAws, side: Side, objects: Directory) -> None:
        self.world, self._side, self.objects = world, side, objects
        self.name = "orders" if side is Side.SOURCE else "orders-replica"
        self.arn = SOURCE_ARN if side is Side.SOURCE else TARGET_ARN
        self.items: dict[str, Item] = {}
        self.recovery = True
        self.seconds = 25.0
        self.exports: dict[str, tuple[ExportSpec, float]] = {}
        self.switches: list[bool] = []
        self.fails = 0
        self.bucket = BUCKET
        """The bucket that exports are described in."""
        self.reads: list[int] = []
        self.written: list[tuple[float, str, Item | None]] = []
        """The last write of keys: when, which key, and the item; for incremental exports."""

    @property
    def side(self) -> Side:
        return self._side

    @contextlib.contextmanager
    def _call(self, name: str) -> Iterator[None]:
        with self.world.around(f"{self._side.name.lower()}_{name}"):
            yield

    def table(self) -> TableFacts | None:
        with self._call("table"):
            keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
            return TableFacts(self.arn, "id", "ACTIVE", 3, 3 * 10**9, True, keys=keys)

    def read(self, key: Mapping[str, Any]) -> ItemRead:
        """`reading.Items`: as AWS tells the time, in whole seconds."""
        with self._call("read"):
            self.reads.append(int(self.world.clock()) * 1_000_000)
            return ItemRead(self.items.get(key["pk"]["S"]), self.reads[-1])

    def backups(self) -> Backups:
        with self._call("backups"):
            if not self.recovery:
                return Backups(False)
            return Backups(True, 0, self.world.clock() - self.world.restorable_lag)

    def switch_backups(self, on: bool) -> None:
        with self._call("switch_backups"):
            self.recovery = on
            self.switches.append(on)

    def start(self, table_arn: str, wanted: ExportSpec) -> ExportFacts | None:
        with self._call("start"):
            for arn, (known, began) in self.exports.items():
                if known.token == wanted.token and self.world.clock() - began < TOKEN_SECONDS:
                    assert known == wanted
                    return self._facts(arn)
            assert self.recovery
            assert wanted.time <= self.world.clock() - self.world.restorable_lag
            arn = f"{table_arn}/export/{len(self.exports) + 1:04d}"
            self.exports[arn] = (wanted, self.world.clock())
            self._write(arn, wanted)
            return self._facts(arn)

    def describe(self, arn: str) -> ExportFacts | None:
        with self._call("describe"):
            return self._facts(arn) if arn in self.exports else None

    def find(
        self, table_arn: str, prefix: str, begun: tuple[float, float] | None = None
    ) -> ExportFacts | None:
        with self._call("find"):
            for arn, (wanted, _) in self.exports.items():
                if wanted.prefix == prefix:
                    return self._facts(arn)
            return None

    def _facts(self, arn: str) -> ExportFacts:
        wanted, began = self.exports[arn]
        failed = list(self.exports).index(arn) < self.fails
        done = self.world.clock() >= began + self.seconds
        status = ("FAILED" if failed else "COMPLETED") if done else "IN_PROGRESS"
        return ExportFacts(
            arn,
            status,
            wanted.prefix,
            float(wanted.time),
            len(self.items),
            1000,
            began,
            bucket=self.bucket,
        )

    def _full(self, wanted: ExportSpec) -> list[Line]:
        return full_lines(self.items.values())

    def _lines(self, wanted: ExportSpec) -> list[Line]:
        """What `written` holds of an incremental export's window."""
        assert wanted.window is not None
        begin, end = wanted.window
        return [
            {
                "Metadata": {"WriteTimestampMicros": str(round(at * 1e6))},
                "Keys": {"pk": {"S": name}},
                **({} if new is None else {"NewImage": new}),
            }
            for at, name, new in self.written
            if begin <= at < end
        ]

    def _write(self, arn: str, wanted: ExportSpec) -> None:
        root = f"{wanted.prefix}/AWSDynamoDB/{arn.rsplit('/', 1)[1]}/"
        lines = self._full(wanted) if wanted.window is None else self._lines(wanted)
        parts = partitioned(lines, "pk")
        made, entries = data_files(parts, root)
        about = {
            "ExportArn": arn,
            "TableArn": self.arn,
            "TableId": "id",
            "StartTime": self.world.clock(),
            "EndTime": self.world.clock(),
            "ExportTime": wanted.time,
            "ExportType": "INCREMENTAL_EXPORT" if wanted.window else "FULL_EXPORT",
            "IncrementalExportSpecification": {
                "ExportFromTime": (wanted.window or (0, 0))[0],
                "ExportToTime": (wanted.window or (0, 0))[1],
                "ExportViewType": "NEW_AND_OLD_IMAGES",
            },
            "S3Bucket": BUCKET,
            "S3Prefix": wanted.prefix,
        }
        for each in (*manifests(root, about, entries, 1), *made):
            self.objects.put(S3Object(each.key, each.body))


class Applying:
    """The fake DynamoDB as the operator's guard calls it, with what `done` does after a write."""

    def __init__(self, world: FakeAws, done: Callable[[dict[str, Any]], None]) -> None:
        self._world, self._done = world, done

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        self._world.before("apply")
        try:
            with self._world.unwatched():
                answer: dict[str, Any] = self._world.dynamodb.transact_write_items(**request)
            self._done(request)
        finally:
            self._world.after("apply")
        return answer

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._world.dynamodb.batch_get_item(**request)
        return answer


@dataclass
class Twin:
    """A replicating table in a world whose waits are short."""

    directory: Path
    world: FakeAws = field(default_factory=FakeAws)

    def __post_init__(self) -> None:
        world = self.world
        world.restorable_lag, world.export_seconds, world.import_seconds = 60, 25, 25
        world.dynamodb.check_shapes = False
        replicated(world)
        with world.unwatched():
            world.dynamodb.create_table(
                TableName=REPLICA,
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        self.said: list[str] = []
        self.noted: list[str] = []
        self.random = Random(1)
        self._fill()

    def _fill(self) -> None:
        """The tables and what is in them."""
        self.objects = Directory(self.directory / "s3")
        self.source = Table(self.world, Side.SOURCE, self.objects)
        self.target = Table(self.world, Side.TARGET, self.objects)
        for n in range(20):
            self.source.items[f"k{n}"] = self.target.items[f"k{n}"] = item(f"k{n}")

    def options(self, **more: Any) -> VerifyOptions:
        defaults = {"spool": self.directory / "spool", "report": self.directory / "report.jsonl"}
        return VerifyOptions(**{**defaults, "workers": 1, **more})

    def context(self, pid: int = 200) -> VerifyContext:
        world = self.world
        world.alive = {pid}
        machine = Machine(
            Holder("laptop", "laptop", pid, "born"), lambda other: other.pid in world.alive
        )
        store = AwsJournal(Calls(Side.TARGET, "Role importer"), world.dynamodb, JOURNAL)
        stack = outputs()
        (table,) = stack.tables
        name = row_name(table.source_table)
        lease = Lease(store, name, world.clock, machine)
        journal = Journal(store, name, lease)
        guarded = Calls(Side.TARGET, "Role importer", lease.check)
        ledger = AwsLedger(guarded, world.dynamodb, LEDGER)
        return VerifyContext(
            outputs=stack,
            table=table,
            source=self.source,
            target=self.target,
            source_items=self.source,
            target_items=self.target,
            ledger=ledger,
            store=store,
            journal=journal,
            lease=lease,
            opener=self.objects,
            step_context=lambda: StepContext(
                outputs=stack,
                table=table,
                source=FakeSource(world, lease.check),
                target=FakeTarget(world, lease.check),
                target_items=FakeScanner(world, lease.check),
                ledger=ledger,
                own_writes=AwsOwnWrites(guarded, world.dynamodb, JOURNAL),
                snapshots=FakeSnapshots(world, lease.check),
                verified=lambda: None,
                journal=journal,
                timing=Timing(),
                clock=world.clock,
            ),
            repairer=self.repairer,
            timing=Timing(),
            clock=world.clock,
            say=self.said.append,
        )

    def repairer(self) -> Repairer:
        """The consumer's guard on the ledger of this world and a target of its own."""
        runtime = Runtime(clock=self.world.clock, random=self.random)
        guard = LedgerWriter(
            Applying(self.world, self._written),
            target_table=REPLICA,
            ledger_table=LEDGER,
            runtime=runtime,
        )
        return Repairer(guard, runtime, lambda: LedgerSettings(expire=True))

    def _written(self, request: dict[str, Any]) -> None:
        """Puts the replica's items where exports see them."""
        items = self.target.items
        for each in request["TransactItems"]:
            ((what, action),) = each.items()
            if action["TableName"] == REPLICA and what == "Delete":
                items.pop(action["Key"]["pk"]["S"], None)
            elif action["TableName"] == REPLICA:
                items[action["Item"]["pk"]["S"]] = plain_json(action["Item"])

    def verify(self, pid: int = 200, **options: Any) -> VerifyResult:
        return Verification(self.context(pid), self.options(**options)).run()

    def filling(self, pid: int = 300) -> Backfill:
        """A backfill; its notes are kept in `noted`."""
        context = self.context(pid)
        name = backfill_row(context.table.source_table)
        lease = Lease(context.store, name, self.world.clock, context.lease._machine)
        guarded = Calls(Side.TARGET, "Role importer", lease.check)
        return Backfill(
            FillingDesk(
                outputs=context.outputs,
                table=context.table,
                source=self.source,
                ledger=AwsLedger(guarded, self.world.dynamodb, LEDGER),
                journal=Journal(context.store, name, lease),
                lease=lease,
                opener=self.objects,
                repairer=lambda: self.repairer(),
                notes=lambda: self,
                timing=Timing(),
                poller=Poller(self.world.clock, Timing(), lease.check, self.said.append, lease.now),
                say=self.said.append,
            )
        )

    def ambiguous(self, change: Change, place: str, line: int) -> bool:
        self.noted.append(change.keys["pk"]["S"])
        return True

    def kill_at(self, number: int, after_the_work: bool) -> None:
        """From that call on, nothing of the process gets through: it is gone."""
        gone = False

        def watch(call: int, name: str, after: bool) -> None:
            nonlocal gone
            gone = gone or (call, after) == (number, after_the_work)
            if gone:
                raise Killed(f"at {name}, call {call}")

        self.world.on_call = watch

    def live_again(self) -> None:
        self.world.on_call = lambda number, name, after: None


def item(name: str, **more: Any) -> Item:
    return {"pk": {"S": name}, "v": {"N": "1"}, **more}
