"""Metrics of one table that `status` shows."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.core.errors import BootstrapError
from bootstrap.core.facts import INCOMING_BYTES, ConsumerActivity, Lag, Usage
from replicator import names

PERIOD = 300
MINUTE = 60
ACTIVITY_LOOKS_BACK = 900.0
DAY = 86_400.0
LAG_LOOKS_BACK = 3600


class Metrics:
    """CloudWatch of one account and Region. An unreadable metric is None, never an error."""

    def __init__(self, calls: Calls, cloudwatch: Any) -> None:
        self._calls = calls
        self._cloudwatch = cloudwatch
        self.unread: set[str] = set()
        """Names of the metrics that could not be read."""

    def lag(self, dimensions: Mapping[str, str], now: float) -> Lag | None:
        """Read the consumer's ReplicationLag.

        `dimensions`: of the stack's own metrics. `now`: epoch seconds, exact to a few minutes.
        """
        points = self._points(
            names.NAMESPACE,
            names.REPLICATION_LAG,
            dimensions,
            now - LAG_LOOKS_BACK,
            now,
            PERIOD,
            ExtendedStatistics=["p50", "p99"],
        )
        if points is None:
            self.unread.add(names.REPLICATION_LAG)
        if not points:
            return None
        newest = max(points, key=lambda point: point["Timestamp"])
        found = newest.get("ExtendedStatistics", {})
        if not {"p50", "p99"} <= found.keys():
            return None
        begin = newest["Timestamp"].timestamp()
        return Lag(begin, PERIOD, found["p50"] / 1000, found["p99"] / 1000)

    def stream_bytes(self, stream: str, now: float) -> float | None:
        """Sum IncomingBytes over a day, up to the last five minutes."""
        until = now // PERIOD * PERIOD
        points = self._points(
            "AWS/Kinesis",
            INCOMING_BYTES,
            {"StreamName": stream},
            until - DAY,
            until,
            PERIOD,
            Statistics=["Sum"],
        )
        if points is None:
            self.unread.add(INCOMING_BYTES)
        return None if not points else float(sum(point["Sum"] for point in points))

    def activity(
        self, function: str, dimensions: Mapping[str, str], now: float
    ) -> ConsumerActivity:
        """Count what the consumer did in the last 15 minutes. `dimensions`: as in `lag`."""
        lambda_ = {"FunctionName": function}

        def total(namespace: str, name: str, dimensions: Mapping[str, str]) -> float | None:
            since = now - ACTIVITY_LOOKS_BACK
            points = self._points(
                namespace, name, dimensions, since, now, MINUTE, Statistics=["Sum"]
            )
            return None if points is None else float(sum(point["Sum"] for point in points))

        return ConsumerActivity(
            seconds=ACTIVITY_LOOKS_BACK,
            invocations=total("AWS/Lambda", "Invocations", lambda_),
            errors=total("AWS/Lambda", "Errors", lambda_),
            throttles=total("AWS/Lambda", "Throttles", lambda_),
            applied=total(names.NAMESPACE, names.CHANGES_APPLIED, dimensions),
            retried=total(names.NAMESPACE, names.CHANGES_RETRIED, dimensions),
        )

    def _points(
        self,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str],
        since: float,
        until: float,
        period: int,
        **statistics: list[str],
    ) -> list[dict[str, Any]] | None:
        """Read a metric's datapoints; None if they cannot be read."""
        try:
            answer = self._calls(
                "cloudwatch",
                self._cloudwatch.get_metric_statistics,
                f"metric {name}",
                Namespace=namespace,
                MetricName=name,
                Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
                StartTime=datetime.datetime.fromtimestamp(since, datetime.UTC),
                EndTime=datetime.datetime.fromtimestamp(until, datetime.UTC),
                Period=period,
                **statistics,
            )
        except BootstrapError:
            return None
        points: list[dict[str, Any]] = answer["Datapoints"]
        return points


def usage(
    source: Metrics, consumer: Metrics, *, dimensions: Mapping[str, str], stream: str, now: float
) -> Usage:
    """Read both metrics. `consumer`: of the target account, in the consumer's Region.

    `dimensions`: of the stack's own metrics. `stream`: empty where a table's own is the buffer,
    which costs nothing.
    """
    lag = consumer.lag(dimensions, now)
    stream_bytes = source.stream_bytes(stream, now) if stream else None
    return Usage(lag, stream_bytes, frozenset(consumer.unread | source.unread))
