"""The progress of a step as a bar, and an estimate of the time left."""

from __future__ import annotations

from bootstrap.core.facts import Measure

WIDTH = 24
LEAST_SHARE = 0.02
LEAST_SECONDS = 60.0
"""Below either limit, the pace is too uncertain for an estimate."""


def share(measure: Measure | None) -> float | None:
    """Return the share done, from 0 to 1; None where the total is unknown."""
    shares = _shares(measure)
    return None if shares is None else shares[0]


def _shares(measure: Measure | None) -> tuple[float, float] | None:
    """Return the share done, and the share that was done before the pace is measured."""
    if measure is None:
        return None
    for done, before, whole in (
        (measure.items, measure.before_items, measure.of_items),
        (measure.size_bytes, measure.before_bytes, measure.of_bytes),
    ):
        if done is not None and whole:
            return min(1.0, done / whole), min(1.0, before / whole)
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
    shares = _shares(measure)
    if measure is None or shares is None or measure.since is None or measure.unit != "items":
        return None
    part, before = shares
    elapsed = at - measure.since
    if part - before < LEAST_SHARE or part >= 1 or elapsed < LEAST_SECONDS:
        return None
    return elapsed * (1 - part) / (part - before)
