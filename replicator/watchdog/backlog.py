"""The backlog of a table's own stream: what has not ended, by metrics and the consumer's notes.

No record can be put into such a stream to see it come through, and a record that was handed over is
not yet applied. So each hand-over waits for a batch that ended, and for one as old. What nothing
proves is in doubt: among it are writes that changed nothing, which enter no stream (developer
guide, "Change data capture for DynamoDB Streams").
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replicator import names
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
"""Values of a lag that still counts although its batch has ended: more may wait in its shard."""
THROTTLED_SECONDS = 1800.0
"""Throttles with less between them are one stretch. Lambda tries again at longer and longer
intervals, and does not say which shard has had no turn."""
WRITES = ("ConsumedWriteCapacityUnits", "TimeToLiveDeletedItemCount")
"""Of AWS/DynamoDB. Deletions by time to live consume no write units."""


@dataclass(frozen=True)
class Known:
    """The state of things before the metrics are read. Epoch seconds.

    `since`: every change before it is in the target, or in the snapshot: that is proved. `begin`:
    from here on the metrics are to be read. `held`: since when changes may wait that were made
    while the mapping was off. `receiving`: the mapping is on, and Lambda reports no problem of it;
    `off`: it is off. `unended`: when the oldest record was made that the consumer could not end.
    """

    since: float
    begin: float
    held: float | None = None
    receiving: bool = True
    off: bool = False
    unended: float | None = None


@dataclass(frozen=True)
class Reception:
    """The batches that the consumer received and ended, and the writes to the source, by minute.

    Each is the begin of a minute with a value, and the value, from `begin` on, sorted. `ages`: the
    age of the last record of a batch that Lambda handed over, in seconds, the greatest of the
    minute; it is tried again with a value of its own. `ended`: the age of the first record of a
    batch that ended, likewise. `throttled`: hand-overs that Lambda refused itself. `writes`: units,
    or deletions. `written_before`: the source took writes from the moment asked for until `begin`.
    """

    begin: float
    ages: Sequence[tuple[float, float]]
    writes: Sequence[tuple[float, float]]
    ended: Sequence[tuple[float, float]] = ()
    throttled: Sequence[tuple[float, float]] = ()
    written_before: bool = False


class ReceptionReader:
    """A reader of these metrics. `source`: the CloudWatch client of the source account, when asked
    for; `target`: that of the consumer's account and Region. `dimensions`: those of the consumer's
    own metrics."""

    def __init__(
        self,
        source: Callable[[], Any],
        target: Any,
        *,
        table: str,
        function: str,
        dimensions: Mapping[str, str],
    ) -> None:
        self._source, self._target = source, target
        of_function = {"FunctionName": function}
        self._age = Metric("AWS/Lambda", "IteratorAge", of_function, "Maximum")
        self._throttles = Metric("AWS/Lambda", "Throttles", of_function, "Sum")
        self._ended = Metric(names.NAMESPACE, names.ENDED_AGE, dimensions, "Maximum")
        self._written = [
            Metric("AWS/DynamoDB", name, {"TableName": table}, "Sum") for name in WRITES
        ]

    def read(self, since: float, at: float) -> Reception:
        """Read the minutes from `since` on, and no more than a day of them.

        Raises:
            UnreadableError: a metric cannot be read, or the observer's role cannot be assumed.
        """
        # CloudWatch answers 1,440 datapoints a call (API reference, GetMetricStatistics).
        begin = max(since // MINUTE * MINUTE, a_day_before(at))
        source = self._source()
        ages = datapoints(self._target, self._age, begin, at, MINUTE)
        ended = datapoints(self._target, self._ended, begin, at, MINUTE)
        throttled = datapoints(self._target, self._throttles, begin, at, MINUTE)
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
            ended=sorted(ended),
            throttled=sorted(each for each in throttled if each[1]),
            written_before=any(value for _, value in earlier),
        )


def a_day_before(at: float) -> float:
    """Return the first whole minute of the day before a moment."""
    return math.ceil((at - DAY) / MINUTE) * MINUTE


def backlog_of(known: Known, seen: Reception, at: float) -> Backlog:
    """Return what waits, or may. `at`: now, in epoch seconds."""
    is_ended = _Ended(seen.ended)
    handed = [each for each in seen.ages if each[0] >= known.since]
    recent = [(minute, age) for minute, age in handed if minute >= at - RECENT_SECONDS]
    lag = max((age for _, age in recent), default=None)
    reached = min((minute - age for minute, age in recent), default=None)
    waiting: list[float] = []
    doubts: list[float] = []
    if known.unended is not None:
        waiting.append(known.unended)
    if lag is not None and reached is not None and lag >= MOST_NORMAL_SECONDS:
        waiting.append(reached)
    waiting += [
        minute - age
        for minute, age in handed
        if not is_ended.by(minute, age)
        and (age >= MOST_NORMAL_SECONDS or minute < at - SETTLED_SECONDS)
    ]
    unreceived = _first_unreceived(known, seen, handed, is_ended, at)
    held = known.held
    if known.off:
        held = min((each for each in (held, unreceived) if each is not None), default=None)
    for each in (unreceived, held):
        if each is not None:
            (doubts if known.receiving else waiting).append(each)
    throttled = _throttled_since(known, seen, at)
    if throttled is not None:
        doubts.append(throttled)
    since = max(known.since, min(waiting)) if waiting else None
    doubtful = max(known.since, min(doubts)) if doubts else None
    if since is not None and doubtful is not None and doubtful >= since:
        doubtful = None  # what is known says it all
    bounds = [each for each in (since, doubtful, reached) if each is not None]
    known_to = max(known.since, min([*bounds, at - SETTLED_SECONDS]))
    return Backlog(known_to, since, doubtful, held=held, lag=lag)


class _Ended:
    """The batches that have ended."""

    def __init__(self, ended: Sequence[tuple[float, float]]) -> None:
        self._minutes = [minute for minute, _ in ended]
        begins = [minute - age for minute, age in ended]
        # From each minute on: when the oldest first record of a batch that ended was made.
        self._oldest = [*itertools.accumulate(reversed(begins), min)][::-1]

    def by(self, minute: float, age: float) -> bool:
        """Tell whether the last record of this hand-over has ended: a batch that ended at the time
        or later began with a record as old."""
        n = bisect.bisect_left(self._minutes, minute)
        # Both minutes are rounded down, and times of creation are whole seconds.
        return n < len(self._oldest) and self._oldest[n] <= minute - age + MINUTE + 1


def _first_unreceived(
    known: Known,
    seen: Reception,
    handed: Sequence[tuple[float, float]],
    is_ended: _Ended,
    at: float,
) -> float | None:
    """Return when the source was first written to with nothing received and ended since."""
    reached = [
        minute + MINUTE - (age if age >= MOST_NORMAL_SECONDS else 0.0)
        for minute, age in handed
        # The consumer's metric of the last minutes may not be there yet.
        if is_ended.by(minute, age) or minute >= at - SETTLED_SECONDS
    ]
    newest = max(reached, default=None)
    if newest is not None and known.off:
        newest -= MINUTE  # a change of the same minute may have come after the mapping was off
    if seen.written_before and newest is None:
        return max(known.since, known.begin)
    later = [
        minute
        for minute, _ in seen.writes
        if minute < at - SETTLED_SECONDS
        and minute + MINUTE > known.since
        and (newest is None or minute >= newest)
    ]
    return max(known.since, min(later)) if later else None


def _throttled_since(known: Known, seen: Reception, at: float) -> float | None:
    """Return since when Lambda has refused hand-overs; None: it has not lately."""
    begin = None
    later = at
    for minute, _ in reversed(seen.throttled):
        if minute < known.since or later - minute > THROTTLED_SECONDS:
            break
        begin = later = minute
    return begin


def enters(table: TableState | None, stream: str) -> bool:
    """Return whether the table's changes enter this stream of its own now."""
    return table is not None and table.stream.on and table.stream.arn == stream
