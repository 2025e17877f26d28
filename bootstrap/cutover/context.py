"""Options of a switch, and what its steps work with: one context a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.core.journal_rows import Row, Store
from bootstrap.core.ports import OldSource, ResourcePolicies, WriteCanary
from bootstrap.core.stack_outputs import TableOutputs
from bootstrap.cutover.deny_changes import PolicyDoubts
from bootstrap.cutover.late_notes import LateNotes
from bootstrap.cutover.settings import PrimarySettings
from bootstrap.cutover.stream_rest import StreamRest
from bootstrap.journal.journal import Journal
from bootstrap.journal.lease import Lease
from bootstrap.journal.switch_records import SwitchMode
from bootstrap.run.step_context import StepContext
from bootstrap.run.stream_tips import StreamTips
from bootstrap.status.health import Health


@dataclass(frozen=True)
class SwitchOptions:
    """The options of one attempt. Durations are in seconds."""

    mode: SwitchMode
    max_lag: float = 30.0
    """The longest time by which the consumer may be behind before anything is closed."""
    timeout: float = 1_200.0
    """From the source's closing to the commit. Afterwards the switch takes itself back."""
    verified_within: float = 7 * 86_400.0
    """The greatest age of the verification that the switch rests on."""
    check_command: str = ""
    """Run while both tables are closed. Any exit code but 0 cancels."""
    exec_command: str = ""
    """Run after the commit, with the facts in its environment. It may run again."""
    settings: str | Path = "source"
    """`source`, `keep`, or a file: what the target's settings become."""


@dataclass(frozen=True)
class StreamMemory:
    """Observations of a table's own stream, where that is the buffer. Epoch seconds."""

    question: float = 0.0
    """The moment up to which the consumer had to follow before anything was closed."""
    tips: StreamTips | None = None
    """The reading that is under way."""
    ended: Mapping[str, str] = field(default_factory=dict)
    """By shard, the number of the last record that had ended at the end of the drain."""
    complete: frozenset[str] = frozenset()
    """The closed shards whose last record had ended then."""
    obeys: bool = False
    """A row has shown that the consumer's code ran under this attempt."""
    off_at: float = 0.0
    """When its mapping was seen off."""
    rest: StreamRest | None = None
    """The reading behind `ended`, once the consumer is off."""
    deletions: int = 0
    """Deletions by time to live that wait there."""


@dataclass
class SwitchMemory:
    """Observations of this process about one table. They end with the attempt."""

    notes: LateNotes = field(default_factory=LateNotes)
    """Those at the end of the drain."""
    left_to_ttl: int = 0
    """Deletions behind the closed gate, when everything was checked last."""
    doubts: PolicyDoubts = field(default_factory=PolicyDoubts)
    settings: PrimarySettings | None = None
    """Those that the target gets; None: it keeps what it has."""
    handed_over: int = 0
    """The mark (epoch seconds) from before which everything is in the stream."""
    stream: StreamMemory = field(default_factory=StreamMemory)
    proved_at: float = 0.0
    """When the last proof before the commit began to be read."""


@dataclass(frozen=True)
class SwitchContext:
    """One table's part of a switch. Every call to AWS checks the lease of its run first."""

    steps: StepContext
    """With the journal and the accounts, as a run has them."""
    store: Store
    leases: tuple[Lease, ...]
    """Of the run, of verification and of backfill, in this order."""
    target_policies: ResourcePolicies
    source_policies: ResourcePolicies | None
    """None: writes are stopped by the operator, or the stack has no role for it."""
    canary: WriteCanary
    old_source: OldSource | None
    """None: the stack has no role for it."""
    read_health: Callable[[Row, float], Health]
    """Reads every detector now."""
    options: SwitchOptions
    memory: SwitchMemory = field(default_factory=SwitchMemory)

    @property
    def table(self) -> TableOutputs:
        return self.steps.table

    @property
    def journal(self) -> Journal:
        return self.steps.journal

    @property
    def now(self) -> float:
        """AWS's time."""
        return self.steps.journal.now()
