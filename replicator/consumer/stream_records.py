"""Records of a DynamoDB stream, as Lambda's event source mapping delivers them.

Lambda Developer Guide, with-ddb.html; API reference, streams_Record and streams_StreamRecord. A
record is kept as the JSON of the whole of it: the stream's ARN in it says table and label.
"""

from __future__ import annotations

import json
import re
from binascii import a2b_base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from replicator.change import (
    MICROSECOND,
    SECOND,
    SECOND_MICROS,
    SEQUENCE_DIGITS,
    Change,
    Version,
    stream_order,
)
from replicator.consumer.decode import (
    Content,
    EnvelopeError,
    Foreign,
    ImageReader,
    Place,
    Record,
    Unusable,
    change_of,
    not_a_change,
    plausible,
    read,
    refuse_half_characters,
)

IN_ORDER = True
"""For each item, in its shard; an event's records are of one shard."""

RESTORED = "restored"
"""The member of a quarantined record that a backfill made: its version's `micros` and `order`. A
stream's record has none."""

# Service Authorization Reference, "Actions, resources, and condition keys for Amazon DynamoDB":
# arn:${Partition}:dynamodb:${Region}:${Account}:table/${TableName}/stream/${StreamLabel}
_ARN = re.compile(
    r"arn:[a-z-]+:dynamodb:[a-z0-9-]+:[0-9]{12}:table/(?P<table>[A-Za-z0-9_.-]{3,255})"
    r"/stream/(?P<label>[0-9][0-9T:.-]{0,63})"
)


@dataclass(frozen=True)
class StreamPlace:
    """The stream that a record came from."""

    table: str
    label: str

    @classmethod
    def of(cls, arn: object) -> StreamPlace:
        """Raise ValueError for anything but the ARN of a DynamoDB stream."""
        found = _ARN.fullmatch(arn) if isinstance(arn, str) else None
        if found is None:
            raise ValueError("no ARN of a DynamoDB stream")
        return cls(found["table"], found["label"])


def record_order(record: Record) -> str:
    """Return a record's place among all changes of its table's streams."""
    return stream_order(record.shard_id, record.sequence_number)


def envelope(event: Any) -> list[Record]:
    """Return the event's records in order of delivery.

    Raise EnvelopeError for anything but an event of a mapping of a DynamoDB stream.
    """
    try:
        return [_record(raw) for raw in event["Records"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EnvelopeError(type(error).__name__) from None


def single(event: Any) -> Place | None:
    """Return label and sequence number of an event's only record, without reading its data."""
    try:
        (raw,) = event["Records"]
        label = StreamPlace.of(raw["eventSourceARN"]).label
        return label, str(raw["dynamodb"]["SequenceNumber"])
    except (KeyError, TypeError, ValueError):
        return None


def park_name(record: Record) -> str:
    """Return the sequence number: an event names no shard."""
    return record.sequence_number


def _record(raw: Mapping[str, Any]) -> Record:
    body = raw["dynamodb"]
    sequence_number = str(body["SequenceNumber"])
    if not (sequence_number.isascii() and sequence_number.isdecimal()):
        raise ValueError("no sequence number")
    if len(sequence_number) > SEQUENCE_DIGITS:
        raise ValueError("a sequence number of more digits than any")
    return Record(
        shard_id=StreamPlace.of(raw["eventSourceARN"]).label,
        sequence_number=sequence_number,
        sub_sequence=0,
        partition_key="",
        # A stream takes a change as it is made. Unknown counts as long ago.
        arrival=_arrival(body.get("ApproximateCreationDateTime")),
        aggregated=False,
        data=json.dumps(raw, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        ),
    )


def _arrival(moment: Any) -> float:
    """Return the seconds since 1970, 0 where they cannot be those of a change."""
    seconds = _seconds(moment) or 0.0
    return seconds if seconds < _END_OF_TIME else 0.0


_END_OF_TIME = 7_258_118_400
"""The year 2200. Milliseconds are far beyond it."""


def _seconds(moment: Any) -> float | None:
    """Return a positive whole number of seconds; None for anything else.

    The event's JSON has it with or without a fraction of zero.
    """
    if type(moment) not in (int, float) or moment <= 0 or moment != moment // 1:
        return None
    return float(moment)


def user_records(record: Record) -> list[Record] | Unusable:
    return [record]


def content(record: Record, table: str) -> Content:
    """Decode a record for a consumer of `table`."""
    return read(record, lambda record, document: _content(record, document, table))


def _content(record: Record, document: dict[str, Any], table: str) -> Content:
    place = StreamPlace.of(document.get("eventSourceARN"))
    if place.table != table:
        return Foreign(place.table)  # whatever else it says: it is not this table's to judge
    refuse_half_characters(record.data, document)
    return _change(record, document)


def _change(record: Record, document: Mapping[str, Any]) -> Change:
    restored = document.get(RESTORED)
    if restored is not None:
        restored = _restored(restored)
    return change_of(
        document,
        version=lambda body: restored or _version(body, record),
        arrival=record.arrival,
        images=IMAGES,
    )


def _restored(said: Mapping[str, Any]) -> Version:
    return plausible(int(said["micros"]), MICROSECOND, 0, str(said["order"]))


def _version(body: Mapping[str, Any], record: Record) -> Version:
    seconds = _seconds(body.get("ApproximateCreationDateTime"))
    if seconds is None:
        raise not_a_change("ApproximateCreationDateTime is not a positive whole number")
    return plausible(int(seconds) * SECOND_MICROS, SECOND, 0, record_order(record))


def binary(text: Any) -> bytes:
    """Decode a binary value: strict base64, once."""
    return a2b_base64(text, strict_mode=True)


IMAGES = ImageReader(binary, "a binary value that is not base64")
