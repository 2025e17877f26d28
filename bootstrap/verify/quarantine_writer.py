"""Keeps a change of unknown order where the consumer would: it blocks a switch until settled."""

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
    """`backfill.Notes` in the table's quarantine bucket."""

    store: QuarantineStore
    table: str
    effects: Runtime

    def ambiguous(self, change: Change, place: str, line: int) -> bool:
        """The same line gives the same object: a repetition writes it again."""
        record = Record(
            shard_id=f"backfill-{place}",
            sequence_number=str(line),
            sub_sequence=0,
            partition_key="",
            arrival=change.arrival,
            aggregated=False,
            data=stream_record(self.table, change),
        )
        terms = CallContext(Deadline(self.effects, CALL_MILLIS), lambda *told: None)
        detail = "a backfill found it close in time to what was applied, and different"
        return self.store.put(record, Reason.AMBIGUOUS, detail, terms)


def stream_record(table: str, change: Change) -> bytes:
    """A change as the stream would have had it, so that the quarantine's tools can read it."""
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
    """Binary is base64 twice in a change record."""
    if isinstance(value, bytes):
        return b64encode(b64encode(value)).decode("ascii")
    if isinstance(value, Mapping):
        return {name: _encode_twice(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encode_twice(each) for each in value]
    return value
