"""The gap that a loss detector tells of, and the command that closes it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bootstrap.progress import Snapshot
from bootstrap.verify.records import Verified
from bootstrap.wording import instant
from replicator.detectors import BUFFER, DESTINATION, SKIPPED, Detector, Finding, Level

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
    """It still grows: the streaming destination has to be switched on before it is closed."""
    command: str

    @property
    def line(self) -> str:
        """For people."""
        why = ", ".join(each.metric for each in self.detectors)
        first = "enable the streaming destination again, then " if self.open else ""
        return (
            f"gap           changes from {instant(self.begin)} on may be missing ({why})\n"
            f"              Try: {first}{self.command}"
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
    tells that something was lost, and not when. `command` is the command line with {} for the
    sub-command.
    """
    fired = tuple(each.detector for each in shown.findings if _lost(each))
    known = [shown.caught_up.moment] if shown.caught_up else []
    if verified is not None and _proves(verified):
        known.append(verified.source_time)
    if not fired or not known:
        return None
    begin, end = max(known) - MARGIN_SECONDS, shown.at
    times = f"--from {instant(begin)} --to {instant(end)}"
    return Gap(begin, end, fired, DESTINATION in fired, f"{command.format(BACKFILL)} {times}")


def _lost(finding: Finding) -> bool:
    if finding.detector is BUFFER:
        return (finding.value or 0) >= 1  # the stream has begun to forget what waits
    return finding.detector in (DESTINATION, SKIPPED) and finding.level is Level.LOSS


def _proves(verified: Verified) -> bool:
    """Whether everything up to the source's export was in the target, or was mended."""
    whole = verified.sample >= 1 and verified.changed_since == 0
    return whole and verified.differences <= verified.repaired
