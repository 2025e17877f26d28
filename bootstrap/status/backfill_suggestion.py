"""The gap that a loss detector tells of, and the command that closes it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bootstrap.core.formatting import instant
from bootstrap.core.timing import EXPORT_FUZZ
from bootstrap.journal.verification_records import Verified
from bootstrap.status.snapshot import STATUS, StatusSnapshot
from replicator.watchdog.detectors import (
    BUFFER,
    DESTINATION,
    SKIPPED,
    Detector,
    Finding,
    Level,
)

BACKFILL = "backfill"


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


def gap(shown: StatusSnapshot, verified: Verified | None, command: str) -> Gap | None:
    """What a loss detector has fired for, if an export of the source can close it.

    It begins at the last moment up to which every change is known to be in the target: a detector
    tells that something was lost, and not when. Of an outage the watchdog has kept both ends.
    `command` is the command line with {} for the sub-command.
    """
    lost = [each for each in shown.findings if _lost(each)]
    fired = tuple(each.detector for each in lost)
    if not fired or shown.caught_up is None:
        return None
    open_ = any(each.detector is DESTINATION and not each.value for each in lost)
    whole = [float(shown.export.export_time)] if shown.export else []
    if verified is not None:
        whole.append(verified.complete_until)
    caught_up = [shown.caught_up.moment, *whole]
    begins, ends = [], []
    if SKIPPED in fired:
        # It caught up with what was in the stream. What was counted as lost then is from before.
        known = [shown.skipped.begin] if shown.skipped else []
        begins.append(max([min([shown.caught_up.moment, *known]), *whole]))
        ends.append(shown.at)
    read = shown.readings
    off, late = (read.outage, read.overrun) if read is not None else (None, None)
    for detector, over in ((DESTINATION, off), (BUFFER, late)):
        if detector in fired:
            # A replica catches up, by its probes, with what is in the stream: that says nothing of
            # what never was, or is not any more.
            begins.append(max(caught_up) if over is None else max([over.begin, *whole]))
            end = over.end if over is not None and not open_ else None
            ends.append(shown.at if end is None else end + EXPORT_FUZZ)
    # Wider by as much as an export may be off its time: what was applied already is superseded.
    begin, end = min(begins) - EXPORT_FUZZ, min(max(ends), shown.at)
    times = f"--from {instant(begin)} --to {instant(end)}"
    # While it grows, a command with an end would leave out what is lost until it is stopped.
    closing = command.format(STATUS) if open_ else f"{command.format(BACKFILL)} {times}"
    return Gap(begin, end, fired, open_, closing)


def _lost(finding: Finding) -> bool:
    if finding.detector is BUFFER and (finding.value or 0) >= 1:
        return True  # the stream has begun to forget what waits
    return finding.detector in (DESTINATION, SKIPPED, BUFFER) and finding.level is Level.LOSS
