"""The parts of one table's promotion, none of which reaches the source account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bootstrap.core.durations import Timing
from bootstrap.core.journal_rows import Store
from bootstrap.core.ports import Ledger, ResourcePolicies, TargetAccount, WriteCanary
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.cutover.promotion.loss_window import Count
from bootstrap.journal.journal import Journal
from bootstrap.journal.lease import Lease
from bootstrap.journal.verification_records import Verified
from replicator.runtime import Clock

DRAIN_SECONDS = 120.0


@dataclass(frozen=True)
class PromoteContext:
    """One table's promotion. Every call to AWS checks the lease of its run first.

    There is no source account here on purpose: what a disaster's command needs may not wait for an
    account, or a Region, that does not answer.
    """

    outputs: Outputs
    table: TableOutputs
    store: Store
    lease: Lease
    journal: Journal
    ledger: Ledger
    target: TargetAccount
    """With a client of Lambda, in the source's Region, that gives up soon."""
    policies: ResourcePolicies | None
    """Of the target, through the stack's role for a switch; None where it has none."""
    canary: WriteCanary | None
    """Through the same role."""
    quarantine: Callable[[], Count]
    """Counts the open objects."""
    undelivered: Callable[[], Count]
    """Counts the on-failure objects, in the source's Region."""
    verified: Callable[[], Verified | None]
    timing: Timing
    clock: Clock
    drain: float = DRAIN_SECONDS
    """The longest wait for changes that are on their way, in seconds."""
    say: Callable[[str], None] = lambda text: None

    @property
    def name(self) -> str:
        return self.table.source_table

    @property
    def now(self) -> float:
        """AWS's time."""
        return self.journal.now()
