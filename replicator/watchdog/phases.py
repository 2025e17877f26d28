"""Detectors in the phases of a switch: which are judged, and which are off, as a table.

A detector that is off reports that all is well, with the reason: an alarm stands on its gauge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from replicator.buffers import STREAMS
from replicator.watchdog import detectors as d
from replicator.watchdog.detectors import Detector
from replicator.watchdog.readings import Intent, Unread


class SwitchPhase(StrEnum):
    """A phase of a table, by the consumer's settings row."""

    NORMAL = "normal"
    PREPARED = "prepared"
    """Deployed for the other direction, and not in use yet."""
    ARMED = "armed"
    """A switch is under way, and the consumer still applies changes."""
    CLOSED = "closed"
    """A switch has closed the consumer's gate, and is not committed."""
    PRIMARY = "primary"
    """The target is the primary."""


@dataclass(frozen=True)
class PhaseRule:
    """A detector in a phase. `value`: its gauge while it is off; None: it has none."""

    judged: bool
    because: str
    value: float | None = None


def _judged(because: str) -> PhaseRule:
    return PhaseRule(True, because)


def _off(because: str, value: float | None = 0.0) -> PhaseRule:
    return PhaseRule(False, because, value)


_AS_EVER = _judged("as ever")
_NO_SWITCH = _judged("0: the target is no primary")
_NONE_UNDER_WAY = _judged("0: no switch is under way")
_SEEN = _judged("a switch rests on it")
_NOT_FOLLOWED = "the target does not follow the source any more"
_NOT_STREAMED = "nothing is streamed yet"
_WATCHED = "the target is the application's: its own alarms watch it"

NORMAL: Mapping[Detector, PhaseRule] = {
    **dict.fromkeys(d.ALL, _AS_EVER),
    d.SOURCE_WRITTEN: _NO_SWITCH,
    d.SWITCH_UNFINISHED: _NONE_UNDER_WAY,
}
DURING: Mapping[Detector, PhaseRule] = {
    **dict.fromkeys(d.ALL, _SEEN),
    d.SOURCE_WRITTEN: _NO_SWITCH,
}
PREPARED: Mapping[Detector, PhaseRule] = {
    **dict.fromkeys(d.ALL, _AS_EVER),
    d.SOURCE_WRITTEN: _off("the switch has not been yet"),
    d.SWITCH_UNFINISHED: _off("the other direction's is judged"),
    d.DESTINATION: _off(_NOT_STREAMED, 1.0),
    d.TABLE_STREAM: _off(_NOT_STREAMED, 1.0),
    d.SKIPPED: _off(_NOT_STREAMED),
    d.UNDELIVERED: _off(_NOT_STREAMED),
    d.FOREIGN: _off(_NOT_STREAMED),
    d.PRECISION: _off(_NOT_STREAMED, 1.0),
    d.MAPPING: _off("it is to be off", 1.0),
    d.BUFFER: _off(_NOT_STREAMED),
    d.PROBES: _off("none are put", None),
    d.UNREAD: _off(_NOT_STREAMED),
    d.UNREPLICATED: _off(_NOT_STREAMED),
}
PRIMARY: Mapping[Detector, PhaseRule] = {
    d.SOURCE_WRITTEN: _judged("until `switch --finish`, or until the old source streams no more"),
    d.SWITCH_UNFINISHED: _off("it has ended"),
    d.DESTINATION: _off(f"{_NOT_FOLLOWED}; `switch --finish` turns it off", 1.0),
    d.TABLE_STREAM: _off(f"{_NOT_FOLLOWED}; `switch --finish` turns it off", 1.0),
    d.SOURCE: _off(f"{_NOT_FOLLOWED}, and may be dropped"),
    d.SKIPPED: _off(_NOT_FOLLOWED),
    d.UNDELIVERED: _off(_NOT_FOLLOWED),
    d.QUARANTINE: _judged("what is in it is not in the target"),
    d.FAILURES: _judged("what is in it is not in the target"),
    d.TARGET: _off(_WATCHED),
    d.FOREIGN: _off(_NOT_FOLLOWED),
    d.STREAM: _off(_NOT_FOLLOWED, 1.0),
    d.PRECISION: _off(_NOT_FOLLOWED, 1.0),
    d.MAPPING: _off("it is to be off; if it is not, the closed gate holds", 1.0),
    d.FUNCTION: _off("it has nothing to apply", 1.0),
    d.BUFFER: _off(_NOT_FOLLOWED),
    d.PROBES: _off("none are put", None),
    d.UNREAD: _off(_NOT_FOLLOWED),
    d.HEARTBEAT: _judged("without it, writes to the old source go unnoticed"),
    d.UNREPLICATED: _off(_NOT_FOLLOWED),
}

RULES: Mapping[SwitchPhase, Mapping[Detector, PhaseRule]] = {
    SwitchPhase.NORMAL: NORMAL,
    SwitchPhase.PREPARED: PREPARED,
    SwitchPhase.ARMED: DURING,
    SwitchPhase.CLOSED: DURING,
    SwitchPhase.PRIMARY: PRIMARY,
}
CLOSED_OF_TABLE_STREAM: Mapping[Detector, PhaseRule] = {
    **DURING,
    d.MAPPING: _off("the switch has turned it off", 1.0),
    d.UNREAD: _off("the switch reads what waits itself"),
}
"""`CLOSED` of a table whose own stream is the buffer: there no probe proves that the gate holds."""


def rules_of(phase: SwitchPhase, buffer: str) -> Mapping[Detector, PhaseRule]:
    """Return the rules of a phase for a kind of buffer."""
    if phase is SwitchPhase.CLOSED and buffer == STREAMS:
        return CLOSED_OF_TABLE_STREAM
    return RULES[phase]


def phase_of(intent: Intent | Unread) -> SwitchPhase:
    """Return the phase. While the settings row cannot be read, everything is judged."""
    if isinstance(intent, Unread):
        return SwitchPhase.NORMAL
    if intent.primary is not None:
        return SwitchPhase.PRIMARY
    if intent.closed:
        return SwitchPhase.CLOSED
    return SwitchPhase.ARMED if intent.armed else SwitchPhase.NORMAL
