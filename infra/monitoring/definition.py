"""What an alarm is, and what of a table it is made of: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

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
    " This alarm keeps its state until AWS reports the metric again; when it is mended, set it "
    "back with: aws cloudwatch set-alarm-state."
)


@dataclass(frozen=True)
class AlarmInputs:
    """What of a table the alarms' dimensions and limits are made of.

    Names that Pulumi makes up may be Outputs.
    """

    stack: str
    source_table: str
    target_table: str
    ledger_retention_days: int
    timeout_seconds: int
    stream: object = "STREAM"
    function: object = "FUNCTION"
    ledger: object = "LEDGER"


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
    """When it fires, for a reader."""
    means: str
    first: str
    """What to do first."""
    period: int = ROUND
    periods: int = 1
    datapoints: int = 1
    """So many of the periods have to be bad."""
    critical: bool = False
    """Changes are lost, or will be: not one for the morning."""

    @property
    def description(self) -> str:
        """What a person reads who is woken up by it."""
        grade = "CRITICAL" if self.critical else "WARNING"
        stays = STAYS if self.missing == "ignore" and self.namespace.startswith("AWS/") else ""
        return f"{grade}. {self.means} First: {self.first}{stays}"[:DESCRIPTION_LIMIT]
