"""The parts that the decoders of both buffers share: records, and DynamoDB JSON as changes.

Nothing here raises for what a record holds: what cannot be read becomes an `Unusable` with the
reason, and the caller keeps the record whole. No AWS call is made here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from replicator.canonical import canonical
from replicator.change import Change, Precision, Probe, Version
from replicator.consumer.outcome import Reason


class EnvelopeError(Exception):
    """The event is not what the mapping of this buffer sends: there is nothing to report by."""


@dataclass(frozen=True)
class Record:
    """A user record as received, and where it lies in the stream.

    `data` is what the producer put (the event's base64 undone), or the JSON of a DynamoDB stream's
    whole record. `sub_sequence` counts the records of an aggregate; 0 for a plain record and for an
    aggregate that is kept whole. `arrival` is when the record entered the stream, in seconds since
    1970. An event of a DynamoDB stream names no shard: there `shard_id` is the stream's label.
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


class Decoder(Protocol):
    """A decoder of one buffer's events. The modules `kinesis_records` and `stream_records` are the
    two."""

    IN_ORDER: bool
    """Records of an event are in the order in which their changes were made."""

    def envelope(self, event: Any) -> list[Record]:
        """Return the event's records as delivered; raise EnvelopeError for another event."""

    def single(self, event: Any) -> Place | None:
        """Return where an event's only record lies, without reading its data."""

    def park_name(self, record: Record) -> str:
        """Return the name by which the settings row parks a record."""

    def user_records(self, record: Record) -> list[Record] | Unusable:
        """Return the user records in a record: itself, or those aggregated in it."""

    def content(self, record: Record, table: str) -> Content:
        """Decode a user record for a consumer of `table`."""


Place: TypeAlias = tuple[str, str]
"""A shard and a sequence number."""


class UnusableError(Exception):
    """Raised inside a decoder: `read` turns it into an `Unusable`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.content = Unusable(reason, detail)


def not_a_change(detail: str) -> UnusableError:
    return UnusableError(Reason.NOT_A_CHANGE, detail)


def read(record: Record, reader: Callable[[Record, dict[str, Any]], Content]) -> Content:
    """Read a record's JSON object; whatever is wrong with it is the content."""
    try:
        return reader(record, _document(record.data))
    except UnusableError as unusable:
        return unusable.content
    except Exception as error:
        # Too deep, too long, not UTF-8: the record goes to quarantine, and many at once trip the
        # circuit breaker.
        return Unusable(Reason.UNREADABLE, type(error).__name__)


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(str(data, "utf-8"))
    except UnicodeDecodeError:
        raise UnusableError(Reason.UNREADABLE, "not UTF-8") from None
    except json.JSONDecodeError as error:
        raise UnusableError(Reason.UNREADABLE, f"not JSON: {error.msg} at {error.pos}") from None
    if type(document) is not dict:
        raise not_a_change("not a JSON object")
    return document


def refuse_half_characters(data: bytes, document: Mapping[str, Any]) -> None:
    """Raise for half a character, escaped: JSON allows it, no table holds it, no request can carry
    it."""
    if b"\\ud" in data or b"\\uD" in data:
        json.dumps(document, ensure_ascii=False).encode()


TABLE_NAME = re.compile(r"[A-Za-z0-9_.-]{3,255}")
"""DynamoDB's rule for table names. Any other text may be content, and is not logged."""

# Which images a record of each kind has.
_IMAGES = {"INSERT": (False, True), "MODIFY": (True, True), "REMOVE": (True, False)}


# "Identifying TTL deletes" (Amazon DynamoDB Developer Guide, DynamoDB Streams and Time to Live).
_TIME_TO_LIVE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


def change_of(
    document: Mapping[str, Any],
    *,
    version: Callable[[Mapping[str, Any]], Version],
    arrival: float,
    images: ImageReader,
) -> Change:
    """Return the change in a record's document."""
    body, event = document.get("dynamodb"), document.get("eventName")
    if type(body) is not dict or type(event) is not str:
        raise not_a_change("no dynamodb or no eventName")
    if event not in _IMAGES:
        raise not_a_change("unknown eventName")
    made = version(body)
    keys = _keys(body.get("Keys"), images)
    expects_old, expects_new = _IMAGES[event]
    return Change(
        keys=keys,
        old=_image(body, "OldImage", expects_old, keys, event, images),
        new=_image(body, "NewImage", expects_new, keys, event, images),
        version=made,
        arrival=arrival,
        expired=event == "REMOVE" and _is_time_to_live(document.get("userIdentity")),
    )


def _is_time_to_live(identity: Any) -> bool:
    return type(identity) is dict and identity.items() >= _TIME_TO_LIVE.items()


# DynamoDB is there since January 2012, and no record arrives before its change is made. A time that
# is read in the wrong unit lies far outside: too early, its change would be taken for superseded;
# too late, it would supersede every later change of its key.
_DYNAMODB_BEGAN = 1_325_376_000_000_000
_END_OF_TIME = 7_258_118_400_000_000
"""The year 2200, where it is not known when the record arrived."""
_CLOCKS_DIFFER = 3_600_000_000


def plausible(micros: int, precision: Precision, arrival: float, order: str = "") -> Version:
    """Return the version of a time that can be one; `arrival` in seconds, 0 for unknown."""
    latest = int(arrival * 1e6) + _CLOCKS_DIFFER if arrival > 0 else _END_OF_TIME
    if not _DYNAMODB_BEGAN <= micros <= latest:
        raise not_a_change("ApproximateCreationDateTime does not fit its precision")
    return Version(micros, precision, order)


def _keys(raw: Any, images: ImageReader) -> dict[str, Any]:
    if type(raw) is not dict or not 1 <= len(raw) <= 2:
        raise not_a_change("no Keys")
    keys = images.image(raw)
    for value in keys.values():
        if not value.keys() <= {"S", "N", "B"}:
            raise not_a_change("a key of a type that no key has")
    return keys


def _image(
    body: Mapping[str, Any],
    name: str,
    expected: bool,
    keys: Mapping[str, Any],
    event: str,
    images: ImageReader,
) -> dict[str, Any] | None:
    raw = body.get(name)
    if raw is None:
        if expected:
            raise UnusableError(Reason.MISSING_IMAGE, f"{event} without {name}")
        return None
    if not expected:
        raise not_a_change(f"{event} with {name}")
    if type(raw) is not dict:
        raise not_a_change(f"{name} is not an object")
    found = images.image(raw)
    for key, value in keys.items():
        # An image of another key would be written there, past that key's ledger entry.
        if key not in found or (
            found[key] != value and canonical({key: found[key]}) != canonical({key: value})
        ):
            raise not_a_change(f"{name} is of another key")
    return found


# DynamoDB nests 32 levels deep (Developer Guide, quotas). What is far deeper came from elsewhere,
# and would exhaust the stack somewhere further on.
_DEEPEST = 64


class ImageReader:
    """Decodes images in place: their binary values become `bytes`.

    `binary` decodes a binary value, and raises TypeError or ValueError for any other.
    """

    def __init__(self, binary: Callable[[Any], bytes], detail: str) -> None:
        self._binary = binary
        self._detail = detail
        """What is wrong with a binary value that cannot be decoded."""
        self._readers: dict[str, Callable[[Any], Any]] = {
            "B": self.binary,
            "BOOL": _boolean,
            "NULL": _null,
            "SS": _texts,
            "NS": _texts,
            "BS": self._binaries,
        }

    def image(self, raw: dict[str, Any], depth: int = 0) -> dict[str, Any]:
        for value in raw.values():
            if type(value) is not dict or len(value) != 1:
                raise not_a_change("an attribute that is not one type and one value")
            ((tag, held),) = value.items()
            if tag == "S" or tag == "N":
                if type(held) is not str:
                    raise not_a_change(f"a value of type {tag} that is not text")
            elif tag == "M" or tag == "L":
                if depth == _DEEPEST:
                    raise not_a_change("nested deeper than any item")
                (self._map if tag == "M" else self._list)(held, depth + 1)
            else:
                value[tag] = self._reader(tag)(held)
        return raw

    def binary(self, text: Any) -> bytes:
        try:
            return self._binary(text)
        except (TypeError, ValueError):
            raise UnusableError(Reason.BINARY, self._detail) from None

    def _reader(self, tag: str) -> Callable[[Any], Any]:
        reader = self._readers.get(tag)
        if reader is None:
            raise not_a_change("an attribute of unknown type")
        return reader

    def _map(self, held: Any, depth: int) -> None:
        if type(held) is not dict:
            raise not_a_change("a value of type M that is not an object")
        self.image(held, depth)

    def _list(self, held: Any, depth: int) -> None:
        if type(held) is not list:
            raise not_a_change("a value of type L that is not an array")
        for element in held:
            if type(element) is not dict:
                raise not_a_change("an element of a list that is not an attribute value")
            self.image({"": element}, depth)

    def _binaries(self, held: Any) -> list[bytes]:
        return [self.binary(member) for member in _texts(held)]


def _boolean(held: Any) -> bool:
    if type(held) is not bool:
        raise not_a_change("a value of type BOOL that is not a boolean")
    return held


def _null(held: Any) -> bool:
    if held is not True:
        raise not_a_change("a value of type NULL that is not true")
    return True


def _texts(held: Any) -> list[str]:
    if type(held) is not list or not all(type(member) is str for member in held):
        raise not_a_change("a set that is not an array of texts")
    return held
