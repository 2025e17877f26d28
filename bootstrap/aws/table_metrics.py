"""Metrics of DynamoDB tables in one account and Region."""

from __future__ import annotations

import datetime
from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.core.facts import Datapoint


class TableMetrics:
    """CloudWatch's datapoints of a table's metrics, oldest first."""

    def __init__(self, calls: Calls, cloudwatch: Any) -> None:
        self._calls = calls
        self._cloudwatch = cloudwatch

    def consumed_writes(
        self, table: str, since: float, until: float, period: int, index: str = ""
    ) -> list[Datapoint]:
        """Read the write units that a table consumed, without its indexes', or an index."""
        of_index = {"GlobalSecondaryIndexName": index} if index else {}
        dimensions = {"TableName": table, **of_index}
        return self.read("ConsumedWriteCapacityUnits", "Sum", dimensions, since, until, period)

    def read(
        self,
        name: str,
        statistic: str,
        dimensions: dict[str, str],
        since: float,
        until: float,
        period: int,
    ) -> list[Datapoint]:
        """Read one statistic, for periods (seconds) that begin in the span."""
        answer = self._calls(
            "cloudwatch",
            self._cloudwatch.get_metric_statistics,
            f"metric {name} of table {dimensions['TableName']}",
            Namespace="AWS/DynamoDB",
            MetricName=name,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=datetime.datetime.fromtimestamp(since, datetime.UTC),
            EndTime=datetime.datetime.fromtimestamp(until, datetime.UTC),
            Period=period,
            Statistics=[statistic],
        )
        points = (
            Datapoint(each["Timestamp"].timestamp(), float(each[statistic]))
            for each in answer["Datapoints"]
        )
        return sorted(points, key=lambda point: point.begin)
