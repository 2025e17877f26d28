"""The inputs of a status snapshot: the journal's row and what was read beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bootstrap.core.facts import EventSource, Measure, Usage
from bootstrap.core.journal_rows import Event, Row, WaitReason
from bootstrap.core.suggestions import GENERIC
from bootstrap.journal.verification_records import LastVerification
from bootstrap.status.data_loss import KnownLosses
from bootstrap.status.switch_view import SwitchView
from replicator.buffers import KINESIS
from replicator.watchdog.detectors import Detector
from replicator.watchdog.finding import Finding
from replicator.watchdog.readings import Identity, Readings


@dataclass(frozen=True)
class StatusInputs:
    """One table at one moment. None: not read, or not known."""

    table: str
    target_table: str
    row: Row
    at: float
    """Epoch seconds by AWS's clock."""
    holder: str = ""
    """The process that holds the lease; empty if none does."""
    command: str = GENERIC
    """The command line up to the sub-command's options, with {} for the sub-command."""
    history: Sequence[Event] = ()
    mapping: EventSource | None = None
    measure: Measure | None = None
    waiting: WaitReason | None = None
    retention_hours: int | None = None
    readings: Readings | None = None
    findings: Sequence[Finding] = ()
    usage: Usage = field(default_factory=Usage)
    losses: KnownLosses | None = None
    """None: nothing has checked which losses are repaired."""
    verification: LastVerification | None = None
    switch: SwitchView | None = None
    """None: no switch and no promotion was ever begun."""
    buffer: str = KINESIS

    def finding(self, detector: Detector) -> Finding | None:
        """Return a detector's finding; None where it was not judged."""
        return next((each for each in self.findings if each.detector is detector), None)

    @property
    def source_replaced(self) -> bool:
        """True if the source was read and is another table than the one that was exported."""
        source = self.readings.source if self.readings is not None else None
        return isinstance(source, Identity) and source.changed
