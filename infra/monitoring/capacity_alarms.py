"""Alarms on a function, a target or a ledger that is at its limit."""

from __future__ import annotations

from collections.abc import Sequence

from infra.alarm_config import Thresholds
from infra.monitoring.definition import MILLISECONDS, Alarm, AlarmInputs, Comparison
from replicator import names


def function(table: AlarmInputs, limits: Thresholds) -> Sequence[Alarm]:
    """Define the alarms on the consumer's function."""
    longest = table.timeout_seconds * limits.duration_used_percent / 100
    rows: Sequence[tuple[str, str, str, Comparison, float, str, str, str]] = (
        (
            names.ALARM_FUNCTION_ERRORS,
            "Errors",
            "Sum",
            "GreaterThanThreshold",
            limits.function_errors_count,
            "invocations fail, 15 minutes in a row",
            "Whole batches fail: a bug, a role or a time-out. Lambda retries them, and their "
            "shards wait.",
            "check the consumer's log; a batch of one record that fails names the record to park.",
        ),
        (
            names.ALARM_FUNCTION_THROTTLED,
            "Throttles",
            "Sum",
            "GreaterThanThreshold",
            limits.function_throttles_count,
            "invocations are throttled, 15 minutes in a row",
            "The function lacks concurrency: shards wait.",
            "check the account's concurrency quota; raise or remove reservedConcurrency.",
        ),
        (
            names.ALARM_FUNCTION_SLOW,
            "Duration",
            "Maximum",
            "GreaterThanOrEqualToThreshold",
            longest * MILLISECONDS,
            f"invocations take {limits.duration_used_percent} % of their time-out, 15 minutes in a "
            "row",
            "Invocations run until their time-out: the target is too slow for the changes.",
            "check target and ledger throttles; otherwise lower batchSize.",
        ),
    )
    return [
        Alarm(
            name=name,
            place="consumer",
            namespace="AWS/Lambda",
            metric=metric,
            dimensions={"FunctionName": table.function},
            statistic=statistic,
            comparison=comparison,
            threshold=threshold,
            missing="notBreaching",
            fires=fires,
            means=means,
            first=first,
            periods=3,
            datapoints=3,
        )
        for name, metric, statistic, comparison, threshold, fires, means, first in rows
    ]


def throttles(table: AlarmInputs, limits: Thresholds) -> Sequence[Alarm]:
    """Define the alarms on throttled writes to target and ledger."""
    first = (
        "check the table's maximum throughput, the account's quota, and hot keys: no partition "
        "takes more than 1,000 write units a second, and each write costs double here."
    )
    return (
        Alarm(
            name=names.ALARM_WRITES_THROTTLED,
            place="consumer",
            namespace=names.NAMESPACE,
            metric=names.TARGET_THROTTLES,
            dimensions=table.dimensions,
            statistic="Sum",
            comparison="GreaterThanThreshold",
            threshold=limits.target_throttles_count,
            missing="notBreaching",
            fires=f"over {limits.target_throttles_count} of the consumer's calls throttled in 5 "
            "min, 15 minutes in a row",
            means="Target or ledger throttle the consumer: lag grows.",
            first=first,
            periods=3,
            datapoints=3,
        ),
        *(
            Alarm(
                name=name,
                place="target",
                namespace="AWS/DynamoDB",
                metric="WriteThrottleEvents",
                dimensions={"TableName": table},
                statistic="Sum",
                comparison="GreaterThanThreshold",
                threshold=limits.target_throttles_count,
                missing="ignore",
                fires=f"over {limits.target_throttles_count} throttled writes in 5 min, 15 minutes "
                "in a row",
                means=f"DynamoDB throttles writes to the {side} table, by any writer.",
                first=first,
                periods=3,
                datapoints=3,
            )
            for name, side, table in (
                (names.ALARM_TARGET_THROTTLED, "target", table.target_table),
                (names.ALARM_LEDGER_THROTTLED, "ledger", table.ledger),
            )
        ),
    )
