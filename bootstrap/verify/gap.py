"""The gap that a loss detector tells of, and the command that closes it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bootstrap.progress import STATUS, Snapshot
from bootstrap.states import Exported, Interrupted
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
    proven = [verified.complete_until] if verified is not None else []
    off = shown.readings.outage if shown.readings and DESTINATION in fired else None
    if off is not None:
        # A replica catches up, by its probes, with its destination off as well: what it had caught
        # up with says nothing here.
        snapshot = [shown.export.export_time] if shown.export else []
        begins.append(max([off.begin, *snapshot, *proven]))
    if off is None or len(fired) > 1:
        # It caught up with what was in the stream. What was counted as lost then is from before.
        known = [shown.caught_up.moment] + ([shown.skipped.begin] if shown.skipped else [])
        begins.append(max([min(known), *proven]))
    elif off.end is not None and not open_:
        ends.append(off.end)
    begin, end = min(begins) - MARGIN_SECONDS, min(ends)
    times = f"--from {instant(begin)} --to {instant(end)}"
    # While it grows, a command with an end would leave out what is lost until it is stopped.
    closing = command.format(STATUS) if open_ else f"{command.format(BACKFILL)} {times}"
    return Gap(begin, end, fired, open_, closing)


def outage(seen: Outage | None, noted: Interrupted | None) -> Outage | None:
    """One of what the watchdog has seen and what a run has noted. Where both tell of the same, the
    watchdog's word stands for when it began: it looks more often.
    """
    if noted is None:
        return seen
    end = noted.end or None
    if seen is None:
        return Outage(noted.begin, end)
    same = (end is None or seen.begin <= end) and (seen.end is None or noted.begin <= seen.end)
    begin = seen.begin if same else min(seen.begin, noted.begin)
    return Outage(begin, None if end is None or seen.end is None else max(end, seen.end))


def mended(over: Outage, exported: Exported | None, verified: Verified | None) -> bool:
    """Whether a snapshot or a whole verification of after its end holds all that it lost."""
    if over.end is None:
        return False
    if verified is not None and verified.complete_until >= over.end:
        return True
    # An export may fall short of its time by a minute.
    snapshot = exported.export_time if exported is not None and exported.done else 0
    return snapshot - MARGIN_SECONDS >= over.end


def _lost(finding: Finding) -> bool:
    if finding.detector is BUFFER:
        return (finding.value or 0) >= 1  # the stream has begun to forget what waits
    return finding.detector in (DESTINATION, SKIPPED) and finding.level is Level.LOSS
