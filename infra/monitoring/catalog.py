"""Every alarm of a table, as plain values: what it stands on, when it fires, what to do then.

Where nothing is said of it, `missing` follows one rule: a gauge of the watchdog that is not there
is as bad as a bad one, because what cannot be read is never healthy; a metric that counts events,
or that exists only while changes flow, is fine when it is not there, because the watchdog's probes
find a consumer that does nothing at all.

CloudWatch "always ignores missing data" of metrics in AWS/DynamoDB, whatever an alarm says (API
reference, PutMetricAlarm): such an alarm keeps its state until there is another value. They say
`ignore` here, and say so in their description.
"""

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
    Comparison,
    Missing,
)
from replicator import names
from replicator.watchdog import detectors
from replicator.watchdog.detectors import Detector


def alarms(lane: AlarmInputs, limits: Thresholds) -> tuple[Alarm, ...]:
    """All alarms of a table, the worst first."""
    return (
        *_losses(lane),
        *_watchdog(lane),
        *_machinery(lane),
        *_lag(lane, limits),
        *_source(lane, limits),
        *_function(lane, limits),
        *_throttles(lane, limits),
    )


def _gauge(
    lane: AlarmInputs,
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
    """An alarm on a gauge of the watchdog: one bad value is enough, as it is a state."""
    return Alarm(
        name=name,
        place="consumer",
        namespace=names.NAMESPACE,
        metric=detector.metric,
        dimensions=names.dimensions(lane.stack, lane.source_table),
        statistic=statistic,
        comparison=comparison,
        threshold=threshold,
        missing=missing,
        fires=fires,
        means=detector.means,
        first=detector.first,
        critical=critical,
    )


def _above(lane: AlarmInputs, name: str, detector: Detector, fires: str) -> Alarm:
    return _gauge(lane, name, detector, "GreaterThanThreshold", 0, fires, critical=True)


def _below(
    lane: AlarmInputs, name: str, detector: Detector, fires: str, *, critical: bool = False
) -> Alarm:
    return _gauge(
        lane,
        name,
        detector,
        "LessThanThreshold",
        1,
        fires,
        statistic="Minimum",
        critical=critical,
    )


def _losses(lane: AlarmInputs) -> Sequence[Alarm]:
    return (
        _below(
            lane,
            "destination-gone",
            detectors.DESTINATION,
            "the streaming destination is not active, or another stream's",
            critical=True,
        ),
        _above(
            lane, "source-changed", detectors.SOURCE, "the source table's id is not the first one"
        ),
        _above(
            lane, "target-changed", detectors.TARGET, "the target table's id is not the first one"
        ),
        _above(
            lane,
            "records-skipped",
            detectors.SKIPPED,
            "DynamoDB skipped a record since the snapshot or the last whole verification",
        ),
        Alarm(
            name="replication-failed",
            place="source",
            namespace="AWS/DynamoDB",
            metric="FailedToReplicateRecordCount",
            dimensions=_replication(lane),
            statistic="Sum",
            comparison="GreaterThanThreshold",
            threshold=0,
            missing="ignore",
            fires="DynamoDB skips a record (at once, in the source account)",
            means="DynamoDB did not put a change record into the stream: too large, or refused. "
            "The replica lacks that change.",
            first="see the stream's record size and key; then run the backfill that bootstrap "
            "status names, or verify --repair.",
            period=MINUTE,
            critical=True,
        ),
        _above(
            lane,
            "foreign-records",
            detectors.FOREIGN,
            "another table's record came through this stream within 15 minutes",
        ),
        _above(lane, "quarantine-not-empty", detectors.QUARANTINE, "a record lies in quarantine"),
        _above(
            lane, "on-failure-objects", detectors.FAILURES, "an object lies in the failures bucket"
        ),
    )


def _watchdog(lane: AlarmInputs) -> Sequence[Alarm]:
    dimensions = names.dimensions(lane.stack, lane.source_table)
    return (
        Alarm(
            name="watchdog-silent",
            place="consumer",
            namespace=names.NAMESPACE,
            metric=names.WATCHDOG_RAN,
            dimensions=dimensions,
            statistic="Sum",
            comparison="LessThanThreshold",
            threshold=1,
            # Its absence is what this is about.
            missing="breaching",
            fires="no sign of life for three rounds",
            means="The watchdog does not run: nobody looks for lost changes.",
            first="see the watchdog's log group and its schedule (EventBridge rule).",
            periods=3,
            datapoints=3,
            critical=True,
        ),
        Alarm(
            name="watchdog-blind",
            place="consumer",
            namespace=names.NAMESPACE,
            metric=names.READINGS_MISSED,
            dimensions=dimensions,
            statistic="Minimum",
            comparison="GreaterThanThreshold",
            threshold=0,
            # The alarm on its silence fires for that.
            missing="ignore",
            fires="it cannot make a reading, three rounds in a row",
            means="The watchdog runs, and cannot read something: that may be lost or not, nobody "
            "knows.",
            first="its log names the readings and the errors; pulumi up --refresh mends roles.",
            periods=3,
            datapoints=3,
        ),
    )


def _machinery(lane: AlarmInputs) -> Sequence[Alarm]:
    return (
        _below(
            lane,
            "mapping-off",
            detectors.MAPPING,
            "the mapping is off or gone, once the bootstrap has switched it on and without a pause",
            critical=True,
        ),
        _below(
            lane,
            "stream-unhealthy",
            detectors.STREAM,
            "status, retention or record size is not as deployed",
            critical=True,
        ),
        _below(lane, "precision-lost", detectors.PRECISION, "records no longer carry microseconds"),
        Alarm(
            name="burst-breaker",
            place="consumer",
            namespace=names.NAMESPACE,
            metric=names.QUARANTINE_REFUSED,
            dimensions=names.dimensions(lane.stack, lane.source_table),
            statistic="Sum",
            comparison="GreaterThanThreshold",
            threshold=0,
            missing="notBreaching",
            fires="too many records of an invocation, or of ten minutes, would go to quarantine",
            means="So many records cannot be applied that the cause is no property of a record: "
            "nothing is quarantined, and the lane waits.",
            first="the consumer's log names the reasons; if each is bad in its own way, raise "
            "quarantineBurst.",
            # A batch that fails comes again, at longer and longer intervals.
            periods=3,
        ),
    )


def _lag(lane: AlarmInputs, limits: Thresholds) -> Sequence[Alarm]:
    age = limits.iterator_age_minutes
    ledger_seconds = lane.ledger_retention_days * DAY * limits.ledger_used_percent / 100
    return (
        Alarm(
            name="replication-lag",
            place="consumer",
            namespace=names.NAMESPACE,
            metric=names.REPLICATION_LAG,
            dimensions=names.dimensions(lane.stack, lane.source_table),
            statistic="p99",
            comparison="GreaterThanThreshold",
            threshold=limits.replication_lag_seconds * MILLISECONDS,
            # No changes, no lag.
            missing="notBreaching",
            fires=f"p99 over {limits.replication_lag_seconds} s, five minutes in a row",
            means="Changes reach the target late.",
            first="the dashboard: iterator age says whether the consumer is behind, throttles why.",
            period=MINUTE,
            periods=5,
            datapoints=5,
        ),
        _iterator_age(
            lane,
            "iterator-age",
            age * 60,
            f"records are over {age} min old when the consumer gets them",
            "The consumer is behind, in at least one shard.",
            "its errors, throttles and duration; a record that blocks a shard is named in the log, "
            "and bootstrap park takes it out.",
        ),
        _gauge(
            lane,
            "retention-used",
            detectors.BUFFER,
            "GreaterThanOrEqualToThreshold",
            limits.retention_used_percent / 100,
            f"the oldest unapplied change has used {limits.retention_used_percent} % of the "
            "stream's retention",
            critical=True,
        ),
        _iterator_age(
            lane,
            "ledger-expiring",
            ledger_seconds,
            f"iterator age reaches {limits.ledger_used_percent} % of the ledger's retention",
            "Ledger entries may soon expire while changes still wait: a late old change would then "
            "be applied over a newer one.",
            "bootstrap pause, which stops the ledger's expiry; then find out why it is behind.",
            critical=True,
        ),
        _gauge(
            lane,
            "probes-late",
            detectors.PROBES,
            "GreaterThanOrEqualToThreshold",
            limits.probe_age_minutes * 60,
            f"no probe through for {limits.probe_age_minutes} min",
            # Not measured while the consumer is off on purpose; that probes cannot be read is told
            # by the alarm on missed readings.
            missing="notBreaching",
        ),
    )


def _iterator_age(
    lane: AlarmInputs,
    name: str,
    seconds: float,
    fires: str,
    means: str,
    first: str,
    *,
    critical: bool = False,
) -> Alarm:
    return Alarm(
        name=name,
        place="consumer",
        namespace="AWS/Lambda",
        metric="IteratorAge",
        dimensions={"FunctionName": lane.function},
        statistic="Maximum",
        comparison="GreaterThanOrEqualToThreshold",
        threshold=seconds * MILLISECONDS,
        # Lambda has no value while nothing is read: the mapping's own alarm, and probes, see that.
        missing="notBreaching",
        fires=fires,
        means=means,
        first=first,
        periods=3,
        datapoints=3,
        critical=critical,
    )


def _source(lane: AlarmInputs, limits: Thresholds) -> Sequence[Alarm]:
    return (
        *(
            Alarm(
                name=f"unreplicated-{grade}",
                place="source",
                namespace="AWS/DynamoDB",
                metric="AgeOfOldestUnreplicatedRecord",
                dimensions=_replication(lane),
                statistic="Maximum",
                comparison="GreaterThanOrEqualToThreshold",
                threshold=hours * HOUR * MILLISECONDS,
                missing="ignore",
                fires=f"DynamoDB's oldest change has waited {hours} h for the stream",
                means="DynamoDB does not get its changes into the stream. At 168 hours it switches "
                "the destination off, and what waited is lost.",
                first="the stream's write throttles and status; that its key is enabled and its "
                "policy unchanged; then AWS Support.",
                critical=grade == "critical",
            )
            for grade, hours in (
                ("warning", limits.unreplicated_warning_hours),
                ("critical", limits.unreplicated_critical_hours),
            )
        ),
        Alarm(
            name="puts-throttled",
            place="source",
            namespace="AWS/DynamoDB",
            metric="ThrottledPutRecordCount",
            dimensions=_replication(lane),
            statistic="Sum",
            comparison="GreaterThanThreshold",
            threshold=limits.throttled_puts_count,
            missing="ignore",
            fires="DynamoDB's puts into the stream are throttled, 15 minutes in a row",
            means="The stream is too small for the table's changes. DynamoDB tries again; lag "
            "grows.",
            first="more shards (or streamMode ON_DEMAND); an on-demand stream doubles by itself.",
            periods=3,
            datapoints=3,
        ),
        *(
            Alarm(
                name=f"stream-{verb}-throttled",
                place="source",
                namespace="AWS/Kinesis",
                metric=metric,
                dimensions={"StreamName": lane.stream},
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
            for verb, metric, means, first in (
                (
                    "write",
                    "WriteProvisionedThroughputExceeded",
                    "The stream takes less than the table's changes: they reach it late.",
                    "more shards; if one shard alone is hot, split it.",
                ),
                (
                    "read",
                    "ReadProvisionedThroughputExceeded",
                    "The stream is read faster than a shard allows: changes reach the consumer "
                    "late.",
                    "see who else reads the stream (CloudTrail); more shards.",
                ),
            )
        ),
    )


def _function(lane: AlarmInputs, limits: Thresholds) -> Sequence[Alarm]:
    longest = lane.timeout_seconds * limits.duration_used_percent / 100
    rows: Sequence[tuple[str, str, str, Comparison, float, str, str, str]] = (
        (
            "function-errors",
            "Errors",
            "Sum",
            "GreaterThanThreshold",
            limits.function_errors_count,
            "invocations fail, 15 minutes in a row",
            "Batches fail as a whole: a bug, a role, a time-out. They come again, and their lanes "
            "wait.",
            "the consumer's log; a batch of one record that does it names what to park.",
        ),
        (
            "function-throttled",
            "Throttles",
            "Sum",
            "GreaterThanThreshold",
            limits.function_throttles_count,
            "invocations are throttled, 15 minutes in a row",
            "The function lacks concurrency: shards wait.",
            "the account's concurrency quota; raise or remove reservedConcurrency.",
        ),
        (
            "function-slow",
            "Duration",
            "Maximum",
            "GreaterThanOrEqualToThreshold",
            longest * MILLISECONDS,
            f"invocations take {limits.duration_used_percent} % of their time-out, 15 minutes in a "
            "row",
            "Invocations work until their time is up: the target does not take what comes.",
            "target and ledger throttles; else a smaller batchSize.",
        ),
    )
    return [
        Alarm(
            name=name,
            place="consumer",
            namespace="AWS/Lambda",
            metric=metric,
            dimensions={"FunctionName": lane.function},
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


def _throttles(lane: AlarmInputs, limits: Thresholds) -> Sequence[Alarm]:
    first = (
        "the table's maximum throughput and the account's quota; a hot key: no partition takes "
        "more than 1,000 write units a second, and each write costs double here."
    )
    return (
        Alarm(
            name="writes-throttled",
            place="consumer",
            namespace=names.NAMESPACE,
            metric=names.TARGET_THROTTLES,
            dimensions=names.dimensions(lane.stack, lane.source_table),
            statistic="Sum",
            comparison="GreaterThanThreshold",
            threshold=limits.target_throttles_count,
            missing="notBreaching",
            fires=f"over {limits.target_throttles_count} of the consumer's calls throttled in 5 "
            "min, 15 minutes in a row",
            means="Target or ledger do not take the changes as fast as they come: lag grows.",
            first=first,
            periods=3,
            datapoints=3,
        ),
        *(
            Alarm(
                name=f"{side}-throttled",
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
                means=f"DynamoDB throttles writes to the {side} table, whoever makes them.",
                first=first,
                periods=3,
                datapoints=3,
            )
            for side, table in (("target", lane.target_table), ("ledger", lane.ledger))
        ),
    )


def _replication(lane: AlarmInputs) -> dict[str, object]:
    return {"TableName": lane.source_table, "DelegatedOperation": "KinesisDataStream"}
