"""Change records as DynamoDB puts them on a stream, and Lambda events as they arrive.

Written from the documentation and from captured records, and not with the consumer's own code.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

from tests.simulation.history import Image, Schema, SourceChange
from tests.simulation.names import SOURCE_TABLE, STREAM_ARN, STREAM_LABEL

_EVENTS = {(False, True): "INSERT", (True, True): "MODIFY", (True, False): "REMOVE"}
_TIME_TO_LIVE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
_AGGREGATE_MAGIC = b"\xf3\x89\x9a\xc2"


@dataclasses.dataclass(frozen=True)
class Part:
    """One user record. `change` is None for what is no change: a probe, or something unusable."""

    data: bytes
    change: SourceChange | None = None
    probe: tuple[str, int] | None = None
    foreign: bool = False
    """Of another table."""
    nameless: bool = False
    """Of no table: another application's."""

    @property
    def at_fault(self) -> bool:
        """It cannot be applied for what it is, not for when it comes."""
        if self.foreign:
            return False
        return self.probe is None and (self.change is None or not self.change.fits)

    @property
    def label(self) -> str:
        if self.change is not None:
            return f"change {self.change.number} (key {self.change.key})"
        if self.foreign:
            return "record of another table"
        return f"probe {self.probe}" if self.probe else "unusable record"


@dataclasses.dataclass(frozen=True)
class StreamRecord:
    """One Kinesis record: one part, or several packed by the producer's library.

    `lethal`: decoding it ends the function. `delivery` counts the records of a history.
    """

    delivery: int
    shard: str
    sequence: str
    arrival: float
    partition_key: str
    parts: tuple[Part, ...]
    data: bytes
    lethal: bool = False

    @property
    def place(self) -> str:
        return f"{self.shard}:{self.sequence}"

    @property
    def says_its_age(self) -> bool:
        """Of a table's stream, where nothing but the change's own time tells when it came."""
        at: float = json.loads(self.data)["dynamodb"]["ApproximateCreationDateTime"]
        return abs(at - self.arrival) < 86_400

    @property
    def label(self) -> str:
        return " + ".join(part.label for part in self.parts)


def _double_base64(image: Any) -> Any:
    """DynamoDB JSON as it stands in a change record: binary is base64 of base64."""
    if isinstance(image, bytes):
        return base64.b64encode(base64.b64encode(image)).decode()
    if isinstance(image, list):
        return [_double_base64(each) for each in image]
    if isinstance(image, dict):
        return {name: _double_base64(each) for name, each in image.items()}
    return image


def _any_order(chance: random.Random, image: Image) -> Image:
    """Sets come back in no particular order."""
    shuffled = dict(image)
    for name, value in image.items():
        for kind in ("SS", "NS", "BS"):
            if kind in value:
                shuffled[name] = {kind: chance.sample(value[kind], len(value[kind]))}
    return shuffled


def document(
    chance: random.Random, schema: Schema, change: SourceChange, expired: bool = False
) -> dict[str, Any]:
    """The change record of a change. `expired`: of a deletion by time to live."""
    image = change.new if change.new is not None else change.old
    assert image is not None
    exact = change.precision == "u"
    body: dict[str, Any] = {
        "ApproximateCreationDateTime": change.stamp if exact else change.stamp // 1000,
        "Keys": _double_base64(schema.keys_of(image)),
        "SizeBytes": 100,
    }
    for name, each in (("NewImage", change.new), ("OldImage", change.old)):
        if each is not None:
            body[name] = _double_base64(_any_order(chance, each))
    if exact or chance.random() < 0.5:
        body["ApproximateCreationDateTimePrecision"] = "MICROSECOND" if exact else "MILLISECOND"
    return {
        "awsRegion": "eu-west-1",
        "eventID": f"{chance.getrandbits(128):032x}",
        "eventName": _EVENTS[change.old is not None, change.new is not None],
        "userIdentity": _TIME_TO_LIVE if expired else None,
        "recordFormat": "application/json",
        "tableName": SOURCE_TABLE,
        "dynamodb": body,
        "eventSource": "aws:dynamodb",
    }


def _single_base64(image: Any) -> Any:
    """DynamoDB JSON as it stands in a stream's record."""
    if isinstance(image, bytes):
        return base64.b64encode(image).decode()
    if isinstance(image, list):
        return [_single_base64(each) for each in image]
    if isinstance(image, dict):
        return {name: _single_base64(each) for name, each in image.items()}
    return image


