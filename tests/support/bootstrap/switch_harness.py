"""One table's part of a switch, on a `FakeAws`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bootstrap.core.errors import Side
from bootstrap.core.journal_rows import Row
from bootstrap.core.stack_outputs import Outputs
from bootstrap.core.table_stream_facts import VIEW
from bootstrap.cutover.context import SwitchContext, SwitchOptions
from bootstrap.journal.lease import Lease
from bootstrap.journal.switch_records import SwitchMode
from bootstrap.journal.verification_records import row_name as verification_row
from bootstrap.status.health import Health, read_health
from bootstrap.verify.backfill import row_name as backfill_row
from replicator.watchdog.aws_states import OwnStream, TableState
from replicator.watchdog.readings import Backlog, Identity, Intent
from tests.support.bootstrap.fake_accounts import FakeCanary, FakeOldSource, fake_policies
from tests.support.bootstrap.fake_aws import FakeAws, switch_outputs
from tests.support.bootstrap.fake_table_stream import MAPPING, STREAM
from tests.support.bootstrap.killed_process import Process
from tests.support.bootstrap.status import FixedHealth
from tests.support.fakes.clock import VirtualClock

HEALTHY_STREAM: Mapping[str, Any] = {
    "intent": Intent(replicating=True, stream=STREAM, mapping=MAPPING),
    "source": Identity(
        TableState("source-1", "ACTIVE", stream=OwnStream(STREAM, on=True, view=VIEW)),
        "source-1",
    ),
    "backlog": Backlog(0.0, lag=1.0),
}
"""Readings of a table whose own stream is the buffer, with nothing wrong."""

HealthOf = Callable[[Row, float], Health]


def switch_context(
    world: FakeAws,
    pid: int = 100,
    *,
    host: str = "laptop",
    mode: SwitchMode = SwitchMode.FENCE,
    options: SwitchOptions | None = None,
    chosen: Outputs | None = None,
    health: HealthOf | None = None,
    clock: VirtualClock | None = None,
) -> SwitchContext:
    """Make what a process with this id switches the table with. No process holds its leases yet.

    `chosen`: the stack's outputs; without, one with the roles of a switch. `health`: what the
    detectors say; without, that all is well. `clock`: the process's; without, the world's.
    """
    outputs = chosen or switch_outputs()
    process = Process(world, pid, host=host, chosen=outputs, clock=clock)
    table, check = process.run.context.table, process.lease.check
    options = options or SwitchOptions(mode)
    fences = options.mode is SwitchMode.FENCE and outputs.source.switch_role_arn

    def lease(name: str) -> Lease:
        return Lease(process.store, name, clock or world.clock, process.machine)

    return SwitchContext(
        steps=process.run.context,
        store=process.store,
        leases=(
            process.lease,
            lease(verification_row(table.source_table)),
            lease(backfill_row(table.source_table)),
        ),
        target_policies=fake_policies(world, Side.TARGET, check),
        source_policies=fake_policies(world, Side.SOURCE, check) if fences else None,
        canary=FakeCanary(world, check),
        old_source=FakeOldSource(world, check) if outputs.source.switch_role_arn else None,
        read_health=health or healthy_table(outputs),
        options=options,
    )


def holding(context: SwitchContext, take_over: bool = False) -> SwitchContext:
    """Take its leases and read its journal, as a switch does first."""
    for lease in context.leases:
        lease.acquire(take_over)
    context.journal.refresh()
    return context


def healthy_table(outputs: Outputs) -> HealthOf:
    """Return the detectors' verdict on a table that has nothing wrong."""
    (table,) = outputs.tables
    fine = FixedHealth(**HEALTHY_STREAM) if table.reads_table_stream else FixedHealth()
    return lambda row, at: read_health(fine, table, row, at, None)
