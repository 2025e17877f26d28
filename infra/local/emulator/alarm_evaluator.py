"""CloudWatch alarms, evaluated periodically and as documented.

User guide, "How alarm state is evaluated when data is missing". AWS does not say how many more
periods than it needs it looks at; its example looks at two more, and so is done here.
"""

from __future__ import annotations

import logging
import operator
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.local.emulator.patching import Json, Ministack
from infra.local.emulator.settings import EmulatorSettings

log = logging.getLogger("local.alarms")

OK, ALARM, UNKNOWN = "OK", "ALARM", "INSUFFICIENT_DATA"
MORE_PERIODS = 2
"""How much further back than its evaluation periods an alarm looks for data."""
EVALUATED_SECONDS = 60
"""Between two evaluations of an alarm."""

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass(frozen=True)
class AlarmRule:
    """The rule of an alarm's state: at least `datapoints` of `periods` datapoints breach it."""

    comparison: str
    threshold: float
    periods: int
    datapoints: int
    missing: str
    """breaching, notBreaching, ignore or missing."""

    @property
    def looks_back(self) -> int:
        """The number of periods that are evaluated."""
        return self.periods + MORE_PERIODS

    def state(self, values: Sequence[float | None], before: str) -> str:
        """Return the state that follows from the latest `looks_back` datapoints, oldest first.

        None is a missing one. As many real ones as there are count, the latest first; what
        is wanting of them is filled in as `missing` says.
        """
        bad = _COMPARISONS[self.comparison]
        shown = values[-self.looks_back :]
        real = [bad(value, self.threshold) for value in shown if value is not None]
        counted = real[-self.periods :]
        wanting = self.periods - len(counted)
        if self.missing in ("breaching", "notBreaching"):
            breaching = sum(counted) + (wanting if self.missing == "breaching" else 0)
            return ALARM if breaching >= self.datapoints else OK
        if not counted:
            return before if self.missing == "ignore" else UNKNOWN
        if sum(counted) >= self.datapoints:
            return ALARM
        if wanting == 0 or not all(counted):
            return OK
        # Every datapoint breaches, but there are too few of them.
        if self.missing == "ignore":
            return before
        oldest = next(n for n, value in enumerate(shown) if value is not None)
        return ALARM if len(shown) - oldest >= self.datapoints else OK


def rule_of(alarm: Mapping[str, Any]) -> AlarmRule:
    """Return the rule of an alarm in the API's terms (PutMetricAlarm)."""
    periods = int(alarm["EvaluationPeriods"])
    missing = str(alarm.get("TreatMissingData") or "missing")
    if alarm["Namespace"] == "AWS/DynamoDB":
        # "Alarms that evaluate metrics in the AWS/DynamoDB namespace always ignore missing data
        # even if you choose a different option" (API reference, PutMetricAlarm).
        missing = "ignore"
    return AlarmRule(
        comparison=str(alarm["ComparisonOperator"]),
        threshold=float(alarm["Threshold"]),
        periods=periods,
        datapoints=int(alarm.get("DatapointsToAlarm") or periods),
        missing=missing,
    )


class AlarmEvaluator:
    """Replaces ministack's evaluation, which ignores dimensions and missing data."""

    def __init__(self, ministack: Ministack, settings: EmulatorSettings) -> None:
        self._ministack = ministack
        self._settings = settings

    def install(self) -> None:
        """Replace ministack's functions: only `run` evaluates alarms."""
        self._ministack.replace("cloudwatch", "_evaluate_alarm", lambda alarm: None)
        self._ministack.replace("cloudwatch", "_evaluate_all_alarms", lambda: None)

    def run(self) -> None:
        """Evaluate every alarm periodically, forever."""
        pause = self._settings.watched(EVALUATED_SECONDS)
        while True:
            time.sleep(pause)
            for (account, region, _), alarm in list(
                self._ministack.cloudwatch._alarms._data.items()
            ):
                try:
                    with self._ministack.responses.request_scope(account, region):
                        self.evaluate(alarm, time.time())
                except Exception:
                    log.exception("Alarm %s could not be evaluated", alarm.get("AlarmName"))

    def evaluate(self, alarm: Json, now: float) -> None:
        """Update the state of an alarm of the current account and Region."""
        if not alarm.get("MetricName"):
            return
        rule = rule_of(alarm)
        before = alarm["StateValue"]
        values = self._values(alarm, rule.looks_back, now)
        after = rule.state(values, before)
        if after == before:
            return
        service = self._ministack.cloudwatch
        shown = ", ".join("-" if value is None else f"{value:g}" for value in values)
        reason = f"Datapoints [{shown}] {rule.comparison} {rule.threshold:g}"
        alarm["StateValue"], alarm["StateReason"] = after, reason
        alarm["StateUpdatedTimestamp"] = int(now)
        service._record_history(alarm["AlarmName"], before, after, reason)
        service._dispatch_alarm_actions(alarm, before, after, reason)
        service._evaluate_parent_alarms(alarm)

    def _values(self, alarm: Json, count: int, now: float) -> list[float | None]:
        """Return the datapoints of the latest whole periods, oldest first."""
        service = self._ministack.cloudwatch
        period = self._settings.watched(float(alarm["Period"]))
        end = now // period * period
        begin = end - count * period
        dimensions = {each["Name"]: each["Value"] for each in alarm.get("Dimensions") or ()}
        key = (alarm["Namespace"], alarm["MetricName"], service._dims_key(dimensions))
        periods: list[list[Json]] = [[] for _ in range(count)]
        for point in reversed(service._metrics.get(key) or []):
            at = float(point["Timestamp"])
            if at < begin - count * period:
                break  # nearly in order of time: what comes now is older still
            if begin <= at < end:
                periods[min(count - 1, int((at - begin) / period))].append(point)
        statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic")
        return [
            service._stat_value(service._calc_stats(points), statistic, points) if points else None
            for points in periods
        ]
