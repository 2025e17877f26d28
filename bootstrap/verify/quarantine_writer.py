"""Changes of uncertain order, quarantined as by the consumer: they block a switch until settled."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from replicator.call_context import CallContext
from replicator.change import Change
from replicator.consumer.decode import Record
from replicator.consumer.outcome import Reason
from replicator.consumer.quarantine import QuarantineStore
from replicator.runtime import Deadline, Runtime

CALL_MILLIS = 120_000


@dataclass(frozen=True)
class NoteQuarantine:
    """A `backfill.NoteWriter` for the table's quarantine bucket."""

    store: QuarantineStore
    table: str
    runtime: Runtime

    def ambiguous(self, change: Change, place: str, line: int) -> bool:
        """Write the object of a line; a repetition overwrites it."""
        record = Record(
            shard_id=f"backfill-{place}",
            sequence_number=str(line),
            sub_sequence=0,
            partition_key="",
            arrival=change.arrival,
            aggregated=False,
            data=stream_record(self.table, change),
        )
        context = CallContext(Deadline(self.runtime, CALL_MILLIS), lambda *error: None)
        detail = "close in time to the applied change and different, found by a backfill"
        return self.store.put(record, Reason.AMBIGUOUS, detail, context)


def stream_record(table: str, change: Change) -> bytes:
    """Encode a change as a stream record, so that the quarantine commands can read it."""
    images = {"Keys": change.keys, "OldImage": change.old, "NewImage": change.new}
    kind = "REMOVE" if change.new is None else "INSERT" if change.old is None else "MODIFY"
    body = {
        "eventName": kind,
        "tableName": table,
        "dynamodb": {
            "ApproximateCreationDateTime": change.version.micros,
            "ApproximateCreationDateTimePrecision": "MICROSECOND",
            **{name: _encode_twice(image) for name, image in images.items() if image is not None},
        },
    }
    return json.dumps(body, ensure_ascii=False).encode()


def _encode_twice(value: Any) -> Any:
    """Encode binary in base64 twice, as in a change record."""
    if isinstance(value, bytes):
        return b64encode(b64encode(value)).decode("ascii")
    if isinstance(value, Mapping):
        return {name: _encode_twice(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encode_twice(each) for each in value]
    return value
