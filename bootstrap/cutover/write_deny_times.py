"""The moments at which the source stops and starts taking writes: those of a Deny with two dates.

A policy takes minutes to reach every caller. Between its two dates it holds for all of them at one
instant, so it is put while it is inert and closes the table by the clock.
"""

from __future__ import annotations

from dataclasses import dataclass

SPREAD_SECONDS = 600
"""Time for a new policy to reach every caller. AWS says "up to 5 minutes" of its own action of this
kind (AWS Fault Injection Service, "AWS FIS actions reference"); this is twice that."""
SETTLE_SECONDS = 60
"""From the first date to the mark: requests that were admitted before it have ended by then."""
SEAL_MARGIN_SECONDS = 600
"""The Deny is made permanent only while so much of it is left: a policy needs time to spread."""


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
    def after(cls, now: float, timeout: float) -> WriteDenyTimes:
        """Plan the times for an attempt that may take `timeout` seconds once the source is closed.

        The second after the mark is a whole minute: DynamoDB's metrics come by the minute, and the
        first one after the mark then holds no second before it.
        """
        earliest = now + SPREAD_SECONDS + SETTLE_SECONDS
        mark = int(-(-earliest // 60)) * 60 - 1
        if mark < earliest:
            mark += 60
        closes = mark - SETTLE_SECONDS
        return cls(closes, mark, reopens=closes + 2 * int(-(-timeout // 1)))

    def may_seal(self, now: float) -> bool:
        """Return whether enough of the Deny is left to replace it with one that has no end."""
        return now + SEAL_MARGIN_SECONDS <= self.reopens
