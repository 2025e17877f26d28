"""Names of metrics, dimensions and gauges: each is written here alone. This module imports nothing.

The consumer and the watchdog emit them, the alarms and the dashboard watch them, `status` reads
them. A name never changes: a deployed alarm would lose its metric.
"""

NAMESPACE = "DynamoDBReplication"

STACK = "Stack"
TABLE = "Table"
DIMENSIONS = (STACK, TABLE)


def dimensions(stack: str, source_table: str) -> dict[str, str]:
    return {STACK: stack, TABLE: source_table}


# Emitted by the consumer, once an invocation.
CHANGES_RECEIVED = "ChangesReceived"
CHANGES_APPLIED = "ChangesApplied"
CHANGES_SUPERSEDED = "ChangesSuperseded"
CHANGES_QUARANTINED = "ChangesQuarantined"
CHANGES_RETRIED = "ChangesRetried"
CHANGES_FOREIGN = "ChangesForeign"
"""Records of another table, which are in none of the other counts."""
REPLICATION_LAG = "ReplicationLag"
"""Milliseconds from a change's version to its application, one value per applied change."""
TARGET_THROTTLES = "TargetThrottles"
QUARANTINE_REFUSED = "QuarantineRefused"
"""Records that would have gone to quarantine in an invocation where they were too many."""

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

WATCHDOG_RAN = "WatchdogRan"
READINGS_MISSED = "ReadingsMissed"
"""Readings of a round that failed."""
MAPPING_ENABLED = "MappingEnabled"
PROBE_LAG = "ProbeLag"
"""Seconds from the stream to the ledger, of the newest round of probes that came through."""
