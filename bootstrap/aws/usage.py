"""Metrics of one table that `status` shows."""

from __future__ import annotations

import datetime
from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.core.errors import BootstrapError
from bootstrap.core.facts import Lag, Usage
from replicator import names

PERIOD = 300
DAY = 86_400.0
LAG_LOOKS_BACK = 3600


class Metrics:
    """CloudWatch of one account and Region. An unreadable metric is None, never an error."""

    def __init__(self, calls: Calls, cloudwatch: Any) -> None:
        self._calls = calls
        self._cloudwatch = cloudwatch

    def lag(self, stack: str, table: str, now: float) -> Lag | None:
        """Read the consumer's ReplicationLag. `now`: epoch seconds, exact to a few minutes."""
        points = self._points(
            names.NAMESPACE,
            names.REPLICATION_LAG,
            names.dimensions(stack, table),
            now - LAG_LOOKS_BACK,
            now,
            PERIOD,
            ExtendedStatistics=["p50", "p99"],
        )
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
            "IncomingBytes",
            {"StreamName": stream},
            until - DAY,
            until,
            PERIOD,
            Statistics=["Sum"],
        )
        return None if not points else float(sum(point["Sum"] for point in points))

    def _points(
        self,
        namespace: str,
        name: str,
        dimensions: dict[str, str],
        since: float,
        until: float,
        period: int,
        **statistics: list[str],
    ) -> list[dict[str, Any]]:
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
            return []
        points: list[dict[str, Any]] = answer["Datapoints"]
        return points


def usage(
    source: Metrics, consumer: Metrics, *, stack: str, table: str, stream: str, now: float
) -> Usage:
    """Read both metrics. `consumer`: of the target account, in the consumer's Region."""
    return Usage(consumer.lag(stack, table, now), source.stream_bytes(stream, now))
