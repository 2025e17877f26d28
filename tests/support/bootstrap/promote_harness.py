"""One table's promotion on a `FakeAws`, by processes that may die."""

from __future__ import annotations

from dataclasses import dataclass, field

from bootstrap.core.durations import Timing
from bootstrap.core.errors import BootstrapError, Side
from bootstrap.core.stack_outputs import Outputs
from bootstrap.cutover.promotion.context import PromoteContext
from bootstrap.cutover.promotion.drive import drive
from bootstrap.cutover.promotion.loss_window import Count
from bootstrap.cutover.promotion.promote import Promotion, PromotionResult
from bootstrap.journal.verification_records import last_verification
from tests.support.bootstrap.fake_accounts import FakeCanary, fake_policies
from tests.support.bootstrap.fake_aws import FakeAws, switch_outputs
from tests.support.bootstrap.killed_process import Process
from tests.support.bootstrap.switch_states import ledger_of
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.errors import Killed


@dataclass
class Promoter:
    """A process that promotes the table. Nothing of it has a way to the source."""

    world: FakeAws
    pid: int = 200
    host: str = "laptop"
    chosen: Outputs = field(default_factory=switch_outputs)
    drain: float = 0.0
    quarantine: Count = 0
    undelivered: Count = 0
    said: list[str] = field(default_factory=list)
    clock: VirtualClock | None = None
    """The process's; None: the world's."""

    def context(self, *, looks: bool = False) -> PromoteContext:
        process = Process(
            self.world, self.pid, host=self.host, chosen=self.chosen, clock=self.clock
        )
        steps = process.run.context
        before = (lambda: None) if looks else process.lease.check
        has_role = bool(self.chosen.target.switch_role_arn)
        return PromoteContext(
            outputs=self.chosen,
            table=steps.table,
            store=process.store,
            lease=process.lease,
            journal=steps.journal,
            ledger=steps.ledger if not looks else ledger_of(self.world),
            target=steps.target,
            policies=fake_policies(self.world, Side.TARGET, before) if has_role else None,
            canary=FakeCanary(self.world, before) if has_role else None,
            quarantine=lambda: self.quarantine,
            undelivered=lambda: self.undelivered,
            verified=lambda: last_verification(process.store, steps.table.source_table).verified,
            timing=Timing(),
            clock=self.clock or self.world.clock,
            drain=self.drain,
            say=self.said.append,
        )

    def go(self, take_over: bool = False) -> PromotionResult:
        """Promote, to the end.

        Raises:
            BootstrapError: why it was refused, or has not ended.
            Killed: as the test ordered.
        """
        self.world.alive.add(self.pid)
        try:
            promotions = [Promotion(self.context())]
            [(_, ended)] = drive(promotions, self.clock or self.world.clock, take_over=take_over)
        except Killed:
            raise
        finally:
            self.world.alive.discard(self.pid)
        if isinstance(ended, BootstrapError):
            raise ended
        return ended


def kill_from(world: FakeAws, number: int, after_the_work: bool) -> None:
    """Kill the process at this call of the world's; a dead process makes no other."""

    def watch(call: int, name: str, after: bool) -> None:
        if call > number or (call, after) == (number, after_the_work):
            raise Killed(f"at {name}, call {call}")

    world.on_call = watch
