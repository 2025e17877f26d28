"""Alarms on lost changes, on the watchdog that finds them, and on a pipeline that has stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from infra.monitoring.definition import (
    MINUTE,
    Alarm,
    AlarmInputs,
    gauge,
    gauge_above_zero,
    gauge_below_one,
    kinesis_replication,
)
from replicator import names
from replicator.buffers import KINESIS
from replicator.watchdog import detectors


def losses(table: AlarmInputs) -> Sequence[Alarm]:
    """Define the alarms on changes that are lost."""
    return (
        *(_destination(table) if table.buffer == KINESIS else _table_stream(table)),
        gauge(
            table,
            names.ALARM_SOURCE_WRITTEN,
            detectors.SOURCE_WRITTEN,
            "GreaterThanThreshold",
            0,
            "the old source took a write after a switch or a promotion, or the switch's Deny is "
            "gone from its policy, until `switch --finish`",
            # A promoted target's source may be out of reach, which is no sign of writes, nor that
            # they ended.
            missing="ignore",
            critical=True,
        ),
        gauge_above_zero(
            table,
            names.ALARM_SWITCH_UNFINISHED,
            detectors.SWITCH_UNFINISHED,
            "a switch has had the consumer closed for 30 minutes, or has been under way for two "
            "hours, without an end",
        ),
        _source_changed(table),
        gauge_above_zero(
            table,
            names.ALARM_TARGET_CHANGED,
            detectors.TARGET,
            "the target table's id is not the first one, or it is not ACTIVE",
        ),
        *(_skipped(table) if table.buffer == KINESIS else ()),
        gauge_above_zero(
            table,
            names.ALARM_BATCHES_LOST,
            detectors.UNDELIVERED,
            "Lambda put a batch nowhere since the snapshot or the last whole verification",
        ),
        Alarm(
            name=names.ALARM_DELIVERY_FAILED,
            place="consumer",
            namespace="AWS/Lambda",
            metric="DestinationDeliveryFailures",
            dimensions={"FunctionName": table.function},
            statistic="Sum",
            comparison="GreaterThanThreshold",
            threshold=0,
            missing="notBreaching",
            fires="Lambda cannot put a batch that it gives up into the on-failure bucket (at once)",
            means="Lambda gave a batch up and put it nowhere: the consumer's role lacks a right, "
            "or the on-failure bucket is gone or refuses. The replica lacks its changes.",
            first="pulumi up --refresh restores role and bucket; then run the backfill that "
            "bootstrap status names, or verify --repair.",
            period=MINUTE,
            critical=True,
        ),
        *(_foreign(table) if table.buffer == KINESIS else ()),
        gauge_above_zero(
            table,
            names.ALARM_QUARANTINE_NOT_EMPTY,
            detectors.QUARANTINE,
            "quarantine holds a record",
        ),
        gauge_above_zero(
            table,
            names.ALARM_ON_FAILURE_OBJECTS,
            detectors.FAILURES,
            "the on-failure bucket holds an object",
        ),
    )


def _source_changed(table: AlarmInputs) -> Alarm:
    alarm = gauge_above_zero(
        table,
        names.ALARM_SOURCE_CHANGED,
        detectors.SOURCE,
        "the source table's id is not the first one, or it is not ACTIVE",
    )
    return (
        alarm
        if table.buffer == KINESIS
        else replace(alarm, first=detectors.ANOTHER_STREAMED_SOURCE)
    )


def _destination(table: AlarmInputs) -> Sequence[Alarm]:
    return (
        gauge_below_one(
            table,
            names.ALARM_DESTINATION_GONE,
            detectors.DESTINATION,
            "the streaming destination is not active, or leads to another stream",
            critical=True,
        ),
    )


def _table_stream(table: AlarmInputs) -> Sequence[Alarm]:
    return (
        gauge_below_one(
            table,
            names.ALARM_TABLE_STREAM_GONE,
            detectors.TABLE_STREAM,
            "the table's own stream is off, or is not the one that the consumer reads",
            critical=True,
        ),
    )


def _skipped(table: AlarmInputs) -> Sequence[Alarm]:
    return (
        gauge_above_zero(
            table,
            names.ALARM_RECORDS_SKIPPED,
            detectors.SKIPPED,
            "DynamoDB skipped a record since the snapshot or the last whole verification",
        ),
        Alarm(
            name=names.ALARM_REPLICATION_FAILED,
            place="source",
            namespace="AWS/DynamoDB",
            metric="FailedToReplicateRecordCount",
            dimensions=kinesis_replication(table),
            statistic="Sum",
            comparison="GreaterThanThreshold",
            threshold=0,
            missing="ignore",
            fires="DynamoDB skips a record (at once, in the source account)",
            means="DynamoDB did not put a change record into the stream: too large, or refused. "
            "The replica lacks that change.",
            first="check the stream's record size and key; then run the backfill that "
            "bootstrap status names, or verify --repair.",
            period=MINUTE,
            critical=True,
        ),
    )


def _foreign(table: AlarmInputs) -> Sequence[Alarm]:
    return (
        gauge_above_zero(
            table,
            names.ALARM_FOREIGN_RECORDS,
            detectors.FOREIGN,
            "another table's record came through this stream within 15 minutes",
        ),
    )


def watchdog(table: AlarmInputs) -> Sequence[Alarm]:
    """Define the alarms on a watchdog that does not run or cannot read."""
    dimensions = table.dimensions
    return (
        Alarm(
            name=names.ALARM_WATCHDOG_SILENT,
            place="consumer",
            namespace=names.NAMESPACE,
            metric=names.WATCHDOG_RAN,
            dimensions=dimensions,
            statistic="Sum",
            comparison="LessThanThreshold",
            threshold=1,
            # It fires on the absence of data.
            missing="breaching",
            fires="no heartbeat for three rounds",
            means="The watchdog does not run: lost changes would go unnoticed.",
            first="check the watchdog's log group and its schedule (EventBridge rule).",
            periods=3,
            datapoints=3,
            critical=True,
        ),
        Alarm(
            name=names.ALARM_WATCHDOG_BLIND,
            place="consumer",
            namespace=names.NAMESPACE,
            metric=names.READINGS_MISSED,
            dimensions=dimensions,
            statistic="Minimum",
            comparison="GreaterThanThreshold",
            threshold=0,
            # `watchdog-silent` fires on missing data.
            missing="ignore",
            fires="a reading fails, three rounds in a row",
            means="The watchdog runs, but a reading fails: that part of the replication is "
            "unknown.",
            first="its log names the readings and the errors; pulumi up --refresh restores roles.",
            periods=3,
            datapoints=3,
        ),
    )


def pipeline(table: AlarmInputs) -> Sequence[Alarm]:
    """Define the alarms on a mapping or stream that is not as deployed, and on mass failure."""
    return (
        gauge_below_one(
            table,
            names.ALARM_MAPPING_OFF,
            detectors.MAPPING,
            "the mapping is off or gone, once the bootstrap has switched it on and without a "
            "pause; or its settings give changes up",
            critical=True,
        ),
        gauge_below_one(
            table,
            names.ALARM_FUNCTION_UNHEALTHY,
            detectors.FUNCTION,
            "Lambda reports that it cannot run the consumer, two rounds in a row",
        ),
        *(_stream(table) if table.buffer == KINESIS else _order(table)),
        Alarm(
            name=names.ALARM_BURST_BREAKER,
            place="consumer",
            namespace=names.NAMESPACE,
            metric=names.QUARANTINE_REFUSED,
            dimensions=table.dimensions,
            statistic="Sum",
            comparison="GreaterThanThreshold",
            threshold=0,
            missing="notBreaching",
            fires="too many records of an invocation, or of ten minutes, would go to quarantine",
            means="Too many records cannot be applied for single bad records to be the cause. "
            "Nothing is quarantined; the consumer retries the batch.",
            first="the consumer's log has the reasons; if each record is bad in its own way, "
            "raise quarantineBurst.",
            # Lambda retries a failed batch at longer and longer intervals.
            periods=3,
        ),
    )


def _stream(table: AlarmInputs) -> Sequence[Alarm]:
    return (
        gauge_below_one(
            table,
            names.ALARM_STREAM_UNHEALTHY,
            detectors.STREAM,
            "status, retention or record size is not as deployed",
            critical=True,
        ),
        gauge_below_one(
            table,
            names.ALARM_PRECISION_LOST,
            detectors.PRECISION,
            "records no longer carry microseconds",
        ),
    )


def _order(table: AlarmInputs) -> Sequence[Alarm]:
    return (
        Alarm(
            name=names.ALARM_ORDER_CONTRADICTED,
            place="consumer",
            namespace=names.NAMESPACE,
            metric=names.ORDER_CONTRADICTED,
            dimensions=table.dimensions,
            statistic="Sum",
            comparison="GreaterThanThreshold",
            threshold=0,
            missing="notBreaching",
            fires="a change is older by its number in the stream, and newer by its time, than what "
            "was applied",
            means="The stream's order of two changes of one item and their times contradict each "
            "other, so the consumer cannot know which is newer. It retries the one that came "
            "later, and its shard waits. Once that record is 12 hours old it goes to quarantine.",
            first="the consumer's log names the record: bootstrap park puts it into quarantine at "
            "once. Then verify --repair settles its item.",
            # Lambda retries a failed batch at longer and longer intervals.
            periods=3,
            critical=True,
        ),
    )
