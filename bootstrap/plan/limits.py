"""AWS's limits that a plan checks, and what they mean for a table."""

from __future__ import annotations

import math

from bootstrap.core.facts import TableFacts

LEAST_RETENTION_HOURS = 168
"""A week. Export and import may take a day or more each, and the consumer reads only then."""
LARGEST_RECORD_KIB = 4_096
"""Both images of a 400 KB item as JSON, where a byte may take several."""
PARTITION_BYTES = 10 * 10**9
PARTITION_WRITES, PARTITION_READS = 1_000, 3_000
"""The bytes and the units a second of one partition (developer guide, bp-partition-key-design). A
table has at least as many partitions as that needs; an export writes an object or more for each."""
LEDGER_PARTITION_UNITS = 500
"""Write units a second of one partition that can be followed: in transactions they cost double.

A partition that refused writes, at 1,000, blocks a run. Between the two nothing can be known: AWS
reports what a table takes and what a partition refuses, and never what a partition takes. Blocking
each table that takes 500 as a whole would be wrong for nearly all of them, so a note says it. Where
it strikes, nothing is lost: the consumer falls behind, and alarms and `status` say so long before
the stream forgets anything.
"""

# Quotas: Amazon DynamoDB Developer Guide, S3DataImport.Validation and ServiceQuotas.
CONCURRENT_IMPORTS = 50
CONCURRENT_EXPORTS = 300
EXPORT_BYTES = 100 * 10**12
"""All exports of an account in flight together, by the tables' size."""
IMPORT_OBJECTS = 50_000
_IMPORT_BYTES = 10**12
_LARGE_IMPORT_BYTES = 15 * 10**12
_LARGE_IMPORT_REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
COMPRESSION = 10
"""How many times smaller than its table an export can be at best. A quota of compressed bytes is
certainly exceeded where the table is larger than this many times the quota."""


def least_partitions(source: TableFacts | None) -> int:
    """Return the least number of partitions that a table can have. AWS does not tell the number."""
    if source is None:
        return 0
    return math.ceil(
        max(
            1,
            source.size_bytes / PARTITION_BYTES,
            max(source.warm_writes, source.write_capacity) / PARTITION_WRITES,
            max(source.warm_reads, source.read_capacity) / PARTITION_READS,
        )
    )


def import_bytes(region: str) -> int:
    """Return the compressed bytes that all imports of a Region may read at once."""
    return _LARGE_IMPORT_BYTES if region in _LARGE_IMPORT_REGIONS else _IMPORT_BYTES
