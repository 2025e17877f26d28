"""The periods in which CloudWatch still has a metric, and sums over a long time in them."""

from __future__ import annotations

import math

MINUTE = 60
HOUR = 3600
DAY = 24 * HOUR
FINEST = ((14 * DAY, MINUTE), (62 * DAY, 5 * MINUTE), (450 * DAY, HOUR))
"""Ages up to which CloudWatch has datapoints of a period: minutes for 15 days, five minutes for
63 days, hours for 455 days (API reference, GetMetricStatistics). It answers 1,440 of them a call.
"""
LOOK_BACK = FINEST[-1][0]


def metric_spans(
    since: float, until: float, finest: int = MINUTE
) -> list[tuple[float, float, int]]:
    """Divide a time into the spans (begin, end, period) in which a metric is summed up.

    From fine to coarse: each ends where the next coarser period begins. Where CloudWatch no longer
    has the finest period, the first begins a little too early: a repaired loss that is counted
    again is better than a missed one.
    """
    age = until - since
    fine = finest
    if age > FINEST[0][0]:
        fine = next(p for most, p in FINEST if age <= most or p == HOUR)
    begin, spans = since // fine * fine, []
    for period in sorted({fine, MINUTE, HOUR, DAY}):
        if period < fine:
            continue
        coarser = next((each for each in (MINUTE, HOUR, DAY) if each > period), None)
        end = until if coarser is None else min(until, math.ceil(begin / coarser) * coarser)
        if begin < end:
            spans.append((begin, end, period))
            begin = end
    return spans


def count_begin(since: float, now: float) -> float:
    """Return the moment from which events are counted; `since` 0: it is not known yet."""
    return max(since, now - (LOOK_BACK if since else FINEST[0][0]))
