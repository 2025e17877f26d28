"""Records of a Kinesis data stream: envelope, aggregation, and DynamoDB's changes in them."""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Iterator, Mapping
from hashlib import md5
from typing import Any

from replicator.change import MICROSECOND, MILLISECOND, Probe, Version
from replicator.consumer.decode import (
    TABLE_NAME,
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
from replicator.consumer.outcome import Reason

IN_ORDER = False

# https://github.com/awslabs/kinesis-aggregation: magic, protobuf message, MD5 of the message.
_AGGREGATE_MAGIC = b"\xf3\x89\x9a\xc2"
_AGGREGATE_DIGEST_BYTES = 16


def envelope(event: Any) -> list[Record]:
    """Return the event's Kinesis records in order of delivery.

    A record whose data is not base64 keeps it as text. Raise EnvelopeError for anything but an
    event of a Kinesis mapping.
    """
    try:
        return [_record(raw) for raw in event["Records"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EnvelopeError(type(error).__name__) from None


def single(event: Any) -> Place | None:
    """Return shard and sequence number of an event's only record, without reading its data."""
    try:
        (raw,) = event["Records"]
        shard_id, _, sequence_number = str(raw["eventID"]).partition(":")
        return shard_id, sequence_number
    except (KeyError, TypeError, ValueError):
        return None


def park_name(record: Record) -> str:
    """Return `shard:sequence number`."""
    return f"{record.shard_id}:{record.sequence_number}"


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
    return read(record, lambda record, document: _content(record, document, table))


def _content(record: Record, document: dict[str, Any], table: str) -> Content:
    name = document.get("tableName")
    if type(name) is not str or not TABLE_NAME.fullmatch(name):
        raise not_a_change("no tableName")
    if name != table:
        return Foreign(name)  # whatever else it says: it is not this table's to judge
    refuse_half_characters(record.data, document)
    if "probe" in document and "dynamodb" not in document:
        return _probe(document)
    arrival = record.arrival
    return change_of(
        document, version=lambda body: _version(body, arrival), arrival=arrival, images=IMAGES
    )


_PROBE_LENGTH = 200


def _probe(document: Mapping[str, Any]) -> Probe:
    probe, n = document["probe"], document.get("n")
    if type(probe) is not str or not probe or type(n) is not int:
        raise not_a_change("a probe without id or number")
    if len(probe) > _PROBE_LENGTH or not probe.isascii() or not 0 <= n < 2**31:
        raise not_a_change("a probe whose row no table would take")
    return Probe(probe, n)


def _version(body: Mapping[str, Any], arrival: float) -> Version:
    moment = body.get("ApproximateCreationDateTime")
    if type(moment) is not int or moment <= 0:
        raise not_a_change("ApproximateCreationDateTime is not a positive integer")
    precision = body.get("ApproximateCreationDateTimePrecision")
    if precision == "MICROSECOND":
        return plausible(moment, MICROSECOND, arrival)
    if precision is None or precision == "MILLISECOND":
        return plausible(moment * 1000, MILLISECOND, arrival)
    raise not_a_change("unknown precision")


def binary(text: Any) -> bytes:
    """Decode a binary value: strict base64, twice.

    DynamoDB encodes them as it does in JSON, and again on the way to the stream (Developer Guide,
    "Using Kinesis Data Streams to capture changes to DynamoDB").
    """
    return a2b_base64(a2b_base64(text, strict_mode=True), strict_mode=True)


IMAGES = ImageReader(binary, "a binary value that is not base64 twice")
