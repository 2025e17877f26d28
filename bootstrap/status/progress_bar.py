"""How far a step is, as a bar, and how much longer it may take once there is evidence for it."""

from __future__ import annotations

from bootstrap.core.facts import Measure

WIDTH = 24
LEAST_SHARE = 0.02
LEAST_SECONDS = 60.0
"""Before both, a pace is no evidence of anything."""


def share(measure: Measure | None) -> float | None:
    """From 0 to 1; None where the whole is unknown."""
    if measure is None:
        return None
    for done, whole in ((measure.items, measure.of_items), (measure.size_bytes, measure.of_bytes)):
        if done is not None and whole:
            return min(1.0, done / whole)
    return None


def bar(measure: Measure | None) -> str:
    """A bar with its percentage; empty where the whole is unknown."""
    part = share(measure)
    if part is None:
        return ""
    filled = int(WIDTH * part)
    return f"{'█' * filled}{'░' * (WIDTH - filled)} {int(100 * part)} %"


def remaining(measure: Measure | None, at: float) -> float | None:
    """Seconds that are left at the pace so far. `at`: epoch seconds.

    None without evidence, and for probes: they come through all at once.
    """
    part = share(measure)
    if measure is None or part is None or measure.since is None or measure.unit != "items":
        return None
    elapsed = at - measure.since
    if part < LEAST_SHARE or part >= 1 or elapsed < LEAST_SECONDS:
        return None
    return elapsed * (1 - part) / part
