"""Records on their way back to the stream: small ones aggregated, large ones plain."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bootstrap.core.facts import StreamRecord
from replicator.consumer.decode import Record

AGGREGATE_BYTES = 1024 * 1024
"""The aggregation library's limit for one Kinesis record (aws_kinesis_agg)."""
RECORDS_PER_CALL = 500
BYTES_PER_CALL = 5 * 1024 * 1024
"""Half of what PutRecords takes (500 records, 10 MiB). A shard takes 1 MiB a second, and the
source's own changes need their share."""

K = TypeVar("K")


@dataclass(frozen=True)
class PutRecordsBatch(Generic[K]):
    """A Kinesis record, with the objects that are resolved once the stream accepts it."""

    record: StreamRecord
    owners: tuple[K, ...]


def pack_records(records: Iterable[tuple[K, Record, bool]]) -> Iterator[PutRecordsBatch[K]]:
    """Pack `(owner, record, alone)` tuples in order.

    `alone`: sent as received, whatever its size. That holds for an aggregate kept whole, because a
    nested one would not be unpacked, and for a record that may crash the function, so that it can
    be parked by itself.
    """
    aggregate: Any = None
    owners: list[K] = []
    for owner, record, alone in records:
        key = record.partition_key or "redriven"  # Kinesis refuses an empty one
        if alone or not _fits(record.data, key):
            yield PutRecordsBatch(StreamRecord(record.data, key), (owner,))
            continue
        if aggregate is None or not aggregate.add_user_record(key, record.data):
            if aggregate is not None:
                yield _close_aggregate(aggregate, owners)
            aggregate, owners = _new_aggregate(), []
            aggregate.add_user_record(key, record.data)
        owners.append(owner)
    if aggregate is not None:
        yield _close_aggregate(aggregate, owners)


def _fits(data: bytes, key: str) -> bool:
    """Return True if the record fits into an aggregate of its own."""
    try:
        taken: bool = _new_aggregate().add_user_record(key, data)
    except ValueError:
        return False
    return taken


def _new_aggregate() -> Any:
    path = list(sys.path)
    from aws_kinesis_agg.aggregator import AggRecord

    sys.path[:] = path  # the module puts its own directory in front of everything
    return AggRecord(AGGREGATE_BYTES)


def _close_aggregate(aggregate: Any, owners: Sequence[K]) -> PutRecordsBatch[K]:
    key, _, data = aggregate.get_contents()
    return PutRecordsBatch(StreamRecord(data, key), tuple(owners))


def split_calls(packed: Iterable[PutRecordsBatch[K]]) -> Iterator[list[PutRecordsBatch[K]]]:
    """Split into batches within the limits of one PutRecords call."""
    batch: list[PutRecordsBatch[K]] = []
    size = 0
    for entry in packed:
        full = len(batch) == RECORDS_PER_CALL or size + entry.record.size > BYTES_PER_CALL
        if batch and full:
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry.record.size
    if batch:
        yield batch
