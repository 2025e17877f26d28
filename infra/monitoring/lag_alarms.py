"""Alarms on changes that reach the target late."""

from __future__ import annotations

from collections.abc import Sequence

from infra.alarm_config import Thresholds
from infra.monitoring.definition import (
    DAY,
    HOUR,
    MILLISECONDS,
    MINUTE,
    Alarm,
    AlarmInputs,
    gauge,
    kinesis_replication,
)
from replicator import names
from replicator.buffers import KINESIS
from replicator.watchdog import detectors

MORE_SHARDS = (
    "raise shards in the stack file (or set streamMode ON_DEMAND without shards), then: pulumi up "
    "--refresh. Quicker by hand: aws kinesis update-shard-count --stream-name NAME "
    "--target-shard-count NUMBER --scaling-type UNIFORM_SCALING. The next pulumi up leaves that as "
    "it is; write the number into the stack file too. An adopted stream's owner raises its shards."
)


def consumer_lag(table: AlarmInputs, limits: Thresholds) -> Sequence[Alarm]:
    """Define the alarms on a consumer that is behind."""
    age = limits.iterator_age_minutes
    return (
        Alarm(
            name=names.ALARM_REPLICATION_LAG,
            place="consumer",
            namespace=names.NAMESPACE,
            metric=names.REPLICATION_LAG,
            dimensions=table.dimensions,
            statistic="p99",
            comparison="GreaterThanThreshold",
            threshold=limits.replication_lag_seconds * MILLISECONDS,
            # No changes, no lag.
            missing="notBreaching",
            fires=f"p99 over {limits.replication_lag_seconds} s, five minutes in a row",
            means="Changes reach the target late.",
            first="check the dashboard: iterator age shows a consumer that is behind, throttles "
            "show why.",
            period=MINUTE,
            periods=5,
            datapoints=5,
        ),
        _iterator_age(
            table,
            names.ALARM_ITERATOR_AGE,
            age * 60,
            f"records are over {age} min old when the consumer gets them",
            "The consumer is behind, in at least one shard.",
            "check its errors, throttles and duration; the log names a record that blocks a shard, "
            "and bootstrap park removes it.",
        ),
        gauge(
            table,
            names.ALARM_RETENTION_USED,
            detectors.BUFFER,
            "GreaterThanOrEqualToThreshold",
            limits.retention_used_percent / 100,
            f"the oldest unapplied change has used {limits.retention_used_percent} % of the "
            "stream's retention",
            critical=True,
        ),
        *(_of_stream if table.buffer == KINESIS else _of_table_stream)(table, limits),
    )


def _of_stream(table: AlarmInputs, limits: Thresholds) -> Sequence[Alarm]:
    ledger_seconds = table.ledger_retention_days * DAY * limits.ledger_used_percent / 100
    return (
        _iterator_age(
            table,
            names.ALARM_LEDGER_EXPIRING,
            ledger_seconds,
            f"iterator age reaches {limits.ledger_used_percent} % of the ledger's retention",
            "Ledger entries may soon expire while changes still wait: a late old change would then "
            "be applied over a newer one.",
            "bootstrap pause, which stops the ledger's expiry; then find why it is behind.",
            critical=True,
        ),
        gauge(
            table,
            names.ALARM_PROBES_LATE,
            detectors.PROBES,
            "GreaterThanOrEqualToThreshold",
            limits.probe_age_minutes * 60,
            f"no probe processed for {limits.probe_age_minutes} min",
            # Not measured while the consumer is off on purpose; `watchdog-blind` fires when
            # probes cannot be read.
            missing="notBreaching",
        ),
    )


def _of_table_stream(table: AlarmInputs, limits: Thresholds) -> Sequence[Alarm]:
    """Define the alarms of a stream that forgets within a day, which no entry of a ledger does.

    Lambda has no iterator age while the mapping is off: then the watchdog's gauges grow.
    """
    critical = DAY * limits.retention_used_percent / 100
    return (
        _iterator_age(
            table,
            names.ALARM_ITERATOR_AGE_CRITICAL,
            critical,
            f"iterator age reaches {limits.retention_used_percent} % of 24 hours",
            "The consumer is far behind, and the table's stream forgets changes after 24 hours.",
            "check its errors, throttles and duration; the log names a record that blocks a shard, "
            "and bootstrap park removes it.",
            critical=True,
        ),
        gauge(
            table,
            names.ALARM_UNREAD,
            detectors.UNREAD,
            "GreaterThanOrEqualToThreshold",
            limits.iterator_age_minutes * 60,
            "changes have waited, or may have, for "
            f"{limits.iterator_age_minutes} min, also during a pause",
        ),
    )


