"""From a Lambda event to changes: envelope, aggregation, JSON, DynamoDB JSON.

Nothing here raises for what a record holds: what cannot be read becomes an `Unusable` with the
reason, and the caller keeps the record whole. No AWS call is made here.
"""

from __future__ import annotations

import json
import re
from binascii import a2b_base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import md5
from typing import Any, TypeAlias

from replicator.canonical import canonical
from replicator.change import MICROSECOND, MILLISECOND, Change, Precision, Probe, Version
from replicator.consumer.outcome import Reason

# https://github.com/awslabs/kinesis-aggregation: magic, protobuf message, MD5 of the message.
_AGGREGATE_MAGIC = b"\xf3\x89\x9a\xc2"
_AGGREGATE_DIGEST_BYTES = 16


class EnvelopeError(Exception):
    """The event is not what Lambda's Kinesis mapping sends: there is nothing to report by."""


@dataclass(frozen=True)
class Record:
    """A user record as received, and where it lies in the stream.

    `data` is what the producer put (the event's base64 undone). `sub_sequence` counts the records
    of an aggregate; 0 for a plain record and for an aggregate that is kept whole. `arrival` is when
    the record entered the stream, in seconds since 1970.
    """

    shard_id: str
    sequence_number: str
    sub_sequence: int
    partition_key: str
    arrival: float
    aggregated: bool
    data: bytes


@dataclass(frozen=True)
class Unusable:
    """A record that cannot be a change, for what it is."""

    reason: Reason
    detail: str


@dataclass(frozen=True)
class Foreign:
    """A record of another table, whose streaming destination is this table's stream."""

    table: str


Content: TypeAlias = Change | Probe | Foreign | Unusable


