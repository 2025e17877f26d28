"""How records go back on the stream: aggregated while they are small, plain when they are not."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bootstrap.core.facts import StreamRecord
from replicator.consumer.decode import Record

AGGREGATE_BYTES = 1024 * 1024
"""What the aggregation library takes for one Kinesis record (aws_kinesis_agg, its limit)."""
RECORDS_PER_CALL = 500
BYTES_PER_CALL = 5 * 1024 * 1024
"""PutRecords takes 500 records and 10 MiB. Half of it, as a shard takes 1 MiB a second, and the
source's own changes have to get through beside this."""

K = TypeVar("K")


@dataclass(frozen=True)
class PutRecordsBatch(Generic[K]):
    """A Kinesis record, and what is resolved once the stream has taken it."""

    record: StreamRecord
    owners: tuple[K, ...]


def pack_records(records: Iterable[tuple[K, Record, bool]]) -> Iterator[PutRecordsBatch[K]]:
    """Packs `(owner, record, alone)` as they come.

    `alone`: as it is, whatever its size. An aggregate that is kept whole goes as it was received
    (one inside another would not be unpacked), and so does what may end the function, so that it
    can be parked by itself.
    """
    aggregate: Any = None
    owners: list[K] = []
    for owner, record, alone in records:
        key = record.partition_key or "redriven"  # Kinesis takes no empty one
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
    """Whether the record makes an aggregate of its own that the library can close."""
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
    """Splits into what one PutRecords takes."""
    batch: list[PutRecordsBatch[K]] = []
    size = 0
    for parcel in packed:
        full = len(batch) == RECORDS_PER_CALL or size + parcel.record.size > BYTES_PER_CALL
        if batch and full:
            yield batch
            batch, size = [], 0
        batch.append(parcel)
        size += parcel.record.size
    if batch:
        yield batch
