"""A detector's finding, and the settings by which findings are judged."""

from __future__ import annotations

from dataclasses import dataclass

from replicator.buffers import KINESIS
from replicator.watchdog.detectors import Detector, Level
from replicator.watchdog.readings import Unread

BUFFER_SHARE = 0.25
PROBES_LATE_SECONDS = 1800.0
UNREPLICATED_SECONDS = 3600.0
UNREAD_SECONDS = 3600.0


@dataclass(frozen=True)
class Expected:
    """The stack's settings, as deployed."""

    stream_arn: str
    retention_hours: int
    record_kib: int
    # Thresholds above which waiting is a warning.
    buffer_share: float = BUFFER_SHARE
    probes_late_seconds: float = PROBES_LATE_SECONDS
    unreplicated_seconds: float = UNREPLICATED_SECONDS
    on_failure_bucket: str = ""
    """The bucket of what Lambda gives up; empty: not compared."""
    adopted_stream: bool = False
    """The stream is others', and carries other tables' records, too: they are no finding."""
    buffer: str = KINESIS
    """A table with its own stream as the buffer has no `stream_arn` here: the settings row names
    it."""


@dataclass(frozen=True)
class Finding:
    """A detector's verdict. `value` is its gauge; None: unknown, or it does not apply now."""

    detector: Detector
    level: Level
    value: float | None
    detail: str = ""
    blind: bool = False
    """The reading failed, so nothing was found."""
    remedy: str = ""
    """The first action in this case, where the detector's text is too general."""

    @property
    def first(self) -> str:
        """The first action."""
        return BLIND if self.blind else self.remedy or self.detector.first


BLIND = (
    "check that the credentials are valid and that the role may read it: `bootstrap plan` names "
    "what is missing; pulumi up --refresh restores the roles' permissions."
)


def blind(detector: Detector, reading: Unread) -> Finding:
    why = f"could not be read: {reading.why}"
    return Finding(detector, Level.UNKNOWN, None, why, blind=True)


NOT_KNOWN = "a state that this version does not know"
LOOK_UP = (
    "look the state up in AWS's documentation, and in its console what set it; `bootstrap status` "
    "shows when it is over. A newer version of this program may know it."
)


def not_known(detector: Detector, state: str) -> Finding:
    """Make the finding of a state that AWS did not have when this version was written.

    The gauge is 0, as if it were a bad one: nothing proves that all is well.
    """
    return Finding(detector, Level.UNKNOWN, 0.0, f"{state}, {NOT_KNOWN}", remedy=LOOK_UP)


def flag(detector: Detector, good: bool, detail: str) -> Finding:
    """Make the finding of a gauge that is 1 while all is well."""
    return Finding(detector, Level.FINE if good else detector.level, float(good), detail)
