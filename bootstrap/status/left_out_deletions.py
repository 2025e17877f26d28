"""Deletions by the source's time to live that a switch has left out before it was cancelled."""

from __future__ import annotations

from bootstrap.core.formatting import instant
from bootstrap.journal.switch_records import GateGap
from replicator.watchdog.detectors import Detector, Level
from replicator.watchdog.finding import Finding

LEFT_OUT = Detector(
    "DeletionsLeftOut",
    Level.LOSS,
    "A switch that was cancelled had closed the consumer, which left deletions by time to live to "
    "the target's own. The target may hold items that the source has expired.",
    "run the backfill that `bootstrap status` names, or verify --repair.",
)
"""A finding of `status` and `run`. The watchdog does not read it, so no alarm and no metric has its
name."""


def judge_left_out(gap: GateGap | None) -> tuple[Finding, ...]:
    """Return the finding; none where no such deletion may be missing. `gap`: not yet restored."""
    if gap is None:
        return ()
    counted = f"about {gap.deletions}" if gap.deletions else "an unknown number"
    detail = f"{counted}, between {instant(gap.begin)} and {instant(gap.end)}"
    return (Finding(LEFT_OUT, LEFT_OUT.level, float(gap.deletions), detail),)
