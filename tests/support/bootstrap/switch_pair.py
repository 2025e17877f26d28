"""Two tables that are ready to be switched with one commit, on a `FakeAws`.

They share its ledger: an attempt has one nonce for all its tables.
"""

from __future__ import annotations

import functools
from typing import Any

from bootstrap.core.state import State
from bootstrap.core.write_deny import WriteDeny, with_deny
from bootstrap.cutover.context import SwitchOptions
from bootstrap.cutover.switch.switch import Switch
from bootstrap.journal.switch_records import SwitchMode
from bootstrap.journal.verification_records import row_name as verification_row
from tests.support.bootstrap.fake_aws import (
    CONSUMER,
    IMPORTER,
    JOURNAL,
    SOURCE_ARN,
    TARGET_ARN,
    FakeAws,
    switch_outputs,
)
from tests.support.bootstrap.killed_process import Process
from tests.support.bootstrap.switch_faults import ready
from tests.support.bootstrap.switch_harness import switch_context
from tests.support.bootstrap.switch_world import (
    APPLICATION,
    NONCE,
    STREAM_MEMBERS,
    Command,
    WriterWatch,
    succeeds,
)

TABLES = ("orders", "customers")
ARNS = {
    name: tuple(arn.replace("table/orders", f"table/{name}") for arn in (SOURCE_ARN, TARGET_ARN))
    for name in TABLES
}


@functools.cache
def _ready_pair() -> FakeAws:
    world = ready()
    source_arn, target_arn = ARNS["customers"]
    deny = WriteDeny(NONCE, target_arn, excepted=(CONSUMER, IMPORTER))
    world.policies.set(target_arn, with_deny(None, deny))
    with world.unwatched():
        for row in (lambda name: name, verification_row):
            key = {"sk": {"S": "run"}, "pk": {"S": row("orders")}}
            item = world.dynamodb.get_item(TableName=JOURNAL, Key=key)["Item"]
            world.dynamodb.put_item(TableName=JOURNAL, Item={**item, "pk": {"S": row("customers")}})
    world.more_tables = {"customers": source_arn, "customers-replica": target_arn}
    world.clock.advance(600)
    assert source_arn not in world.policies.tables
    return world


def ready_pair() -> FakeAws:
    """A world of one's own with both tables."""
    return _ready_pair().copied()


class PairWatch(WriterWatch):
    """A watch over the tables of both."""

    def look(self, when: str) -> None:
        super().look(when)
        policies = self.world.policies
        if all(policies.may_take(arn, APPLICATION) for arn in ARNS["customers"]):
            self.both_open.append(f"customers {when}")

    def takes_writes_each(self) -> set[tuple[bool, ...]]:
        """What source and target of each table take now, each answer once."""
        policies = self.world.policies
        return {
            tuple(not policies.refuses(arn, APPLICATION) for arn in arns) for arns in ARNS.values()
        }


def pair_switch(
    world: FakeAws,
    pid: int = 100,
    *,
    host: str = "laptop",
    names: tuple[str, ...] = TABLES,
    run_command: Command = succeeds,
    **options: Any,
) -> Switch:
    """Make one process's switch of these tables."""
    world.alive.add(pid)
    chosen = SwitchOptions(SwitchMode.FENCE, **options)
    contexts = []
    for name in names:
        own = STREAM_MEMBERS if name == "orders" and world.own_stream is not None else {}
        outputs = switch_outputs(
            sourceTable=name, sourceTableArn=ARNS[name][0], targetTable=f"{name}-replica", **own
        )
        contexts.append(switch_context(world, pid, host=host, options=chosen, chosen=outputs))
    return Switch(contexts, run_command=run_command)


def states(world: FakeAws) -> set[State]:
    """The states of both in the journal."""
    with world.unwatched():
        rows = [Process(world, pid=95).store.read(name)[0] for name in TABLES]
    return {row.state for row in rows if row is not None}
