"""Lambda's view of a shard's records: events, batches, and the function's answer.

Pure functions. Shapes: developer guide, with-kinesis.html, with-ddb.html and
services-kinesis-batchfailurereporting.html.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.local.emulator.patching import Json
from infra.local.emulator.table_streams.records import lambda_record

PAYLOAD_BYTES = 6 * 1024 * 1024  # synchronous invocation payload, fixed

Record = Mapping[str, Any]


@dataclass(frozen=True)
class BatchSource:
    """The origin of an event's records, as the event names it."""

    stream_arn: str
    shard_id: str
    region: str
    role_arn: str

    @property
    def of_table(self) -> bool:
        """Say whether this is the DynamoDB stream of a table."""
        return self.stream_arn.split(":")[2] == "dynamodb"


def event_record(source: BatchSource, record: Record) -> Json:
    """Return one record of an event."""
    if source.of_table:
        return lambda_record(record, source.stream_arn)
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": record["Data"],
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"],
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{source.shard_id}:{record['SequenceNumber']}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": source.role_arn,
        "awsRegion": source.region,
        "eventSourceARN": source.stream_arn,
    }


def event(source: BatchSource, records: Iterable[Record]) -> Json:
    """Return the event of these records."""
    return {"Records": [event_record(source, record) for record in records]}


def payload_size(source: BatchSource, record: Record) -> int:
    """Return the bytes that a record takes of an event's payload."""
    if source.of_table:
        return len(json.dumps(event_record(source, record), separators=(",", ":"))) + 1
    bare = event_record(source, {**record, "Data": ""})
    return len(json.dumps(bare, separators=(",", ":"))) + len(record["Data"]) + 1


def fitting(source: BatchSource, records: Sequence[Record], size: int) -> list[Record]:
    """Return the longest prefix of the records that fits a batch: `size` records and 6 MB.

    A first record that is too large on its own is returned alone.
    """
    batch: list[Record] = []
    room = PAYLOAD_BYTES - len('{"Records":[]}')
    for record in records[:size]:
        room -= payload_size(source, record)
        if room < 0:
            break
        batch.append(record)
    return batch or list(records[:1])


def is_too_large(source: BatchSource, batch: Sequence[Record]) -> bool:
    """Return whether the batch is one record that no invocation can take."""
    return len(batch) == 1 and payload_size(source, batch[0]) > PAYLOAD_BYTES - 14


def poller_of(record: Record, factor: int) -> int:
    """Return which of `factor` pollers reads this partition key's records."""
    if factor == 1:
        return 0
    digest = hashlib.sha256(record["PartitionKey"].encode()).digest()
    return int.from_bytes(digest[:4], "big") % factor


def failed_from(answer: Any, batch: Sequence[Record]) -> int | None:
    """Return the index of the first record to retry by a partial batch response; None for success.

    The lowest sequence number, compared as a number, is the checkpoint. Nothing, null and an empty
    list are success; an identifier that is empty, null or not of this batch fails the whole batch.
    """
    if answer in (None, "", {}):
        return None
    if not isinstance(answer, dict) or "batchItemFailures" not in answer:
        return None if isinstance(answer, dict) else 0
    failures = answer["batchItemFailures"]
    if not failures:
        return None
    indexes = {int(record["SequenceNumber"]): index for index, record in enumerate(batch)}
    try:
        numbers = [int(failure["itemIdentifier"]) for failure in failures]
        return min(indexes[number] for number in numbers)
    except (KeyError, TypeError, ValueError):
        return 0
