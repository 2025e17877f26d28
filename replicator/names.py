"""Names of metrics, dimensions, gauges and alarms, each written once. This module imports no other.

The consumer and the watchdog emit them, the alarms and the dashboard watch them, `status` reads
them. A name never changes: a deployed alarm would lose its metric.
"""

from typing import TypeVar

NAMESPACE = "DynamoDBReplication"

Name = TypeVar("Name")

STACK = "Stack"
TABLE = "Table"
SOURCE_ACCOUNT = "SourceAccount"
FUNCTION = "Function"
"""The consumer's name. AWS lets no two functions of an account and Region share one, so that no two
stacks share a metric, whatever else they have in common."""
DIMENSIONS = (STACK, TABLE, SOURCE_ACCOUNT, FUNCTION)


def dimensions(
    stack: str, source_table: str, source_account: str, function: Name
) -> dict[str, str | Name]:
    """Return the dimensions of a table's metrics. In the program `function` is an Output."""
    return {
        STACK: stack,
        TABLE: source_table,
        SOURCE_ACCOUNT: source_account,
        FUNCTION: function,
    }


def older_dimensions(stack: str, source_table: str) -> dict[str, str]:
    """Return the dimensions of a stack whose outputs name none: it was deployed before they did."""
    return {STACK: stack, TABLE: source_table}


DENY_SID = "DynamoDbReplication"
"""How the Sid of this project's statement in a table's resource policy begins."""

# Emitted by the consumer, once an invocation.
CHANGES_RECEIVED = "ChangesReceived"
CHANGES_APPLIED = "ChangesApplied"
CHANGES_SUPERSEDED = "ChangesSuperseded"
CHANGES_QUARANTINED = "ChangesQuarantined"
CHANGES_RETRIED = "ChangesRetried"
CHANGES_FOREIGN = "ChangesForeign"
"""Records of another table, which are in none of the other counts."""
LATE_WRITES = "LateWrites"
"""Changes newer than a switch's mark."""
DELETIONS_LEFT_TO_TTL = "DeletionsLeftToTtl"
"""Deletions by the source's time to live while a switch has closed the consumer."""
REPLICATION_LAG = "ReplicationLag"
"""Milliseconds from a change's version to its application, one value per applied change."""
TARGET_THROTTLES = "TargetThrottles"
QUARANTINE_REFUSED = "QuarantineRefused"
"""Records that would have gone to quarantine in an invocation where they were too many."""
ENDED_AGE = "EndedAge"
"""Seconds from the creation of a batch's first record of a table's stream until the batch has
ended; none where a record is delivered again."""
ORDER_CONTRADICTED = "OrderContradicted"
"""Changes of a table's stream whose order and time say the opposite; they are retried."""

# Emitted by the watchdog, once a round. Each of the first group is the gauge of one detector.
MAPPING_AS_INTENDED = "MappingAsIntended"
DESTINATION_ACTIVE = "DestinationActive"
DESTINATION_PRECISE = "DestinationPrecise"
STREAM_HEALTHY = "StreamHealthy"
SOURCE_TABLE_CHANGED = "SourceTableChanged"
TARGET_TABLE_CHANGED = "TargetTableChanged"
QUARANTINE_OBJECTS = "QuarantineObjects"
ON_FAILURE_OBJECTS = "OnFailureObjects"
RECORDS_NEVER_REPLICATED = "RecordsNeverReplicated"
BUFFER_USED = "BufferUsed"
PROBE_AGE = "ProbeAge"
UNREPLICATED_AGE = "UnreplicatedAge"
FOREIGN_RECORDS = "ForeignRecords"
FUNCTION_HEALTHY = "FunctionHealthy"
DELIVERIES_FAILED = "OnFailureDeliveriesFailed"
SOURCE_WRITTEN = "SourceWritten"
SWITCH_UNFINISHED = "SwitchUnfinished"
TABLE_STREAM_OURS = "TableStreamOurs"
UNREAD_AGE = "UnreadAge"
"""Seconds for which the oldest change has waited in a table's stream."""

WATCHDOG_RAN = "WatchdogRan"
READINGS_MISSED = "ReadingsMissed"
"""Readings of a round that failed."""
MAPPING_ENABLED = "MappingEnabled"
PROBE_LAG = "ProbeLag"
"""Seconds from the stream to the ledger, of the newest round of probes that came through."""

# Alarms of a table: the end of each alarm's name.
ALARM_BATCHES_LOST = "batches-lost"
ALARM_BURST_BREAKER = "burst-breaker"
ALARM_DELIVERY_FAILED = "delivery-failed"
ALARM_DESTINATION_GONE = "destination-gone"
ALARM_FOREIGN_RECORDS = "foreign-records"
ALARM_FUNCTION_ERRORS = "function-errors"
ALARM_FUNCTION_SLOW = "function-slow"
ALARM_FUNCTION_THROTTLED = "function-throttled"
ALARM_FUNCTION_UNHEALTHY = "function-unhealthy"
ALARM_ITERATOR_AGE = "iterator-age"
ALARM_ITERATOR_AGE_CRITICAL = "iterator-age-critical"
ALARM_LEDGER_EXPIRING = "ledger-expiring"
ALARM_LEDGER_THROTTLED = "ledger-throttled"
ALARM_MAPPING_OFF = "mapping-off"
ALARM_ON_FAILURE_OBJECTS = "on-failure-objects"
ALARM_ORDER_CONTRADICTED = "order-contradicted"
ALARM_PRECISION_LOST = "precision-lost"
ALARM_PROBES_LATE = "probes-late"
ALARM_PUTS_THROTTLED = "puts-throttled"
ALARM_QUARANTINE_NOT_EMPTY = "quarantine-not-empty"
ALARM_RECORDS_SKIPPED = "records-skipped"
ALARM_REPLICATION_FAILED = "replication-failed"
ALARM_REPLICATION_LAG = "replication-lag"
ALARM_RETENTION_USED = "retention-used"
ALARM_SOURCE_CHANGED = "source-changed"
ALARM_SOURCE_WRITTEN = "source-written"
ALARM_STREAM_READ_THROTTLED = "stream-read-throttled"
ALARM_STREAM_UNHEALTHY = "stream-unhealthy"
ALARM_STREAM_WRITE_THROTTLED = "stream-write-throttled"
ALARM_SWITCH_UNFINISHED = "switch-unfinished"
ALARM_TABLE_STREAM_GONE = "table-stream-gone"
ALARM_TARGET_CHANGED = "target-changed"
ALARM_TARGET_THROTTLED = "target-throttled"
ALARM_UNREAD = "unread"
ALARM_UNREPLICATED_CRITICAL = "unreplicated-critical"
ALARM_UNREPLICATED_WARNING = "unreplicated-warning"
ALARM_WATCHDOG_BLIND = "watchdog-blind"
ALARM_WATCHDOG_SILENT = "watchdog-silent"
ALARM_WRITES_THROTTLED = "writes-throttled"
