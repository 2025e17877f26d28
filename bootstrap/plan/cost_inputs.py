"""The inputs of a bill: a table's size and changes, and what they fill a stream with."""

from __future__ import annotations

import math
from dataclasses import dataclass

DAYS_A_MONTH = 365 / 12
SECONDS_A_DAY = 86_400
SECONDS_A_MONTH = SECONDS_A_DAY * DAYS_A_MONTH
HOURS_A_MONTH = 24 * DAYS_A_MONTH
BILLED_CHUNK = 1024
"""Bytes that DynamoDB rounds each write and each captured change up to."""

STANDARD_DAYS = 1
"""Days that a stream keeps records without extra charge."""
EXTENDED_DAYS = 7
"""Extended retention up to here, long-term retention beyond."""


@dataclass(frozen=True)
class CostInputs:
    """A table's size, its rate of changes, and the settings that a bill depends on."""

    changes_per_second: float
    """Writes, without deletions by time to live."""
    item_bytes: int
    table_gb: float
    update_share: float = 0.25
    """Changes that modify an item rather than make or delete one, from 0 to 1."""
    retention_days: float = 365
    expired_per_second: float = 0.0
    """Deletions by time to live. They are changes too, although the source pays nothing for them.
    """
    index_units_per_second: float = 0.0
    """Write units of all global secondary indexes together."""
    index_gb: float = 0.0
    """Of the global secondary indexes that the target gets."""
    local_index_gb: float = 0.0
    """Of local secondary indexes: exported, recovered and kept with their table."""
    bulk: bool = False
    """The snapshot is loaded by a bulk put, not by an import."""
    infrequent_access: bool = False
    """The target's table class is Standard-Infrequent Access."""
    shards: int = 4
    """Open ones. A new stream on demand has 4."""
    provisioned: bool = False
    parallelization_factor: int = 1
    keys: int = 1
    """Customer-managed keys that the stack makes: the stream's, unless it has another, and those of
    places."""
    table_stream: bool = False
    """The buffer is the table's own stream: no Kinesis stream, and no probes."""
    other_region: bool = False
    """The target is in another Region than the source."""


EXAMPLE = CostInputs(changes_per_second=1000, item_bytes=1024, table_gb=100)


def ledger_write_units(item_bytes: int) -> int:
    """Return the write units of one applied change in `ledger` order, for an item of n KB: 2n + 2.

    A transaction of the item and of its ledger entry, which is under 1 KB; transactions cost double
    (Amazon DynamoDB Developer Guide, transaction-apis).
    """
    return 2 * math.ceil(item_bytes / BILLED_CHUNK) + 2


def record_bytes(item_bytes: int, update_share: float) -> float:
    """Return the size of the average change record on the stream, by AWS's own sizing rule.

    (4 + share of updates) times the item: a record has both images of an update, and the JSON of
    an image is larger than the item (Amazon DynamoDB Developer Guide,
    kds_using-shards-and-metrics).
    """
    return (4 + update_share) * item_bytes


def stream_gb_per_day(inputs: CostInputs) -> float:
    """Return the daily inflow of the stream, in GB of 10^9 bytes."""
    return gb_per_day(inputs, inputs.changes_per_second + inputs.expired_per_second)


def retained_gb(inputs: CostInputs) -> tuple[float, float]:
    """Return the GB in a full stream: under extended and under long-term retention."""
    return retained(inputs, stream_gb_per_day(inputs))


def gb_per_day(inputs: CostInputs, rate: float) -> float:
    """Return what `rate` changes a second write to the stream in a day."""
    return rate * record_bytes(inputs.item_bytes, inputs.update_share) * SECONDS_A_DAY / 1e9


def retained(inputs: CostInputs, daily: float) -> tuple[float, float]:
    """Return the GB in a full stream of a daily inflow: extended and long-term retention."""
    extended = min(inputs.retention_days, EXTENDED_DAYS) - STANDARD_DAYS
    long_term = inputs.retention_days - EXTENDED_DAYS
    return daily * max(0.0, extended), daily * max(0.0, long_term)
