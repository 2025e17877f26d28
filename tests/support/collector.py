"""Python's collector of garbage, at work less often: a fifth of a simulation's time went to it."""

from __future__ import annotations

import gc

THRESHOLDS = (50_000, 20, 100)
"""Of the three generations; Python's own are 700, 10 and 10."""


def collect_seldom() -> None:
    """Leave out what is there already, which stays, and wait for more before looking again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
