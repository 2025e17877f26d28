"""The definition of an alarm, and the forms that several alarms share: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from replicator import names
from replicator.buffers import KINESIS
from replicator.watchdog.detectors import Detector

Place = Literal["source", "consumer", "target"]
Missing = Literal["breaching", "notBreaching", "ignore"]
Comparison = Literal["GreaterThanThreshold", "GreaterThanOrEqualToThreshold", "LessThanThreshold"]

MINUTE, ROUND, HOUR = 60, 300, 3600
"""Seconds; a round is the watchdog's."""
MILLISECONDS = 1000
DAY = 24 * HOUR

DESCRIPTION_LIMIT = 1024
"""Characters (API reference, PutMetricAlarm)."""

STAYS = (
    " This alarm keeps its state until AWS reports the metric again; once the cause is "
    "fixed, reset it with: aws cloudwatch set-alarm-state --alarm-name NAME --state-value OK "
    "--state-reason fixed."
)


@dataclass(frozen=True)
class AlarmInputs:
    """The names and limits of one table that its alarms use.

    Names that Pulumi generates may be Outputs.
    """

    stack: str
    source_account: str
    source_table: str
    target_table: str
    ledger_retention_days: int
    timeout_seconds: int
    stream: object = "STREAM"
    function: object = "FUNCTION"
    ledger: object = "LEDGER"
    buffer: str = KINESIS

    @property
    def dimensions(self) -> Mapping[str, object]:
        """The dimensions of the metrics that consumer and watchdog emit."""
        return names.dimensions(self.stack, self.source_table, self.source_account, self.function)


@dataclass(frozen=True)
class Alarm:
    """One alarm. Times in seconds, `threshold` in the metric's unit."""

    name: str
    place: Place
    namespace: str
    metric: str
    dimensions: Mapping[str, object]
    statistic: str
    """Sum, Maximum, Minimum or a percentile such as p99."""
    comparison: Comparison
    threshold: float
    missing: Missing
    fires: str
    """The condition, as a reader would put it."""
    means: str
    first: str
    """What to do first."""
    period: int = ROUND
    periods: int = 1
    datapoints: int = 1
    """The number of bad periods that fires it."""
    critical: bool = False
    """Changes are lost, or will be: act at once."""

    @property
    def description(self) -> str:
        """The text that its notification carries."""
        grade = "CRITICAL" if self.critical else "WARNING"
        stays = STAYS if self.missing == "ignore" and self.namespace.startswith("AWS/") else ""
        return f"{grade}. {self.means} First: {self.first}{stays}"[:DESCRIPTION_LIMIT]


def gauge(
    table: AlarmInputs,
    name: str,
    detector: Detector,
    comparison: Comparison,
    threshold: float,
    fires: str,
    *,
    statistic: str = "Maximum",
    missing: Missing = "breaching",
    critical: bool = False,
) -> Alarm:
    """Define an alarm on a gauge of the watchdog. One bad value fires it: a gauge is a state."""
    return Alarm(
        name=name,
        place="consumer",
        namespace=names.NAMESPACE,
        metric=detector.metric,
        dimensions=table.dimensions,
        statistic=statistic,
        comparison=comparison,
        threshold=threshold,
        missing=missing,
        fires=fires,
        means=detector.means,
        first=detector.first,
        critical=critical,
    )


def gauge_above_zero(table: AlarmInputs, name: str, detector: Detector, fires: str) -> Alarm:
    """Define a critical alarm on a gauge that counts lost changes."""
    return gauge(table, name, detector, "GreaterThanThreshold", 0, fires, critical=True)


def gauge_below_one(
    table: AlarmInputs, name: str, detector: Detector, fires: str, *, critical: bool = False
) -> Alarm:
    """Define an alarm on a gauge that is 1 while all is well."""
    return gauge(
        table,
        name,
        detector,
        "LessThanThreshold",
        1,
        fires,
        statistic="Minimum",
        critical=critical,
    )


def kinesis_replication(table: AlarmInputs) -> dict[str, object]:
    """Return the dimensions of DynamoDB's metrics about its destination."""
    return {"TableName": table.source_table, "DelegatedOperation": "KinesisDataStream"}
