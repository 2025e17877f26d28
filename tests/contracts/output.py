"""Contracts of the JSON that commands print."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from bootstrap.app import process as processes
from bootstrap.app.command_options import Selection
from bootstrap.app.show_plan import show_parity, show_plans
from bootstrap.app.show_status import show_status
from bootstrap.app.stack_check import StackCheck
from bootstrap.aws.calls import Calls
from bootstrap.aws.ledger import AwsLedger
from bootstrap.cli import explain as explain_commands
from bootstrap.cli import quarantine as quarantine_commands
from bootstrap.core import durations, errors
from bootstrap.core.facts import Lag, ScaledCapacity, TtlStatus, Usage
from bootstrap.core.stack_state import PendingOperation, StackState
from bootstrap.core.unknown_resources import UnknownResource, places
from bootstrap.cutover.context import SwitchOptions
from bootstrap.cutover.plan import json_members as switch_plan
from bootstrap.cutover.plan.dry_run import plan_switch
from bootstrap.journal.switch_records import SwitchMode
from bootstrap.plan.price_list import PriceList
from bootstrap.plan.replication import of_outputs
from bootstrap.status.render import screen
from bootstrap.status.snapshot import StatusSnapshot
from bootstrap.status.status import StatusContext, read_status
from replicator.consumer.outcome import Reason
from replicator.stream import Destination, StreamFacts
from replicator.watchdog.lambda_states import FunctionState, MappingState
from replicator.watchdog.readings import Intent, Probed, Readings, Undelivered, Unread
from tests.contracts.shape import shape
from tests.contracts.worlds import printed, run, verified, worlds
from tests.support.bootstrap.fake_accounts import FakeSource, FakeTarget
from tests.support.bootstrap.fake_aws import (
    COMMAND,
    LEDGER,
    SOURCE_ARN,
    STREAM_ARN,
    FakeAws,
    outputs,
)
from tests.support.bootstrap.killed_process import Process, replicated
from tests.support.bootstrap.quarantine_harness import QuarantineHarness as QuarantineWorld
from tests.support.bootstrap.status import identity
from tests.support.bootstrap.switch_conditions import looking
from tests.support.bootstrap.switch_world import ready_to_switch
from tests.support.replicator.consumer_harness import TARGET, document, item, probe

IMAGES = ("key", "source", "target")
"""Members of a report's line that are an operator's data."""


class _Looks:
    """Healthy readings, but for `changes`."""

    def __init__(self, **changes: Any) -> None:
        self._changes = changes

    def readings(self, row: Any, at: float) -> Readings:
        healthy: dict[str, Any] = {
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
        return Readings(at=at, **{**healthy, **self._changes})


class _Accounts:
    """Both accounts of a world, for what only looks at them."""

    def __init__(self, world: FakeAws, **changes: Any) -> None:
        self.world, self.changes = world, changes

    def refuse_other_accounts(self) -> None:
        pass

    def source(self) -> FakeSource:
        return FakeSource(self.world, lambda: None)

    def target(self, table: Any) -> FakeTarget:
        return FakeTarget(self.world, lambda: None)

    def ledger(self, table: Any) -> AwsLedger:
        calls = Calls(errors.Side.TARGET, "Role importer")
        return AwsLedger(calls, self.world.dynamodb, LEDGER)

    def journal(self) -> Any:
        return Process(self.world, pid=99).store

    def status_context(self, table: Any, command: str) -> StatusContext:
        health: Any = _Looks(**self.changes)
        return StatusContext(
            table=table,
            store=self.journal(),
            source=self.source(),
            target=self.target(table),
            ledger=self.ledger(table),
            machine=Process(self.world, pid=99).machine,
            command=command,
            health=health,
            usage=lambda now: Usage(Lag(now - 300, 300, 0.1, 0.5), 1e9),
        )


def _selection(*tables: Any) -> Selection:
    return Selection(outputs(), tables, {table.source_table: COMMAND for table in tables})


def _process(world: FakeAws) -> tuple[processes.Process, io.StringIO]:
    out = io.StringIO()
    machine = Process(world, pid=99).machine
    return processes.Process(world.clock, machine, durations.Timing(), out, out), out


def status_json() -> list[str]:
    (table,) = outputs().tables
    documents = []
    for world in worlds().values():
        for changes in ({}, {"skipped": 3, "quarantine": Unread("AccessDenied")}):
            process, out = _process(world)
            accounts: Any = _Accounts(world, **changes)
            found = stack_check() if changes else None
            show_status(_selection(table), accounts, process, found=found, as_json_text=True)
            documents.append(json.loads(out.getvalue()))
    process, out = _process(world)
    show_status(_selection(table, table), accounts, process, as_json_text=True)
    several = json.loads(out.getvalue())
    return [*shape(*documents), *(f"of several tables: {name}" for name in several)]


def stack_check() -> StackCheck:
    """What is left of an `up` that was killed."""
    place, _ = places(outputs())
    state = StackState([PendingOperation("creating", "aws:kinesis/stream:Stream", "stream")])
    unknown = [UnknownResource(STREAM_ARN, place)]
    return StackCheck("local", state, unknown, ["killed"], ["not looked for"])


def run_json() -> list[str]:
    """Members of a line of `run --json`."""
    out = io.StringIO()
    for world in worlds().values():
        lines = screen(out, world.clock, durations.Timing(), several=False, as_lines=True)
        lines.finish([_snapshot(world)])
        lines.close()
    return shape(*map(json.loads, out.getvalue().splitlines()))


def _snapshot(world: FakeAws) -> StatusSnapshot:
    (table,) = outputs().tables
    accounts = _Accounts(world)
    shown = read_status(
        StatusContext(
            table=table,
            store=accounts.journal(),
            source=accounts.source(),
            target=accounts.target(table),
            ledger=accounts.ledger(table),
            machine=Process(world, pid=99).machine,
            command=COMMAND,
        )
    )
    return replace(shown, verification=None)  # a run does not read it


def plan_json() -> list[str]:
    return _planned(
        lambda selection, accounts, process, world: show_plans(
            [of_outputs(outputs(), table) for table in selection.tables],
            accounts,
            process,
            found=stack_check() if world.exports else None,
            now=world.clock(),
            as_json=True,
            prices=PriceList(),
        )
    )


def switch_plan_json() -> list[str]:
    """What `switch --dry-run --json` prints: on day one, and of tables of either billing mode."""
    worlds_seen = [FakeAws(), ready_to_switch(), ready_to_switch()]
    for world, mode in zip(worlds_seen[1:], ("PAY_PER_REQUEST", "PROVISIONED"), strict=True):
        index = {"IndexName": "by-day", "KeySchema": []}
        world.source = replace(
            world.source,
            billing_mode=mode,
            read_capacity=5,
            write_capacity=5,
            max_writes=9,
            stream_view="NEW_IMAGE",
            global_indexes=[index],
        )
        world.source_expiry, world.source_tags = TtlStatus(True, "expires"), {"team": "shop"}
        world.scaled = [ScaledCapacity("table/orders", "dynamodb:table:ReadCapacityUnits", 1, 9)]
        statement = {"Effect": "Allow", "Principal": "*", "Action": ["dynamodb:GetItem"]}
        world.policies.set(SOURCE_ARN, json.dumps({"Statement": [statement]}))
    options = SwitchOptions(SwitchMode.FENCE, exec_command="./move")
    shown = [
        switch_plan.as_json(plan_switch([looking(world, options)]), {"orders": COMMAND})
        for world in worlds_seen
    ]
    return shape(*shown, opaque=("settings.orders.tags", "tables[].application[].statements[]"))


def parity_json() -> list[str]:
    return _planned(
        lambda selection, accounts, process, world: show_parity(
            selection, accounts, process, now=world.clock(), as_json=True
        )
    )


def _planned(show: Callable[[Any, Any, Any, FakeAws], int]) -> list[str]:
    (table,) = outputs().tables
    documents = []
    for world in (FakeAws(), replicated()):
        process, out = _process(world)
        show(_selection(table), _Accounts(world), process, world)
        documents.append(json.loads(out.getvalue()))
    process, out = _process(world)
    show(_selection(table, table), _Accounts(world), process, world)
    several = json.loads(out.getvalue())
    return [*shape(*documents), *(f"of several tables: {name}" for name in several)]


def quarantine_json() -> list[str]:
    world = QuarantineWorld()
    garbage = world.keep(b"garbage", Reason.UNREADABLE, sequence=77)
    kept = world.keep(document(None, item("a")))
    other = world.keep(document(None, item("a"), table="other"))
    probing = world.keep(probe())
    event = world.fail(document(None, item("a")), b"garbage")
    contexts = [world.quarantine_context()]
    with patch.object(quarantine_commands, "contexts_of", lambda options: contexts):
        listed = printed("quarantine", "list", "--json")
        shown = [
            printed("quarantine", "show", key, "--json", *more)
            for key in (garbage, kept, other, probing, event)
            for more in ((), ("--show-values",))
        ]
        run("quarantine", "discard", kept, "--yes")
        contexts.append(world.quarantine_context())
        several = printed("quarantine", "list", "--json")
    bodies = world.quarantine()
    open_, resolved = bodies[garbage], bodies[kept.replace("open/", "resolved/", 1)]
    return [
        *(f"list: {line}" for line in shape(listed, opaque=("counts",))),
        *(f"list of several tables: {name}" for name in several),
        *(f"show: {line}" for line in shape(*shown)),
        *(f"open object: {line}" for line in shape(open_)),
        *(f"resolved object: {line}" for line in shape(resolved)),
    ]


def explain_json() -> list[str]:
    world = QuarantineWorld()
    world.replicating()
    assert world.handle(document(None, item("a"))) is None
    world.keep(document(None, item("a")))
    context = explain_commands.ExplainContext(
        world.quarantine_context(),
        lambda: FakeAws().source,
        lambda key: world.dynamodb.get_item(TableName=TARGET, Key=dict(key)).get("Item"),
    )
    with patch.object(explain_commands, "context_of", lambda options: context):
        documents = [
            printed("explain", key, "--json", *more)
            for key in ("pk=a", "pk=absent")
            for more in ((), ("--show-values",))
        ]
    return shape(*documents, opaque=("key", "item"))


def verify_json() -> list[str]:
    return [
        *(f"verify: {line}" for line in shape(*verified().documents)),
        *(f"verify of several tables: {name}" for name in verified().several),
        *(f"report: {line}" for line in shape(*verified().report, opaque=IMAGES)),
        *(f"backfill: {line}" for line in shape(verified().filled)),
    ]