def stream_document(
    chance: random.Random, schema: Schema, change: SourceChange, expired: bool = False
) -> dict[str, Any]:
    """A change as the table's stream has it, but for its number (Lambda guide, with-ddb.html)."""
    image = change.new if change.new is not None else change.old
    assert image is not None
    body: dict[str, Any] = {
        "ApproximateCreationDateTime": change.stamp / 1_000_000,
        "Keys": _single_base64(schema.keys_of(image)),
    }
    for name, content in (("NewImage", change.new), ("OldImage", change.old)):
        if content is not None:
            body[name] = _single_base64(_any_order(chance, content))
    whole = {
        "eventID": f"{chance.getrandbits(128):032x}",
        "eventName": _EVENTS[change.old is not None, change.new is not None],
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {**body, "SizeBytes": 42, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        "eventSourceARN": STREAM_ARN,
    }
    return whole | ({"userIdentity": _TIME_TO_LIVE} if expired else {})


def _compact(whole: dict[str, Any]) -> bytes:
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def stream_change_part(
    chance: random.Random, schema: Schema, change: SourceChange, expired: bool = False
) -> Part:
    return Part(_compact(stream_document(chance, schema, change, expired)), change)


def stream_foreign_part(chance: random.Random, schema: Schema, change: SourceChange) -> Part:
    whole = stream_document(chance, schema, change)
    whole["eventSourceARN"] = STREAM_ARN.replace(f"/{SOURCE_TABLE}/", "/another-table/")
    return Part(_compact(whole), foreign=True)


def stream_unusable_part(chance: random.Random, schema: Schema, change: SourceChange) -> Part:
    """A record that can only be kept: a stream's record broken in one of several ways."""
    whole = stream_document(chance, schema, change)
    body = whole["dynamodb"]
    kind = chance.randrange(5)
    if kind == 0:
        whole["eventName"] = "TRUNCATE"
    elif kind == 1:
        body.pop("NewImage" if change.new is not None else "OldImage")
    elif kind == 2:
        body["NewImage" if change.new is not None else "OldImage"]["broken"] = {"B": "b25jZQ"}
    elif kind == 3:
        body["ApproximateCreationDateTime"] *= 1000
    else:
        (name, value), *_ = body["Keys"].items()
        body["Keys"][name] = {tag: f"{text}1" for tag, text in value.items()}
    return Part(_compact(whole))


def numbered(part: Part, sequence: str) -> Part:
    """The part as the stream has it once it has given it a number."""
    whole = json.loads(part.data)
    whole["dynamodb"]["SequenceNumber"] = sequence
    return dataclasses.replace(part, data=_compact(whole))


def stream_event(records: Sequence[StreamRecord]) -> dict[str, Any]:
    """The event with which Lambda passes a stream's records to the function."""
    return {"Records": [json.loads(record.data) for record in records]}


def order_of(record: StreamRecord) -> str:
    """The record's place in the table's streams, as the ledger has it."""
    return f"{STREAM_LABEL}#{record.sequence:0>40}"


def change_part(
    chance: random.Random, schema: Schema, change: SourceChange, expired: bool = False
) -> Part:
    return Part(json.dumps(document(chance, schema, change, expired)).encode(), change)


def foreign_part(chance: random.Random, schema: Schema, change: SourceChange) -> Part:
    """The same change as another table's, which is none of this table's."""
    whole = document(chance, schema, change)
    whole["tableName"] = chance.choice(("another-table", "a-third-table"))
    return Part(json.dumps(whole).encode(), foreign=True)


def nameless_part(chance: random.Random) -> Part:
    """What another application put into the stream: no table made it."""
    texts = (b"tick", b'{"level": "info"}', b"[1, 2]", b"\x00\x01\xfe", b"{")
    return Part(chance.choice(texts), nameless=True)


def probe_part(probe: str, number: int) -> Part:
    body = {"probe": probe, "tableName": SOURCE_TABLE, "n": number}
    return Part(json.dumps(body).encode(), probe=(probe, number))


def unusable_part(chance: random.Random, schema: Schema, change: SourceChange) -> Part:
    """A record that can only be kept: a change record broken in one of several ways."""
    whole = document(chance, schema, change)
    kind = chance.randrange(7)
    if kind == 0:
        return Part(json.dumps(whole).encode()[:-20])
    if kind == 1:
        whole["eventName"] = "TRUNCATE"
    elif kind == 2:
        whole["dynamodb"].pop("NewImage" if change.new is not None else "OldImage")
    elif kind == 3:
        image = whole["dynamodb"]["NewImage" if change.new is not None else "OldImage"]
        image["broken"] = {"B": base64.b64encode(b"once").decode()[:-1]}
    elif kind == 4:
        body = whole["dynamodb"]
        exact = body.pop("ApproximateCreationDateTimePrecision", None) == "MICROSECOND"
        if not exact:  # microseconds without their name are read as milliseconds, and so far ahead
            body["ApproximateCreationDateTime"] *= 1000
    elif kind == 5:
        (name, value), *_ = whole["dynamodb"]["Keys"].items()
        whole["dynamodb"]["Keys"][name] = {tag: f"{text}1" for tag, text in value.items()}
    else:
        return Part(b"\xff\xfe not a change at all")
    return Part(json.dumps(whole).encode())


def aggregate(parts: Sequence[Part]) -> bytes:
    """The parts packed as the Kinesis producer's library packs them.

    Format: https://github.com/awslabs/kinesis-aggregation (magic, protobuf message, MD5 of it).
    """

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2]) + _varint(len(content)) + content

    message = field(1, b"partition-key")
    for part in parts:
        message += field(3, b"\x08\x00" + field(3, part.data))
    digest = hashlib.md5(message, usedforsecurity=False).digest()
    return _AGGREGATE_MAGIC + message + digest


def unpacked(data: bytes) -> list[bytes]:
    """The user records of a Kinesis record, aggregated or not."""
    if not data.startswith(_AGGREGATE_MAGIC):
        return [data]
    message = data[len(_AGGREGATE_MAGIC) : -16]
    return [_only(record, 3) for number, record in _fields(message) if number == 3]


def _only(message: bytes, wanted: int) -> bytes:
    (found,) = [content for number, content in _fields(message) if number == wanted]
    return found


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a protobuf message; numbers are skipped."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        length, at = _read_varint(message, at)
        if tag & 7 == 2:
            yield tag >> 3, message[at : at + length]
            at += length


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def event(records: Sequence[StreamRecord]) -> dict[str, Any]:
    """The event that Lambda calls the function with."""
    return {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": record.partition_key,
                    "sequenceNumber": record.sequence,
                    "data": base64.b64encode(record.data).decode(),
                    "approximateArrivalTimestamp": round(record.arrival, 3),
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": record.place,
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": "arn:aws:iam::222222222222:role/consumer",
                "awsRegion": "eu-west-1",
                "eventSourceARN": "arn:aws:kinesis:eu-west-1:111111111111:stream/orders",
            }
            for record in records
        ]
    }