class _UnusableError(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.content = Unusable(reason, detail)


def envelope(event: Any) -> list[Record]:
    """Return the event's Kinesis records in order of delivery.

    A record whose data is not base64 keeps it as text. Raise EnvelopeError for anything but an
    event of a Kinesis mapping.
    """
    try:
        return [_record(raw) for raw in event["Records"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EnvelopeError(type(error).__name__) from None


def single(event: Any) -> str | None:
    """Return `shard:sequence number` of an event's only record, without reading its data."""
    try:
        (raw,) = event["Records"]
        return str(raw["eventID"])
    except (KeyError, TypeError, ValueError):
        return None


def _record(raw: Mapping[str, Any]) -> Record:
    kinesis = raw["kinesis"]
    sequence_number = str(kinesis["sequenceNumber"])
    int(sequence_number)
    data = kinesis.get("data")
    try:
        payload = a2b_base64(data, strict_mode=True)
    except (TypeError, ValueError):
        payload = str(data).encode("utf-8", "surrogatepass")
    return Record(
        shard_id=str(raw.get("eventID", "")).partition(":")[0] or "unknown-shard",
        sequence_number=sequence_number,
        sub_sequence=0,
        partition_key=str(kinesis.get("partitionKey", "")),
        # Unknown counts as long ago: such a record's ledger entry gets no expiry.
        arrival=float(kinesis.get("approximateArrivalTimestamp") or 0),
        aggregated=False,
        data=payload,
    )


def user_records(record: Record) -> list[Record] | Unusable:
    """Return the user records of a Kinesis record: itself, or those aggregated in it.

    Only the message definition of the producer's library is used. Its reader drops the rest of an
    aggregate that breaks in the middle, and prints the content.
    """
    data = record.data
    if not data.startswith(_AGGREGATE_MAGIC) or len(data) <= 4 + _AGGREGATE_DIGEST_BYTES:
        return [record]
    message = data[4:-_AGGREGATE_DIGEST_BYTES]
    if md5(message, usedforsecurity=False).digest() != data[-_AGGREGATE_DIGEST_BYTES:]:
        return Unusable(Reason.UNREADABLE, "looks aggregated, but its checksum is wrong")
    try:
        found = list(_unpacked(record, message))
    except Exception as error:  # protobuf raises its own; an index out of range is IndexError
        return Unusable(Reason.UNREADABLE, f"aggregate: {type(error).__name__}")
    return found or Unusable(Reason.UNREADABLE, "an aggregate of nothing")


def _unpacked(record: Record, message: bytes) -> Iterator[Record]:
    aggregate = _aggregated_record()
    aggregate.ParseFromString(message)
    partition_keys = aggregate.partition_key_table
    for number, user_record in enumerate(aggregate.records):
        yield Record(
            shard_id=record.shard_id,
            sequence_number=record.sequence_number,
            sub_sequence=number,
            partition_key=partition_keys[user_record.partition_key_index],
            arrival=record.arrival,
            aggregated=True,
            data=user_record.data,
        )


def _aggregated_record() -> Any:
    """Make an empty message of the aggregation format. Imported late: few batches need it."""
    import sys

    path = list(sys.path)
    from aws_kinesis_agg import deaggregator

    sys.path[:] = path  # the module puts its own directory in front of everything
    return deaggregator.messages_pb2.AggregatedRecord()


def content(record: Record, table: str) -> Content:
    """Decode a user record for a consumer of `table`."""
    try:
        return _content(record, table)
    except _UnusableError as unusable:
        return unusable.content
    except Exception as error:
        # Too deep, too long, not UTF-8: the record goes to quarantine, and many at once trip the
        # circuit breaker.
        return Unusable(Reason.UNREADABLE, type(error).__name__)


def _content(record: Record, table: str) -> Content:
    try:
        document = json.loads(str(record.data, "utf-8"))
    except UnicodeDecodeError:
        raise _UnusableError(Reason.UNREADABLE, "not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _UnusableError(Reason.UNREADABLE, f"not JSON: {error.msg} at {error.pos}") from None
    if type(document) is not dict:
        raise _not_a_change("not a JSON object")
    name = document.get("tableName")
    if type(name) is not str or not _TABLE_NAME.fullmatch(name):
        raise _not_a_change("no tableName")
    if name != table:
        return Foreign(name)  # whatever else it says: it is not this table's to judge
    if b"\\ud" in record.data or b"\\uD" in record.data:
        # Half a character, escaped: JSON allows it, no table holds it, no request can carry it.
        json.dumps(document, ensure_ascii=False).encode()
    if "probe" in document and "dynamodb" not in document:
        return _probe(document)
    body = document.get("dynamodb")
    if type(body) is not dict or type(document.get("eventName")) is not str:
        raise _not_a_change("no dynamodb or no eventName")
    return _change(document["eventName"], body, record.arrival, document.get("userIdentity"))


# DynamoDB's rule for table names. Any other text may be content, and is not logged.
_TABLE_NAME = re.compile(r"[A-Za-z0-9_.-]{3,255}")


def _not_a_change(detail: str) -> _UnusableError:
    return _UnusableError(Reason.NOT_A_CHANGE, detail)


_PROBE_LENGTH = 200


def _probe(document: Mapping[str, Any]) -> Probe:
    probe, n = document["probe"], document.get("n")
    if type(probe) is not str or not probe or type(n) is not int:
        raise _not_a_change("a probe without id or number")
    if len(probe) > _PROBE_LENGTH or not probe.isascii() or not 0 <= n < 2**31:
        raise _not_a_change("a probe whose row no table would take")
    return Probe(probe, n)


# Which images a record of each kind has.
_IMAGES = {"INSERT": (False, True), "MODIFY": (True, True), "REMOVE": (True, False)}


# "Identifying TTL deletes" (Amazon DynamoDB Developer Guide, DynamoDB Streams and Time to Live).
_TIME_TO_LIVE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


def _change(event: str, body: Mapping[str, Any], arrival: float, identity: Any) -> Change:
    if event not in _IMAGES:
        raise _not_a_change("unknown eventName")
    version = _version(body, arrival)
    keys = _keys(body.get("Keys"))
    expects_old, expects_new = _IMAGES[event]
    return Change(
        keys=keys,
        old=_image(body, "OldImage", expects_old, keys, event),
        new=_image(body, "NewImage", expects_new, keys, event),
        version=version,
        arrival=arrival,
        expired=event == "REMOVE" and _is_time_to_live(identity),
    )


def _is_time_to_live(identity: Any) -> bool:
    return type(identity) is dict and identity.items() >= _TIME_TO_LIVE.items()


def _version(body: Mapping[str, Any], arrival: float) -> Version:
    moment = body.get("ApproximateCreationDateTime")
    if type(moment) is not int or moment <= 0:
        raise _not_a_change("ApproximateCreationDateTime is not a positive integer")
    precision = body.get("ApproximateCreationDateTimePrecision")
    if precision == "MICROSECOND":
        return _plausible(moment, MICROSECOND, arrival)
    if precision is None or precision == "MILLISECOND":
        return _plausible(moment * 1000, MILLISECOND, arrival)
    raise _not_a_change("unknown precision")


# DynamoDB is there since January 2012, and no record arrives before its change is made. A time that
# is read in the wrong unit lies far outside: too early, its change would be taken for superseded;
# too late, it would supersede every later change of its key.
_DYNAMODB_BEGAN = 1_325_376_000_000_000
_END_OF_TIME = 7_258_118_400_000_000
"""The year 2200, where it is not known when the record arrived."""
_CLOCKS_DIFFER = 3_600_000_000


def _plausible(micros: int, precision: Precision, arrival: float) -> Version:
    latest = int(arrival * 1e6) + _CLOCKS_DIFFER if arrival > 0 else _END_OF_TIME
    if not _DYNAMODB_BEGAN <= micros <= latest:
        raise _not_a_change("ApproximateCreationDateTime does not fit its precision")
    return Version(micros, precision)


def _keys(raw: Any) -> dict[str, Any]:
    if type(raw) is not dict or not 1 <= len(raw) <= 2:
        raise _not_a_change("no Keys")
    keys = image(raw)
    for value in keys.values():
        if not value.keys() <= {"S", "N", "B"}:
            raise _not_a_change("a key of a type that no key has")
    return keys


def _image(
    body: Mapping[str, Any], name: str, expected: bool, keys: Mapping[str, Any], event: str
) -> dict[str, Any] | None:
    raw = body.get(name)
    if raw is None:
        if expected:
            raise _UnusableError(Reason.MISSING_IMAGE, f"{event} without {name}")
        return None
    if not expected:
        raise _not_a_change(f"{event} with {name}")
    if type(raw) is not dict:
        raise _not_a_change(f"{name} is not an object")
    found = image(raw)
    for key, value in keys.items():
        # An image of another key would be written there, past that key's ledger entry.
        if key not in found or (
            found[key] != value and canonical({key: found[key]}) != canonical({key: value})
        ):
            raise _not_a_change(f"{name} is of another key")
    return found


# DynamoDB nests 32 levels deep (Developer Guide, quotas). What is far deeper came from elsewhere,
# and would exhaust the stack somewhere further on.
_DEEPEST = 64


def image(raw: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """Decode an image in place: its binary values become `bytes`.

    Binary values are base64 twice: DynamoDB encodes them as it does in JSON, and again on the way
    to the stream (Developer Guide, "Using Kinesis Data Streams to capture changes to DynamoDB").
    """
    for value in raw.values():
        if type(value) is not dict or len(value) != 1:
            raise _not_a_change("an attribute that is not one type and one value")
        ((tag, held),) = value.items()
        if tag == "S" or tag == "N":
            if type(held) is not str:
                raise _not_a_change(f"a value of type {tag} that is not text")
        elif tag == "M" or tag == "L":
            if depth == _DEEPEST:
                raise _not_a_change("nested deeper than any item")
            (_map if tag == "M" else _list)(held, depth + 1)
        else:
            value[tag] = _reader(tag)(held)
    return raw


def _reader(tag: str) -> Callable[[Any], Any]:
    reader = _READERS.get(tag)
    if reader is None:
        raise _not_a_change("an attribute of unknown type")
    return reader


def binary(text: Any) -> bytes:
    """Decode a binary value: strict base64, twice."""
    try:
        return a2b_base64(a2b_base64(text, strict_mode=True), strict_mode=True)
    except (TypeError, ValueError):
        raise _UnusableError(Reason.BINARY, "a binary value that is not base64 twice") from None


def _boolean(held: Any) -> bool:
    if type(held) is not bool:
        raise _not_a_change("a value of type BOOL that is not a boolean")
    return held


def _null(held: Any) -> bool:
    if held is not True:
        raise _not_a_change("a value of type NULL that is not true")
    return True


def _map(held: Any, depth: int) -> None:
    if type(held) is not dict:
        raise _not_a_change("a value of type M that is not an object")
    image(held, depth)


def _list(held: Any, depth: int) -> None:
    if type(held) is not list:
        raise _not_a_change("a value of type L that is not an array")
    for element in held:
        if type(element) is not dict:
            raise _not_a_change("an element of a list that is not an attribute value")
        image({"": element}, depth)


def _texts(held: Any) -> list[str]:
    if type(held) is not list or not all(type(member) is str for member in held):
        raise _not_a_change("a set that is not an array of texts")
    return held


def _binaries(held: Any) -> list[bytes]:
    return [binary(member) for member in _texts(held)]


_READERS: dict[str, Callable[[Any], Any]] = {
    "B": binary,
    "BOOL": _boolean,
    "NULL": _null,
    "SS": _texts,
    "NS": _texts,
    "BS": _binaries,
}
