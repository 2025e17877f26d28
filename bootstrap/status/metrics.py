"""How late the replica is and how much the stream takes, by their metrics; what retention costs."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.plan.cost_model import EXTENDED_DAYS, PRICES, STANDARD_DAYS, Prices

GB = 1e9
DAY = 86_400.0
YOUNG = 900.0
"""Seconds. Of a stream that is younger, three datapoints at most would speak for a year."""


@dataclass(frozen=True)
class Retention:
    """What the stream keeps, at the pace of the last day, and what that costs beyond a stream that
    keeps nothing longer than a day. US dollars a month.
    """

    hours: int
    gb_per_day: float
    now: float
    """For what it keeps since it was made."""
    full: float
    """Once it is as old as its retention."""


def retention(
    hours: int, age_seconds: float, stream_bytes: float, price: Prices = PRICES
) -> Retention | None:
    """The costs of a stream of this age that keeps `hours` and took so much in its last day.

    None for one that is too young to tell.
    """
    if age_seconds < YOUNG:
        return None
    # A stream that is younger than a day took all of it since it was made.
    age, days = age_seconds / DAY, hours / 24
    daily, kept = stream_bytes / GB / min(1.0, age), min(days, age)
    return Retention(hours, daily, daily * _rate(kept, price), daily * _rate(days, price))


def _rate(days: float, price: Prices) -> float:
    """A month's cost of a GB a day that is kept for so many days."""
    extended = max(0.0, min(days, EXTENDED_DAYS) - STANDARD_DAYS)
    long_term = max(0.0, days - EXTENDED_DAYS)
    return extended * price.extended_gb_month + long_term * price.long_term_gb_month
