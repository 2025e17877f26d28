"""Lambda events as the mapping delivers them, of a chosen size and shape.

The changes are those of a table with a composite key: 45 % inserts, 45 % modifications (both
images in the record) and 10 % deletes, of items that hold strings, numbers, a nested map, a list
and a binary.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aws_kinesis_agg.aggregator import RecordAggregator

STREAM_ARN = "arn:aws:kinesis:eu-west-1:111111111111:stream/bench"
SOURCE_TABLE = "bench"

# Lambda's synchronous payload, which a batch may fill (bytes of its JSON), and a batch's most.
PAYLOAD = 6 * 1024 * 1024
MOST_RECORDS = 10_000

START = 1_790_000_000_000_000  # microseconds; the first change's timestamp


@dataclass(frozen=True)
class Shape:
    """What an event holds.

    `item_bytes`: about the size of an item, by DynamoDB's count of bytes. `changes`: how many, None
    for as many as the payload takes. `repeated`: the share of changes whose key another one has.
    `aggregated`: packed by the Kinesis Producer Library's format, as redriven records are.
    """

    item_bytes: int
    changes: int | None
    repeated: float = 0.0
    aggregated: bool = False

    @property
    def name(self) -> str:
        count = "full" if self.changes is None else str(self.changes)
        size = (
            f"{self.item_bytes // 1024} KB" if self.item_bytes >= 1024 else f"{self.item_bytes} B"
        )
        return f"{size}, {count}, {self.repeated:.0%} repeated" + (", KPL" * self.aggregated)


def _twice(value: bytes) -> str:
    return base64.b64encode(base64.b64encode(value)).decode()


def _item(key: int, revision: int, size: int, random_: random.Random) -> dict[str, Any]:
    image: dict[str, Any] = {
        "pk": {"S": f"customer-{key:08d}"},
        "sk": {"N": str(key % 97)},
        "revision": {"N": str(revision)},
        "price": {"N": f"{random_.randrange(10**6)}.{random_.randrange(100):02d}"},
        "digest": {"B": _twice(random_.randbytes(32))},
        "address": {"M": {"city": {"S": "Zaragoza"}, "zip": {"S": "50001"}, "ok": {"BOOL": True}}},
        "tags": {"L": [{"S": "a"}, {"N": "7"}, {"NULL": True}]},
    }
    filler = max(size - 190, 0)
    for part in range(0, filler, 200):
        length = min(200, filler - part)
        image[f"text{part // 200:02d}"] = {"S": random_.randbytes(length // 2).hex()}
    return image


def changes(shape: Shape, seed: int = 1) -> Iterator[bytes]:
    """Change records as Kinesis Data Streams for DynamoDB writes them, without end."""
    random_ = random.Random(seed)
    key = 0
    for number in range(10**9):
        if number == 0 or random_.random() >= shape.repeated:
            key += 1
            current = key
        else:
            current = random_.randrange(max(1, key - 200), key + 1)
        kind = random_.choices(("INSERT", "MODIFY", "REMOVE"), (45, 45, 10))[0]
        new = _item(current, number, shape.item_bytes, random_)
        old = _item(current, number - 1, shape.item_bytes, random_)
        images = {
            "INSERT": {"NewImage": new},
            "MODIFY": {"NewImage": new, "OldImage": old},
            "REMOVE": {"OldImage": old},
        }[kind]
        yield json.dumps(
            {
                "awsRegion": "eu-west-1",
                "eventID": f"{number:032x}",
                "eventName": kind,
                "userIdentity": None,
                "recordFormat": "application/json",
                "tableName": SOURCE_TABLE,
                "dynamodb": {
                    "ApproximateCreationDateTime": START + number,
                    "Keys": {"pk": new["pk"], "sk": new["sk"]},
                    **images,
                    "SizeBytes": shape.item_bytes,
                    "ApproximateCreationDateTimePrecision": "MICROSECOND",
                },
                "eventSource": "aws:dynamodb",
            },
            separators=(",", ":"),
        ).encode()


def _lambda_record(data: bytes, sequence: int) -> dict[str, Any]:
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": hashlib.md5(data[:64], usedforsecurity=False).hexdigest(),
            "sequenceNumber": f"4959{sequence:052d}",
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": START / 1e6,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000000:4959{sequence:052d}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::222222222222:role/consumer",
        "awsRegion": "eu-west-1",
        "eventSourceARN": STREAM_ARN,
    }


def _aggregates(source: Iterator[bytes], limit: int | None) -> Iterator[tuple[bytes, int]]:
    """KPL aggregates of up to 1 MiB (the library's limit) and the number of changes in each."""
    aggregator, held = RecordAggregator(), 0
    for number, data in enumerate(source):
        if limit is not None and number == limit:
            break
        full = aggregator.add_user_record(str(number), data)
        if full is not None:
            yield full.get_contents()[2], held
            held = 0
        held += 1
    rest = aggregator.clear_and_get()
    if held and rest is not None:
        yield rest.get_contents()[2], held


def event(shape: Shape, seed: int = 1, first: int = 0) -> tuple[dict[str, Any], int]:
    """An event of that shape and the number of changes it holds; `first` numbers its records."""
    source = changes(shape, seed)
    parts: Iterator[tuple[bytes, int]]
    parts = (
        _aggregates(source, shape.changes) if shape.aggregated else ((data, 1) for data in source)
    )
    records: list[dict[str, Any]] = []
    size, held = 0, 0
    for data, count in parts:
        record = _lambda_record(data, first + len(records))
        size += len(json.dumps(record)) + 1
        full = size > PAYLOAD - 32 or len(records) == MOST_RECORDS
        if full or (shape.changes is not None and held >= shape.changes):
            break
        records.append(record)
        held += count
    return {"Records": records}, held
