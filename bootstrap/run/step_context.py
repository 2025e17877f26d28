"""The accounts, the journal and the options that a step works with."""

from __future__ import annotations

from dataclasses import dataclass, field

from bootstrap.core.durations import Timing
from bootstrap.core.ports import Ledger, Snapshots, SourceAccount, TargetAccount
from bootstrap.core.run_options import RunOptions
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.journal.journal import Journal
from replicator.runtime import Clock


@dataclass
class RunMemory:
    """Observations of this process. They may be lost with it: watching starts anew, and another
    round of probes is put.
    """

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
    options: RunOptions = field(default_factory=RunOptions)
    memory: RunMemory = field(default_factory=RunMemory)
