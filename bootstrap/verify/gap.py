"""The gap that a loss detector tells of, and the command that closes it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bootstrap.progress import STATUS, Snapshot
from bootstrap.states import Exported
from bootstrap.verify.records import Verified
from bootstrap.wording import instant
from replicator.detectors import (
    BUFFER,
    DESTINATION,
    SKIPPED,
    Detector,
    Finding,
    Level,
    Outage,
)

BACKFILL = "backfill"
MARGIN_SECONDS = 60.0
"""The gap is taken to begin this much earlier: what was applied already is only superseded."""


@dataclass(frozen=True)
class Gap:
    """Changes made from `begin` to `end` (epoch seconds) may be missing in the target."""

    begin: float
    end: float
    detectors: tuple[Detector, ...]
    open: bool
    """It still grows: the streaming destination has to be switched on before it is closed, and
    before anybody knows until when it reaches."""
    command: str

    @property
    def line(self) -> str:
        """For people."""
        why = ", ".join(each.metric for each in self.detectors)
        first = "enable the streaming destination again, then " if self.open else ""
        last = ", which then names the backfill" if self.open else ""
        return (
            f"gap           changes from {instant(self.begin)} on may be missing ({why})\n"
            f"              Try: {first}{self.command}{last}"
        )

    @property
    def json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "from": instant(self.begin),
            "to": instant(self.end),
            "detectors": [each.metric for each in self.detectors],
            "open": self.open,
            "try": self.command,
        }


def gap(shown: Snapshot, verified: Verified | None, command: str) -> Gap | None:
    """What a loss detector has fired for, if an export of the source can close it.

    It begins at the last moment up to which every change is known to be in the target: a detector
    tells that something was lost, and not when. Of an outage the watchdog has kept both ends.
    `command` is the command line with {} for the sub-command.
    """
    lost = [each for each in shown.findings if _lost(each)]
    if not lost or shown.caught_up is None:
        return None
    fired = tuple(each.detector for each in lost)
    open_ = any(each.detector is DESTINATION and not each.value for each in lost)
    begins: list[float] = []
    ends = [shown.at]
    proven = [verified.source_time] if verified is not None and _proves(verified) else []
    outage = shown.readings.outage if shown.readings and DESTINATION in fired else None
    if outage is not None:
        # A replica catches up, by its probes, with its destination off as well: what it had caught
        # up with says nothing here.
        snapshot = [shown.export.export_time] if shown.export else []
        begins.append(max([outage.begin, *snapshot, *proven]))
    if outage is None or len(fired) > 1:
        begins.append(max([shown.caught_up.moment, *proven]))
    elif outage.end is not None and not open_:
        ends.append(outage.end)
    begin, end = min(begins) - MARGIN_SECONDS, min(ends)
    times = f"--from {instant(begin)} --to {instant(end)}"
    # While it grows, a command with an end would leave out what is lost until it is stopped.
    closing = command.format(STATUS) if open_ else f"{command.format(BACKFILL)} {times}"
    return Gap(begin, end, fired, open_, closing)


def mended(outage: Outage, exported: Exported | None, verified: Verified | None) -> bool:
    """Whether a snapshot or a whole verification of after its end holds all that it lost."""
    if outage.end is None:
        return False
    exports = [float(exported.export_time)] if exported is not None and exported.done else []
    if verified is not None and _proves(verified):
        exports.append(verified.source_time)
    # An export may fall short of its time by a minute.
    return max(exports, default=0.0) - MARGIN_SECONDS >= outage.end


def _lost(finding: Finding) -> bool:
    if finding.detector is BUFFER:
        return (finding.value or 0) >= 1  # the stream has begun to forget what waits
    return finding.detector in (DESTINATION, SKIPPED) and finding.level is Level.LOSS


def _proves(verified: Verified) -> bool:
    """Whether everything up to the source's export was in the target, or was mended."""
    return verified.mended and verified.changed_since == 0
