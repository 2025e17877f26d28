"""The progress of a step as a bar, and an estimate of the time left."""

from __future__ import annotations

from bootstrap.core.facts import Measure

WIDTH = 24
LEAST_SHARE = 0.02
LEAST_SECONDS = 60.0
"""Below either limit, the pace is too uncertain for an estimate."""


def share(measure: Measure | None) -> float | None:
    """Return the share done, from 0 to 1; None where the total is unknown."""
    if measure is None:
        return None
    for done, whole in ((measure.items, measure.of_items), (measure.size_bytes, measure.of_bytes)):
        if done is not None and whole:
            return min(1.0, done / whole)
    return None


def bar(measure: Measure | None) -> str:
    """Draw a bar with its percentage; empty where the total is unknown."""
    part = share(measure)
    if part is None:
        return ""
    filled = int(WIDTH * part)
    return f"{'█' * filled}{'░' * (WIDTH - filled)} {int(100 * part)} %"


def remaining(measure: Measure | None, at: float) -> float | None:
    """Estimate the seconds left at the pace so far. `at`: epoch seconds.

    None below the limits, and for probes, which all come through at once.
    """
    part = share(measure)
    if measure is None or part is None or measure.since is None or measure.unit != "items":
        return None
    elapsed = at - measure.since
    if part < LEAST_SHARE or part >= 1 or elapsed < LEAST_SECONDS:
        return None
    return elapsed * (1 - part) / part
