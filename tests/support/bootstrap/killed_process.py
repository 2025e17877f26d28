"""A process that runs the bootstrap in a `FakeAws`, and may be killed there."""

from __future__ import annotations

from collections.abc import Callable

from bootstrap.aws.calls import Calls
from bootstrap.aws.journal_table import AwsJournal
from bootstrap.aws.ledger import AwsLedger
from bootstrap.aws.own_writes import AwsOwnWrites
from bootstrap.core.durations import Timing
from bootstrap.core.errors import BootstrapError, Side
from bootstrap.core.outcome import Done
from bootstrap.core.run_options import RunOptions
from bootstrap.core.stack_outputs import Outputs
from bootstrap.journal.journal import Journal
from bootstrap.journal.lease import Holder, Lease, Machine
from bootstrap.journal.verification_records import Verified, last_verification, row_name
from bootstrap.run.drive import drive
from bootstrap.run.runner import TableRunner
from bootstrap.run.step_context import StepContext
from bootstrap.status.snapshot import StatusSnapshot
from tests.support.bootstrap.fake_accounts import (
    FakeBulkLoads,
    FakeCrossAccountCheck,
    FakeScanner,
    FakeSnapshots,
    FakeSource,
    FakeTarget,
    fake_policies,
)
from tests.support.bootstrap.fake_aws import COMMAND, JOURNAL, LEDGER, FakeAws, outputs
from tests.support.bootstrap.fake_table_stream import stream_clients
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.errors import Killed


class Process:
    """A process that runs `bootstrap run`."""

    def __init__(
        self,
        world: FakeAws,
        pid: int = 100,
        *,
        host: str = "laptop",
        chosen: Outputs | None = None,
        options: RunOptions | None = None,
        clock: VirtualClock | None = None,
    ) -> None:
        self.world = world
        clock = clock or world.clock
        self.pid = pid
        self.machine = Machine(
            Holder(host, host, pid, "born"), lambda other: other.pid in world.alive
        )
        self.outputs = chosen or outputs()
        (table,) = self.outputs.tables
        calls = Calls(Side.TARGET, "Role importer")
        self.store = AwsJournal(calls, world.dynamodb, JOURNAL)
        self.lease = lease = Lease(self.store, table.source_table, clock, self.machine)
        guarded = Calls(Side.TARGET, "Role importer", lease.check)
        context = StepContext(
            outputs=self.outputs,
            table=table,
            source=FakeSource(world, lease.check),
            target=FakeTarget(world, lease.check),
            ledger=AwsLedger(guarded, world.dynamodb, LEDGER),
            target_items=FakeScanner(world, lease.check),
            own_writes=AwsOwnWrites(guarded, world.dynamodb, JOURNAL),
            snapshots=FakeSnapshots(world, lease.check),
            verified=lambda: last_verification(self.store, table.source_table).verified,
            journal=Journal(self.store, table.source_table, lease),
            timing=Timing(),
            clock=clock,
            options=options or RunOptions(),
            loads=FakeBulkLoads(world, lease.check) if table.load.is_bulk else None,
            table_stream=stream_clients(
                world, lease.check, fake_policies(world, Side.SOURCE, lease.check)
            )
            if table.reads_table_stream
            else None,
            cross_account_check=FakeCrossAccountCheck(world, lease.check),
            target_policies=fake_policies(world, Side.TARGET, lease.check)
            if self.outputs.denies_other_writers(table)
            else None,
        )
        self.run = TableRunner(context, self.store, lease, COMMAND)
        self.shown: list[StatusSnapshot] = []

    def start(self, take_over: bool = False) -> None:
        self.world.alive.add(self.pid)
        self.run.start(take_over)

    def go(self, take_over: bool = False) -> None:
        """From the start to REPLICATING.

        Raises:
            BootstrapError: why it is not.
            Killed: as the test ordered.
        """
        try:
            self.start(take_over)
            failed = drive([self.run], self.world.clock, Timing(), self.shown.extend)
        except (Killed, BootstrapError):
            self.world.alive.discard(self.pid)
            raise
        self.world.alive.discard(self.pid)
        for _, error in failed:
            raise error

    def until(self, condition: Callable[[], bool], ticks: int = 500) -> None:
        """Ticks, sleeping as the executor would, until the condition holds."""
        for _ in range(ticks):
            if condition():
                return
            outcome = self.run.tick()
            if isinstance(outcome, Done):
                return
            self.world.clock.sleep(getattr(outcome, "poll", 0))
        raise AssertionError("The condition never held.")


def replicated(world: FakeAws | None = None, chosen: Outputs | None = None) -> FakeAws:
    """A world in which a run has ended well. `chosen`: the stack's outputs."""
    world = world or FakeAws()
    Process(world, chosen=chosen).go()
    return world


def journal_verified(world: FakeAws, found: Verified) -> None:
    """As a verification that ended with this leaves it in the journal."""
    process = Process(world, pid=97)
    with world.unwatched():
        lease = Lease(process.store, row_name("orders"), world.clock, process.machine)
        lease.acquire(take_over=True)
        journal = Journal(process.store, row_name("orders"), lease)
        journal.refresh()
        journal.put(found, "verified")
