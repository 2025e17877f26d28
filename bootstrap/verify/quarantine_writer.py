"""Changes of uncertain order, quarantined as by the consumer: they block a switch until settled."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from replicator.call_context import CallContext
from replicator.change import Change
from replicator.consumer.decode import Record
from replicator.consumer.outcome import Reason
from replicator.consumer.quarantine import QuarantineStore
from replicator.consumer.stream_records import RESTORED
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
            data=stream_record(self.table, change, line),
        )
        context = CallContext(Deadline(self.runtime, CALL_MILLIS), lambda *error: None)
        detail = "close in time to the applied change and different, found by a backfill"
        return self.store.put(record, Reason.AMBIGUOUS, detail, context)


def stream_record(table: str, change: Change, line: int = 0) -> bytes:
    """Encode a change as a record of its buffer, so that the quarantine commands can read it."""
    images = {"Keys": change.keys, "OldImage": change.old, "NewImage": change.new}
    binary = _encode_once if change.version.order else _encode_twice
    encoded = {name: binary(image) for name, image in images.items() if image is not None}
    kind = "REMOVE" if change.new is None else "INSERT" if change.old is None else "MODIFY"
    if change.version.order:
        return _restored_record(table, change, line, {"eventName": kind, "dynamodb": encoded})
    body = {
        "eventName": kind,
        "tableName": table,
        "dynamodb": {
            "ApproximateCreationDateTime": change.version.micros,
            "ApproximateCreationDateTimePrecision": "MICROSECOND",
            **encoded,
        },
    }
    return json.dumps(body, ensure_ascii=False).encode()


def _restored_record(table: str, change: Change, line: int, body: dict[str, Any]) -> bytes:
    """Encode a change of a table whose buffer is its stream. No stream has it, and no account:
    its ARN only holds the names."""
    version = change.version
    label = version.order.partition("#")[0]
    body["dynamodb"] |= {
        "ApproximateCreationDateTime": version.second,
        "SequenceNumber": str(line),
    }
    body |= {
        "eventSource": "aws:dynamodb",
        "eventSourceARN": f"arn:aws:dynamodb:none:000000000000:table/{table}/stream/{label}",
        RESTORED: {"micros": version.micros, "order": version.order},
    }
    return json.dumps(body, ensure_ascii=False).encode()


def _encode_once(value: Any) -> Any:
    """Encode binary in base64, as in a DynamoDB stream's record."""
    return _encoded(value, b64encode)


def _encode_twice(value: Any) -> Any:
    """Encode binary in base64 twice, as in a Kinesis stream's record."""
    return _encoded(value, lambda binary: b64encode(b64encode(binary)))


def _encoded(value: Any, encode: Callable[[bytes], bytes]) -> Any:
    if isinstance(value, bytes):
        return encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {name: _encoded(each, encode) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encoded(each, encode) for each in value]
    return value
