"""The moments at which the source stops and starts taking writes: those of a Deny with two dates.

A policy takes minutes to reach every caller. Between its two dates it holds for all of them at one
instant, so it is put while it is inert and closes the table by the clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bootstrap.core.durations import Timing


@dataclass(frozen=True)
class WriteDenyTimes:
    """Moments in whole seconds since 1970, by AWS's clock.

    `closes`: writers are refused from here. `mark`: no change is newer, unless the Deny leaks.
    `reopens`: without a further step the source takes writes again.
    """

    closes: int
    mark: int
    reopens: int

    @classmethod
    def after(cls, now: float, timeout: float, timing: Timing) -> WriteDenyTimes:
        """Plan the times for an attempt that may take `timeout` seconds once the source is closed.

        The second after the mark begins a period of DynamoDB's metrics, so that the first one
        after the mark holds no second before it.
        """
        period, settling = timing.metric_period, math.ceil(timing.write_settling)
        earliest = now + timing.policy_spread + settling
        mark = math.ceil(earliest / period) * period - 1
        if mark < earliest:
            mark += period
        closes = mark - settling
        # At the last moment before the timeout there has to be time to seal it.
        held = max(2 * timeout, timeout + timing.policy_spread)
        return cls(closes, mark, reopens=closes + math.ceil(held))

    def put_in_time(self, now: float, timing: Timing) -> bool:
        """Tell whether a Deny that AWS took at `now` reaches every caller before it closes."""
        return now + timing.policy_spread / 2 <= self.closes

    def sealed_in_time(self, now: float, timing: Timing) -> bool:
        """Tell whether a Deny without an end, which AWS took at `now`, reaches every caller before
        this one ends.
        """
        return now + timing.policy_spread / 2 <= self.reopens

    def may_seal(self, now: float, timing: Timing) -> bool:
        """Tell whether enough of the Deny is left to replace it with one that has no end."""
        return now + timing.policy_spread <= self.reopens
