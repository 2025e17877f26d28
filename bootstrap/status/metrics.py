"""The cost of the stream's retention, from its metrics."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.plan.cost_inputs import EXTENDED_DAYS, STANDARD_DAYS
from bootstrap.plan.prices import PRICES, Prices

GB = 1e9
DAY = 86_400.0
YOUNG = 900.0
"""Seconds. A younger stream has at most three datapoints, too few for an estimate."""


@dataclass(frozen=True)
class Retention:
    """The stream's volume at the pace of the last day, and the cost of keeping it for longer than a
    day, in US dollars a month.
    """

    hours: int
    gb_per_day: float
    now: float
    """The cost at its present age."""
    full: float
    """The cost once it is as old as its retention."""


def retention(
    hours: int, age_seconds: float, stream_bytes: float, price: Prices = PRICES
) -> Retention | None:
    """Compute the cost of a stream of this age that keeps `hours`; None if it is too young.

    `stream_bytes` is its volume in the last day.
    """
    if age_seconds < YOUNG:
        return None
    # A stream younger than a day took all of it since its creation.
    age, days = age_seconds / DAY, hours / 24
    daily, kept = stream_bytes / GB / min(1.0, age), min(days, age)
    return Retention(hours, daily, daily * _rate(kept, price), daily * _rate(days, price))


def _rate(days: float, price: Prices) -> float:
    """Return a month's cost of one GB a day, kept for so many days."""
    extended = max(0.0, min(days, EXTENDED_DAYS) - STANDARD_DAYS)
    long_term = max(0.0, days - EXTENDED_DAYS)
    return extended * price.extended_gb_month + long_term * price.long_term_gb_month
