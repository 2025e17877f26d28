"""The backlog of a table's own stream: what the consumer has not received, by CloudWatch's metrics.

No record can be put into such a stream to see it come through. What is known instead: the age of
what Lambda handed to the consumer, minute by minute, and the minutes in which the table took
writes. A minute with a write and none handed over since is in doubt: a write that changes nothing
enters no stream (developer guide, "Change data capture for DynamoDB Streams").
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from replicator.watchdog.aws_readings import Metric, datapoints
from replicator.watchdog.aws_states import TableState
from replicator.watchdog.metric_spans import DAY, MINUTE, metric_spans
from replicator.watchdog.readings import MOST_NORMAL_SECONDS, Backlog

KEPT_HOURS = 24
"""A table's stream forgets a record after 24 hours (developer guide, "Change data capture for
DynamoDB Streams")."""
KEPT_SECONDS = KEPT_HOURS * 3600.0
SETTLED_SECONDS = 300.0
"""After this a metric counts as whole: CloudWatch has its values some minutes late."""
RECENT_SECONDS = 600.0
"""Values of a lag that still counts. Lambda tries a batch that failed again at longer and longer
intervals, and has a value for each attempt: a value per shard is in here."""
WRITES = ("ConsumedWriteCapacityUnits", "TimeToLiveDeletedItemCount")
"""Of AWS/DynamoDB. Deletions by time to live consume no write units."""


@dataclass(frozen=True)
class Known:
    """The state of things before the metrics are read. Epoch seconds.

    `since`: every change before it is in the target, or in the snapshot. `unread`: since when
    changes are known to wait; None: none are. `receiving`: the mapping is on, and Lambda reports no
    problem of it.
    """

    since: float
    unread: float | None
    receiving: bool


@dataclass(frozen=True)
class Reception:
    """The records that the consumer received, by their age, and when the source was written to.

    `ages` and `writes`: the begin of each minute with a value, and the value: the age of the last
    record of a batch in seconds, the greatest of the minute; and write units or deletions. They
    begin at `begin`. `written_before`: the source took writes from the known moment until then.
    """

    begin: float
    ages: Sequence[tuple[float, float]]
    writes: Sequence[tuple[float, float]]
    written_before: bool = False


class ReceptionReader:
    """A reader of both metrics. `source`: the CloudWatch client of the source account, when asked
    for; `target`: that of the consumer's account and Region."""

    def __init__(
        self, source: Callable[[], Any], target: Any, *, table: str, function: str
    ) -> None:
        self._source, self._target = source, target
        self._age = Metric("AWS/Lambda", "IteratorAge", {"FunctionName": function}, "Maximum")
        self._written = [
            Metric("AWS/DynamoDB", name, {"TableName": table}, "Sum") for name in WRITES
        ]

    def read(self, since: float, at: float) -> Reception:
        """Read the minutes from `since` on, and no more than a day of them.

        Raises:
            UnreadableError: a metric cannot be read, or the observer's role cannot be assumed.
        """
        # CloudWatch answers 1,440 datapoints a call (API reference, GetMetricStatistics).
        begin = max(since // MINUTE * MINUTE, math.ceil((at - DAY) / MINUTE) * MINUTE)
        source = self._source()
        ages = datapoints(self._target, self._age, begin, at, MINUTE)
        writes = [
            each
            for metric in self._written
            for each in datapoints(source, metric, begin, at, MINUTE)
            if each[1]
        ]
        before = metric_spans(since, begin) if since < begin else []
        earlier = itertools.chain.from_iterable(
            datapoints(source, metric, *span) for metric in self._written for span in before
        )
        return Reception(
            begin,
            sorted((minute, value / 1000) for minute, value in ages),
            sorted(writes),
            written_before=any(value for _, value in earlier),
        )


def backlog_of(known: Known, seen: Reception, at: float) -> Backlog:
    """Return what waits. `at`: now, in epoch seconds.

    A write counts as received if Lambda handed anything over in its minute or later: less is not to
    be had from these metrics. While nothing is received, a write is certain to wait.
    """
    earliest = max(known.since, at - RECENT_SECONDS)
    recent = [(minute, age) for minute, age in seen.ages if minute >= earliest]
    lag = max((age for _, age in recent), default=None)
    reached = min((minute - age for minute, age in recent), default=None)
    waiting, doubtful = [], None
    if lag is not None and reached is not None and lag >= MOST_NORMAL_SECONDS:
        waiting.append(reached)
    first = _first_unreceived(known, seen, at)
    if not known.receiving:
        waiting += [each for each in (first, known.unread) if each is not None]
    elif not waiting:
        nothing_since = not seen.ages and known.unread is not None
        doubtful = known.unread if nothing_since else first
    since = max(known.since, min(waiting)) if waiting else None
    return Backlog(_known_to(known, since, doubtful, reached, at), since, doubtful, lag)


def _first_unreceived(known: Known, seen: Reception, at: float) -> float | None:
    """Return when the source was first written to with nothing received since."""
    newest = max((minute for minute, _ in seen.ages), default=None)
    if seen.written_before and newest is None:
        return known.since
    later = [
        minute
        for minute, _ in seen.writes
        if minute < at - SETTLED_SECONDS and (newest is None or minute > newest)
    ]
    return max(known.since, min(later)) if later else None


def _known_to(
    known: Known, since: float | None, doubtful: float | None, reached: float | None, at: float
) -> float:
    """Return up to when every change has been received, by all that is known."""
    bounds = [each for each in (since, doubtful) if each is not None]
    settled = at - SETTLED_SECONDS
    latest = min(bounds) if bounds else settled if reached is None else min(reached, settled)
    return max(known.since, latest)


def enters(table: TableState | None, stream: str) -> bool:
    """Return whether the table's changes enter this stream of its own now."""
    return table is not None and table.stream.on and table.stream.arn == stream
