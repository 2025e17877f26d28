"""The watchdog's readings of AWS. Each method is one reading, and raises `UnreadableError` only.

In the source account it acts as the observer role: neither DescribeKinesisStreamingDestination nor
GetMetricStatistics can be allowed to another account by a resource's policy.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replicator import aws
from replicator.aws import Failure
from replicator.change import Probe
from replicator.foreign_rows import INDEX_KEY, ForeignRow, foreign_key, tables_in
from replicator.probes import (
    PROBES_PER_PUT,
    ProbeRecord,
    misplaced,
    not_taken,
    probe_key,
    put_request,
)
from replicator.settings import SETTINGS_KEY
from replicator.stream import (
    Destination,
    Shard,
    StreamFacts,
    destinations_in,
    open_shards_in,
    open_shards_request,
    stream_in,
)
from replicator.unended_row import UNENDED_KEY, created_in
from replicator.watchdog.aws_states import TableState, table_in
from replicator.watchdog.lambda_states import (
    FunctionState,
    MappingState,
    function_in,
    mapping_in,
)
from replicator.watchdog.metric_spans import DAY, MINUTE, count_begin, metric_spans
from replicator.watchdog.probe_rounds import ProbeRound, WatchdogState
from replicator.watchdog.readings import PROBES_THROTTLED, SHARDS_CHANGED, Intent, Undelivered

BOOK_KEY = b"watchdog"
KEYS_PER_READ = 100
PUT_WAITS = (1.0, 2.0, 4.0)
"""Seconds between the attempts to put probes."""
READ_ATTEMPTS = 4
PAGES_COUNTED = 10
"""Pages of 1,000 objects: a higher count changes no decision."""

RECENT = 15 * MINUTE


_NO_TABLE = ("ResourceNotFoundException", "TableNotFoundException")


class UnreadableError(Exception):
    """A reading failed; the message is the error's code."""


def ask(method: Callable[..., Any], **request: Any) -> dict[str, Any]:
    """Call AWS; raise UnreadableError for any error."""
    answer = aws.call(method, request)
    if isinstance(answer, Failure):
        raise UnreadableError(answer.code)
    return answer


def _found(method: Callable[..., Any], *missing: str, **request: Any) -> dict[str, Any] | None:
    """Call AWS; return None for an error code that says that there is no such thing."""
    try:
        return ask(method, **request)
    except UnreadableError as error:
        if str(error) in missing:
            return None
        raise


