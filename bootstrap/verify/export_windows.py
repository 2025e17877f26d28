"""The windows of a backfill: how a gap is cut into incremental exports."""

from __future__ import annotations

import itertools
import math

SHORTEST, LONGEST = 15 * 60, 24 * 3600
"""Seconds that the window of an incremental export has at least and at most (developer guide,
ServiceQuotas: "between 15 minutes and 24 hours")."""


def split_windows(begin: float, end: float, scale: float = 1.0) -> list[tuple[int, int]]:
    """Consecutive windows [from, to) in whole seconds that cover the gap.

    A gap shorter than the shortest window is widened backwards: what was replicated already is
    superseded. `scale` is that of the clock.
    """
    last = math.ceil(end)
    first = min(math.floor(begin), last - math.ceil(SHORTEST * scale))
    count = math.ceil((last - first) / (LONGEST * scale))
    cuts = [first + (last - first) * n // count for n in range(count + 1)]
    return list(itertools.pairwise(cuts))