def _iterator_age(
    table: AlarmInputs,
    name: str,
    seconds: float,
    fires: str,
    means: str,
    first: str,
    *,
    critical: bool = False,
) -> Alarm:
    # A record that is tried again at longer and longer intervals has a value in few periods; a
    # Kinesis stream has probes, which show it, too.
    periods, datapoints = (3, 3) if table.buffer == KINESIS else (3, 1)
    return Alarm(
        name=name,
        place="consumer",
        namespace="AWS/Lambda",
        metric="IteratorAge",
        dimensions={"FunctionName": table.function},
        statistic="Maximum",
        comparison="GreaterThanOrEqualToThreshold",
        threshold=seconds * MILLISECONDS,
        # Lambda has no value while nothing is read: `mapping-off` and the watchdog cover that.
        missing="notBreaching",
        fires=fires,
        means=means,
        first=first,
        periods=periods,
        datapoints=datapoints,
        critical=critical,
    )


def stream_lag(table: AlarmInputs, limits: Thresholds) -> Sequence[Alarm]:
    """Define the alarms on changes that wait for the stream, and on a throttled stream."""
    if table.buffer != KINESIS:
        return ()  # a table's own stream takes its changes at once, at no limit of its own
    return (
        *(
            Alarm(
                name=name,
                place="source",
                namespace="AWS/DynamoDB",
                metric="AgeOfOldestUnreplicatedRecord",
                dimensions=kinesis_replication(table),
                statistic="Maximum",
                comparison="GreaterThanOrEqualToThreshold",
                threshold=hours * HOUR * MILLISECONDS,
                missing="ignore",
                fires=f"DynamoDB's oldest change has waited {hours} h to enter the stream",
                means="DynamoDB cannot put its changes into the stream. After 168 hours it "
                "switches the destination off, and the waiting changes are lost.",
                first="check the stream's write throttles and status, that its key is enabled and "
                "its policy unchanged; then ask AWS Support.",
                critical=name == names.ALARM_UNREPLICATED_CRITICAL,
            )
            for name, hours in (
                (names.ALARM_UNREPLICATED_WARNING, limits.unreplicated_warning_hours),
                (names.ALARM_UNREPLICATED_CRITICAL, limits.unreplicated_critical_hours),
            )
        ),
        Alarm(
            name=names.ALARM_PUTS_THROTTLED,
            place="source",
            namespace="AWS/DynamoDB",
            metric="ThrottledPutRecordCount",
            dimensions=kinesis_replication(table),
            statistic="Sum",
            comparison="GreaterThanThreshold",
            threshold=limits.throttled_puts_count,
            missing="ignore",
            fires="DynamoDB's puts into the stream are throttled, 15 minutes in a row",
            means="The stream is too small for the table's changes. DynamoDB retries; lag grows.",
            first=f"{MORE_SHARDS} An on-demand stream grows by itself.",
            periods=3,
            datapoints=3,
        ),
        *(
            Alarm(
                name=name,
                place="source",
                namespace="AWS/Kinesis",
                metric=metric,
                dimensions={"StreamName": table.stream},
                statistic="Sum",
                comparison="GreaterThanThreshold",
                threshold=limits.stream_throttles_count,
                missing="notBreaching",
                fires=f"Kinesis throttles {verb}s, 15 minutes in a row",
                means=means,
                first=first,
                periods=3,
                datapoints=3,
            )
            for name, verb, metric, means, first in (
                (
                    names.ALARM_STREAM_WRITE_THROTTLED,
                    "write",
                    "WriteProvisionedThroughputExceeded",
                    "The stream is too small for the table's changes: they reach it late.",
                    MORE_SHARDS,
                ),
                (
                    names.ALARM_STREAM_READ_THROTTLED,
                    "read",
                    "ReadProvisionedThroughputExceeded",
                    "The stream is read faster than a shard allows: changes reach the consumer "
                    "late.",
                    f"find other readers of the stream (CloudTrail). Otherwise {MORE_SHARDS}",
                ),
            )
        ),
    )