@dataclass(frozen=True)
class Metric:
    """A CloudWatch metric and the statistic of it to read."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str


def datapoints(
    cloudwatch: Any, metric: Metric, since: float, until: float, period: int
) -> list[tuple[float, float]]:
    """Read the begin of each period that has a value (epoch seconds), and the value."""
    answer = ask(
        cloudwatch.get_metric_statistics,
        Namespace=metric.namespace,
        MetricName=metric.name,
        Dimensions=[{"Name": name, "Value": each} for name, each in metric.dimensions.items()],
        StartTime=datetime.datetime.fromtimestamp(since, datetime.UTC),
        EndTime=datetime.datetime.fromtimestamp(until, datetime.UTC),
        Period=period,
        Statistics=[metric.statistic],
    )
    return [
        (each["Timestamp"].timestamp(), float(each[metric.statistic]))
        for each in answer["Datapoints"]
    ]


class SourceSide:
    """The source account. `client` returns a client of its Region as the observer role."""

    def __init__(self, client: Callable[[str], Any], table: str, stream: str) -> None:
        self._client = client
        self._table = table
        self._stream = stream

    def table(self) -> TableState | None:
        return _table(self._client("dynamodb"), self._table)

    def destinations(self) -> list[Destination]:
        method = self._client("dynamodb").describe_kinesis_streaming_destination
        answer = _found(method, *_NO_TABLE, TableName=self._table)
        return [] if answer is None else destinations_in(answer)  # no table, no destination

    def stream(self) -> StreamFacts | None:
        method = self._client("kinesis").describe_stream_summary
        answer = _found(method, "ResourceNotFoundException", StreamName=self._stream)
        return None if answer is None else stream_in(answer)

    def skipped(self, since: float, now: float) -> int:
        """Count the records that DynamoDB gave up on; `since` 0: from when on is not known yet."""
        since = count_begin(since, now)
        name = "FailedToReplicateRecordCount"
        values = [self._metric(name, "Sum", *each) for each in metric_spans(since, now)]
        return round(sum(itertools.chain.from_iterable(values)))

    def unreplicated(self, now: float) -> float:
        """Return the seconds that the oldest change has waited for the stream; 0 if none waits."""
        name = "AgeOfOldestUnreplicatedRecord"
        values = self._metric(name, "Maximum", now - RECENT, now, MINUTE)
        return max(values, default=0.0) / 1000

    def _metric(
        self, name: str, statistic: str, since: float, until: float, period: int
    ) -> list[float]:
        dimensions = {"TableName": self._table, "DelegatedOperation": "KinesisDataStream"}
        metric = Metric("AWS/DynamoDB", name, dimensions, statistic)
        points = datapoints(self._client("cloudwatch"), metric, since, until, period)
        return [value for _, value in points]

    def open_shards(self) -> list[Shard]:
        request: dict[str, Any] | None = open_shards_request(self._stream)
        shards: list[Shard] = []
        while request is not None:
            found, request = open_shards_in(ask(self._client("kinesis").list_shards, **request))
            shards += found
        return shards

    def put_probes(self, records: Sequence[ProbeRecord], sleep: Callable[[float], None]) -> None:
        """Put every record; wait between attempts, because a throttled shard needs a second.

        Raise UnreadableError: ProbesThrottled if Kinesis still refuses some, ShardsChanged if
        another shard took one than the one that it is for.
        """
        for start in range(0, len(records), PROBES_PER_PUT):
            left = list(records[start : start + PROBES_PER_PUT])
            for wait in (*PUT_WAITS, None):
                method = self._client("kinesis").put_records
                answer = ask(method, **put_request(self._stream, left))
                if misplaced(left, answer):
                    raise UnreadableError(SHARDS_CHANGED)
                left = not_taken(left, answer)
                if not left:
                    break
                if wait is None:
                    raise UnreadableError(PROBES_THROTTLED)
                sleep(wait)


class TargetSide:
    """The target account, as the watchdog's own role."""

    def __init__(
        self,
        *,
        dynamodb: Any,
        lambda_: Any,
        cloudwatch: Any,
        table: str,
        mapping: str,
        function: str,
    ) -> None:
        self._dynamodb = dynamodb
        self._lambda = lambda_
        self._cloudwatch = cloudwatch
        self._table = table
        self._mapping = mapping
        self._function = function

    def table(self) -> TableState | None:
        return _table(self._dynamodb, self._table)

    def mapping(self) -> MappingState | None:
        """Read the stack's event source mapping; None if it is deleted."""
        return self.mapping_of(self._mapping)

    def mapping_of(self, uuid: str) -> MappingState | None:
        """Read an event source mapping; None if it is deleted."""
        method = self._lambda.get_event_source_mapping
        answer = _found(method, "ResourceNotFoundException", UUID=uuid)
        return None if answer is None else mapping_in(answer)

    def function(self) -> FunctionState | None:
        """Read the consumer's function; None if it is deleted."""
        method = self._lambda.get_function_configuration
        answer = _found(method, "ResourceNotFoundException", FunctionName=self._function)
        return None if answer is None else function_in(answer)

    def undelivered(self, since: float, now: float) -> Undelivered:
        """Count the batches that Lambda put nowhere; `since` 0: from when on is not known yet."""
        metric = Metric(
            "AWS/Lambda", "DestinationDeliveryFailures", {"FunctionName": self._function}, "Sum"
        )
        since = count_begin(since, now)
        whole = self._spans(metric, metric_spans(since, now), now)
        if not whole:
            return Undelivered()
        # Whole days may be summed up, but the time of a new one matters to the minute.
        recent = self._spans(metric, [(max(since, now - DAY), now, MINUTE)], now)
        count, begin, end = _total(whole)
        if recent:
            fine_count, fine_begin, end = _total(recent)
            begin = fine_begin if fine_count >= count else begin
        return Undelivered(round(count), begin, end)

    def _spans(
        self, metric: Metric, stretches: Sequence[tuple[float, float, int]], now: float
    ) -> list[tuple[float, float, float]]:
        """Read the values that are not zero, each with the begin and end of its period."""
        return [
            (value, at, min(now, at + period))
            for begin, end, period in stretches
            for at, value in datapoints(self._cloudwatch, metric, begin, end, period)
            if value
        ]


