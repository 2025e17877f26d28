"""Change data capture: each write's record, for DynamoDB Streams and for Kinesis.

A write and its change record are made under one lock, so that the order of the records of a key is
the order of its writes, and the history that exports read is never between the two.
"""

from __future__ import annotations

import contextvars
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Protocol

from infra.local.emulator.change_history import ChangeHistory
from infra.local.emulator.item_images import Image, key_of, partition_key, same_image, twice_encoded
from infra.local.emulator.patching import Json, Ministack, Response
from infra.local.emulator.replication_metrics import ReplicationMetrics, TableOf
from infra.local.emulator.streaming_destinations import active_destinations

log = logging.getLogger("local.changes")

WRITES = (
    "_put_item",
    "_update_item",
    "_delete_item",
    "_batch_write_item",
    "_transact_write_items",
    "_execute_statement",
    "_batch_execute_statement",
    "_execute_transaction",
)

TRANSACTIONS = ("_transact_write_items", "_execute_transaction")

# The identity that deletes expired items (developer guide, time-to-live-ttl-streams.html).
EXPIRY_IDENTITY = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}

_silent: contextvars.ContextVar[bool] = contextvars.ContextVar("local_silent", default=False)


@contextmanager
def without_change_records() -> Iterator[None]:
    """Write items without change records in streams; exports see the items all the same."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


class MicrosecondClock:
    """Timestamps of changes: microseconds since the epoch, strictly increasing."""

    def __init__(self, now: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._now = now
        self._last = 0

    def tick(self) -> int:
        """Return the next timestamp. The caller holds the write lock."""
        self._last = max(self._last + 1, self._now())
        return self._last


@dataclass(frozen=True)
class CapturedChange:
    """One change of one item: images are DynamoDB JSON with binary in base64 once."""

    at: int
    table: TableOf
    event: str
    keys: Image
    old: Image | None
    new: Image | None
    identity: Mapping[str, str] | None = None


@dataclass(frozen=True)
class PendingRecord:
    """A change record on its way into a stream."""

    change: CapturedChange
    stream_arn: str
    partition_key: str
    data: bytes


class StreamWriter(Protocol):
    """Writes change records to their stream: at once, or as LOCAL_CHAOS says."""

    def write(self, pending: PendingRecord) -> None: ...


def change_record(change: CapturedChange, precision: str, size_of: Callable[[Image], int]) -> Json:
    """Return the JSON of a change record (captured examples: the test of this module).

    INSERT has no OldImage, REMOVE no NewImage; the precision is inside `dynamodb`; userIdentity
    is null but for expiries.
    """
    at = change.at if precision == "MICROSECOND" else change.at // 1000
    images = {"NewImage": change.new, "OldImage": change.old}
    body: Json = {"ApproximateCreationDateTime": at, "Keys": twice_encoded(change.keys)}
    body |= {name: twice_encoded(image) for name, image in images.items() if image is not None}
    sizes = (change.keys, change.new, change.old)
    body["SizeBytes"] = sum(size_of(image) for image in sizes if image is not None)
    body["ApproximateCreationDateTimePrecision"] = precision
    return {
        "awsRegion": change.table.region,
        "eventID": str(uuid.uuid4()),
        "eventName": change.event,
        "userIdentity": dict(change.identity) if change.identity else None,
        "recordFormat": "application/json",
        "tableName": change.table.name,
        "dynamodb": body,
        "eventSource": "aws:dynamodb",
    }


class TableStreamWriter(Protocol):
    """Appends changes to the DynamoDB stream of their table."""

    def append(self, change: CapturedChange, table: Json) -> None: ...


class ChangeCapture:
    """Replaces ministack's emission of change records, and serializes the writes with it."""

    def __init__(
        self,
        ministack: Ministack,
        history: ChangeHistory,
        writer: StreamWriter,
        table_streams: TableStreamWriter,
        metrics: ReplicationMetrics,
        clock: MicrosecondClock | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self._ministack = ministack
        self._history = history
        self._writer = writer
        self._table_streams = table_streams
        self._metrics = metrics
        self._clock = clock or MicrosecondClock()
        self._in_transaction = False

    def install(self) -> None:
        """Replace ministack's functions."""
        for name in WRITES:
            original = getattr(self._ministack.dynamodb, name)
            self._ministack.replace(
                "dynamodb", name, locked(self.lock, self._marking_transactions(name, original))
            )
        self._ministack.replace("dynamodb", "_emit_stream_event", self.emit)
        self._ministack.replace("dynamodb", "_fan_out_to_kinesis", lambda table_name, record: None)

    def _marking_transactions(
        self, name: str, handler: Callable[[Json], Response]
    ) -> Callable[[Json], Response]:
        """Return the handler, which lets `emit` know if its writes are a transaction's."""
        transactional = name in TRANSACTIONS

        @wraps(handler)
        def marking(data: Json) -> Response:
            before, self._in_transaction = self._in_transaction, transactional
            try:
                return handler(data)
            finally:
                self._in_transaction = before

        return marking

    def emit(
        self,
        table_name: str,
        event: str,
        old: Image | None,
        new: Image | None,
        replicate: bool = True,
        *,
        identity: Mapping[str, str] | None = None,
    ) -> None:
        """Record a write that has just been made; called under the write lock."""
        dynamodb, responses = self._ministack.dynamodb, self._ministack.responses
        table = dynamodb._tables.get(table_name)
        of = TableOf(responses.get_account_id(), responses.get_region(), table_name)
        if table is not None and identity is None:
            self._count(of, old, new)
        # No change makes no stream record (Streams.html); assumed of Kinesis too.
        if table is None or (event == "MODIFY" and same_image(old, new)):
            return
        keys = key_of(table, new or old or {})
        change = CapturedChange(self._clock.tick(), of, event, keys, old, new, identity)
        self._history.note(of, change.at, keys, old, new)
        if _silent.get():
            return
        self._table_streams.append(change, table)
        if replicate:
            dynamodb._replicate_write(table, event, old, new)
        for destination in active_destinations(dynamodb._kinesis_destinations.get(table_name)):
            self._replicate(change, destination)

    def _count(self, table: TableOf, old: Image | None, new: Image | None) -> None:
        sizes = [self._ministack.dynamodb._item_size_bytes(each) for each in (old, new) if each]
        self._metrics.written(table, max(sizes, default=0), transactional=self._in_transaction)

    def _replicate(self, change: CapturedChange, destination: Mapping[str, Any]) -> None:
        precision = destination["ApproximateCreationDateTimePrecision"]
        record = change_record(change, precision, self._ministack.dynamodb._item_size_bytes)
        data = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
        self._metrics.waiting(change.table, change.at)
        key = partition_key(change.table.name, change.keys)
        self._writer.write(PendingRecord(change, destination["StreamArn"], key, data))


def locked(
    lock: AbstractContextManager[Any], handler: Callable[[Json], Response]
) -> Callable[[Json], Response]:
    """Return the handler, run under the lock."""

    @wraps(handler)
    def under_lock(data: Json) -> Response:
        with lock:
            return handler(data)

    return under_lock
