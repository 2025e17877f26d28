"""What a step works with, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from bootstrap.core.facts import Measure
from bootstrap.core.ports import Ledger, Snapshots, SourceAccount, TargetAccount
from bootstrap.core.run_options import RunOptions
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.core.state import State
from bootstrap.core.timing import Clock, Timing
from bootstrap.journal.journal import Journal


@dataclass(frozen=True)
class Done:
    """Nothing is left of the step: it was observed so, or the journal says that it ended."""


@dataclass(frozen=True)
class Acted:
    """The step did something: look at the world again."""


@dataclass(frozen=True)
class Pending:
    """The step waits for the world."""

    what: str
    """A phrase that stays the same while the same thing is waited for."""
    poll: float
    """Seconds until it is worth looking again."""
    measure: Measure | None = None
    outlasts: bool = False
    """Whether the world goes on with it while nobody looks: `--no-wait` ends here."""


Outcome = Done | Acted | Pending


@dataclass
class LedgerRetention:
    """What need not survive the process: watching starts anew, a round of probes is put again."""

    active_seen_at: float | None = None
    """When the stream's destination was last seen ACTIVE, before the export."""
    flowing_at: float | None = None
    """When it was last seen on, after that."""
    moment: float | None = None
    handed_over: bool = False
    probe: str = ""
    probes: int = 0
    put_at: float = 0
    caught_up: bool = False
    rounds: int = 0


@dataclass(frozen=True)
class StepContext:
    """One table's run."""

    outputs: Outputs
    table: TableOutputs
    source: SourceAccount
    target: TargetAccount
    ledger: Ledger
    snapshots: Snapshots
    journal: Journal
    timing: Timing
    clock: Clock
    orders: RunOptions = field(default_factory=RunOptions)
    memory: LedgerRetention = field(default_factory=LedgerRetention)


class Step(Protocol):
    """One stretch of the way: observes, acts if needed, records."""

    name: str
    state: State

    def advance(self, context: StepContext) -> Outcome: ...