def _total(spans: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    values, begins, ends = zip(*spans, strict=True)
    return sum(values), min(begins), max(ends)


def count_objects(s3: Any, bucket: str, prefix: str = "") -> int | None:
    """Count the objects under a prefix, up to 10,000; None if there is no such bucket."""
    count = 0
    request = {"Bucket": bucket, "Prefix": prefix}
    for _ in range(PAGES_COUNTED):
        answer = _found(s3.list_objects_v2, "NoSuchBucket", **request)
        if answer is None:
            return None
        count += len(answer.get("Contents", ()))
        if not answer.get("IsTruncated"):
            break
        request["ContinuationToken"] = answer["NextContinuationToken"]
    return count


class LedgerRows:
    """The ledger table's rows other than entries: settings, probes, watchdog, other tables."""

    def __init__(self, dynamodb: Any, ledger_table: str) -> None:
        self._dynamodb = dynamodb
        self._table = ledger_table

    def intent(self) -> Intent:
        row = self._row(SETTINGS_KEY)
        try:
            moments = [int(row[key]["N"]) / 1e6 for key in ("floor", "settled") if key in row]
            return Intent(
                consuming=_flag(row, "consume"),
                replicating=_flag(row, "expire"),
                paused=_flag(row, "paused"),
                counted_from=max(moments, default=None),
                proved=int(row["through"]["N"]) / 1e6 if "through" in row else None,
                armed=row["armed"]["S"] if "armed" in row else "",
                closed=row["closed"]["S"] if "closed" in row else "",
                primary=int(row["primary"]["N"]) / 1e6 if "primary" in row else None,
                finished="finished" in row,
                stream=row["stream"]["S"] if "stream" in row else "",
                mapping=row["mapping"]["S"] if "mapping" in row else "",
            )
        except (KeyError, TypeError, ValueError):
            raise UnreadableError("SettingsUnreadable") from None

    def unended(self) -> dict[str, int]:
        """Read the records of a table's stream that are delivered again: order, epoch seconds."""
        try:
            return created_in(self._row(UNENDED_KEY))
        except ValueError:
            raise UnreadableError("UnendedRowUnreadable") from None

    def foreign(self) -> list[ForeignRow]:
        """Read the other tables whose records the consumer has met in the stream."""
        try:
            tables = sorted(tables_in(self._row(INDEX_KEY)))
            rows = []
            for start in range(0, len(tables), KEYS_PER_READ):
                rows += self._foreign_rows(tables[start : start + KEYS_PER_READ])
        except ValueError:
            raise UnreadableError("ForeignRowUnreadable") from None
        return rows

    def _foreign_rows(self, tables: Sequence[str]) -> list[ForeignRow]:
        request = {
            self._table: {
                "Keys": [{"k": {"B": foreign_key(table)}} for table in tables],
                "ConsistentRead": True,
            }
        }
        rows: list[ForeignRow] = []
        for _ in range(READ_ATTEMPTS):
            answer = ask(self._dynamodb.batch_get_item, RequestItems=request)
            rows += [ForeignRow.from_item(item) for item in answer["Responses"][self._table]]
            request = answer.get("UnprocessedKeys") or {}
            if not request:
                return rows
        raise UnreadableError("KeysUnprocessed")

    def watchdog_state(self) -> WatchdogState:
        row = self._row(BOOK_KEY)
        if not row:
            return WatchdogState()
        try:
            return WatchdogState.from_text(row["book"]["S"])
        except (KeyError, ValueError):
            raise UnreadableError("BookUnreadable") from None

    def store_state(self, state: WatchdogState) -> None:
        item = {"k": {"B": BOOK_KEY}, "book": {"S": state.as_text()}}
        ask(self._dynamodb.put_item, TableName=self._table, Item=item)

    def came_through(self, probes: ProbeRound) -> float | None:
        """Return when a round's last probe came through (epoch seconds); None if one is missing."""
        latest = 0.0
        for start in range(0, probes.count, KEYS_PER_READ):
            numbers = range(start, min(start + KEYS_PER_READ, probes.count))
            answer = ask(
                self._dynamodb.batch_get_item,
                RequestItems={
                    self._table: {
                        "Keys": [{"k": {"B": probe_key(Probe(probes.probe, n))}} for n in numbers],
                        "ConsistentRead": True,
                    }
                },
            )
            # An unprocessed key counts as not yet through: the next round reads it again.
            rows = answer["Responses"].get(self._table, [])
            if len(rows) < len(numbers):
                return None
            latest = max([latest, *(int(row["at"]["N"]) / 1e6 for row in rows)])
        return latest

    def _row(self, key: bytes) -> Mapping[str, Any]:
        answer = ask(
            self._dynamodb.get_item,
            TableName=self._table,
            Key={"k": {"B": key}},
            ConsistentRead=True,
        )
        row: Mapping[str, Any] = answer.get("Item", {})
        return row


def _flag(row: Mapping[str, Any], name: str) -> bool:
    return name in row and row[name]["BOOL"] is True


def _table(dynamodb: Any, table: str) -> TableState | None:
    """Return a table's id and state; None if there is no table."""
    answer = _found(dynamodb.describe_table, *_NO_TABLE, TableName=table)
    return None if answer is None else table_in(answer)
