"""A target account in memory with a consumer on it, and change records to give to it."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from replicator.call_context import CallContext
from replicator.change import Change, Precision, Version
from replicator.consumer.consumer import Consumer
from replicator.consumer.metrics import InvocationStats
from replicator.runtime import Deadline, Executor, Runtime, SerialExecutor
from replicator.settings import ConsumerConfig
from tests.support.fakes import errors
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.dynamodb import FakeDynamoDB
from tests.support.fakes.errors import Call, Faults, ScriptedFaults
from tests.support.fakes.s3 import FakeS3

TABLE, TARGET, LEDGER, BUCKET = "orders", "orders-replica", "ledger", "quarantine"
SHARD = "shardId-000000000003"
START = 1_767_225_600_000_000
DAY = 86_400

CONFIG = ConsumerConfig("test", TABLE, TARGET, "eu-west-1", LEDGER, BUCKET)

Item = dict[str, Any]


def item(key: str, value: Any = 1, **more: Any) -> Item:
    """An item of the tables here: hash key `pk` (S), a value, and whatever else."""
    return {"pk": {"S": key}, "value": {"N": str(value)}, **more}


def document(
    old: Item | None,
    new: Item | None,
    micros: int = START,
    *,
    precision: Precision | None = "u",
    table: str = TABLE,
    **overrides: Any,
) -> dict[str, Any]:
    """A change record as Kinesis Data Streams for DynamoDB writes it (images of JSON text only)."""
    known = new if new is not None else old
    assert known is not None
    body: dict[str, Any] = {"Keys": {"pk": known["pk"]}, "SizeBytes": 42}
    if precision == "u":
        body["ApproximateCreationDateTime"] = micros
        body["ApproximateCreationDateTimePrecision"] = "MICROSECOND"
    else:
        body["ApproximateCreationDateTime"] = micros // 1000
    if old is not None:
        body["OldImage"] = old
    if new is not None:
        body["NewImage"] = new
    return {
        "awsRegion": "eu-west-1",
        "eventID": "f89436e0-627d-4d37-9879-42f86249aa83",
        "eventName": "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
        "userIdentity": None,
        "recordFormat": "application/json",
        "tableName": table,
        "dynamodb": body | overrides,
        "eventSource": "aws:dynamodb",
    }


def probe(n: int = 0, *, probe: str = "probe-1", table: str = TABLE) -> dict[str, Any]:
    return {"probe": probe, "tableName": table, "n": n}


def as_bytes(document: Any) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def aggregate(*documents: Any) -> bytes:
    """What the Kinesis Producer Library makes of several records."""
    from replicator.consumer.kinesis_records import _aggregated_record

    message = _aggregated_record()
    message.partition_key_table.append("p")
    for each in documents:
        record = message.records.add()
        record.partition_key_index = 0
        record.data = as_bytes(each)
    packed: bytes = message.SerializeToString()
    digest = hashlib.md5(packed, usedforsecurity=False).digest()
    return b"\xf3\x89\x9a\xc2" + packed + digest


def event(
    *documents: Any, first: int = 1000, arrival: float = START / 1e6, shard: str = SHARD
) -> dict[str, Any]:
    """An event of Lambda's Kinesis mapping with these records, numbered upwards from `first`."""
    return {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": "0AB18464EFEE6043E48DD4475DABA453",
                    "sequenceNumber": str(number),
                    "data": base64.b64encode(as_bytes(each)).decode(),
                    "approximateArrivalTimestamp": arrival,
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": f"{shard}:{number}",
                "eventName": "aws:kinesis:record",
                "awsRegion": "eu-west-1",
                "eventSourceARN": "arn:aws:kinesis:eu-west-1:111111111111:stream/orders",
            }
            for number, each in zip(itertools.count(first), documents, strict=False)
        ]
    }


def failed(report: Mapping[str, Any]) -> str | None:
    """The sequence number from which a report asks for redelivery."""
    failures = report["batchItemFailures"]
    assert len(failures) <= 1
    return failures[0]["itemIdentifier"] if failures else None


def change(
    old: Item | None,
    new: Item | None,
    micros: int = START,
    *,
    precision: Precision = "u",
    arrival: float = START / 1e6,
) -> Change:
    known = new if new is not None else old
    assert known is not None
    return Change({"pk": known["pk"]}, old, new, Version(micros, precision), arrival)


class Emitted:
    """A meter that keeps what it is given."""

    def __init__(self) -> None:
        self.all_stats: list[InvocationStats] = []

    def emit(self, stats: InvocationStats) -> None:
        self.all_stats.append(stats)

    @property
    def last(self) -> dict[str, int]:
        return {name: n for name, n in self.all_stats[-1].counts.items() if n}


class ConsumerHarness:
    """Fakes of the target account, and consumers (containers) on them."""

    def __init__(self, *, seed: int = 1, executor: Executor | None = None) -> None:
        self.clock = VirtualClock(START)
        self.faults = ScriptedFaults()
        self.s3_faults = ScriptedFaults()
        self.dynamodb = FakeDynamoDB(self.clock, faults=self.faults)
        self.s3 = FakeS3(self.clock, faults=self.s3_faults)
        self.runtime = Runtime(self.clock, random.Random(seed), executor or SerialExecutor())
        self.meter = Emitted()
        self.output = io.StringIO()
        self.log: list[Any] = []
        """The log records, with the members that the consumer adds to them."""
        self.calls: list[str] = []
        self._create()
        self.consumer = self.container()

    def _create(self) -> None:
        self.s3.create_bucket(Bucket=BUCKET)
        for table, key, kind in ((TARGET, "pk", "S"), (LEDGER, "k", "B")):
            self.dynamodb.create_table(
                TableName=table,
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind}],
                BillingMode="PAY_PER_REQUEST",
            )

    def container(self, **config: Any) -> Consumer:
        """A fresh container: it remembers nothing."""
        return Consumer.build(
            replace(CONFIG, **config),
            dynamodb=self.dynamodb,
            s3=self.s3,
            runtime=self.runtime,
            logger=self.logger(),
            meter=self.meter,
        )

    def logger(self) -> logging.Logger:
        logger = logging.Logger("test")
        logger.addHandler(logging.StreamHandler(self.output))
        keeper = logging.Handler()
        keeper.emit = self.log.append  # type: ignore[method-assign, assignment]
        logger.addHandler(keeper)
        return logger

    def handle(self, *documents: Any, millis: float = 60_000, **where: Any) -> str | None:
        """Delivers one batch; the sequence number from which it is to be redelivered, or None."""
        return failed(self.consumer.handle(event(*documents, **where), millis))

    def settings(self, **row: Any) -> None:
        """Writes the settings row, and forgets what the consumer knew of it."""
        self.dynamodb.put_item(TableName=LEDGER, Item={"k": {"B": b"settings"}, **row})
        self.clock.advance(31)

    def target(self, key: str) -> Item | None:
        found: Item | None = self.dynamodb.get_item(
            TableName=TARGET, Key={"pk": {"S": key}}, ConsistentRead=True
        ).get("Item")
        return found

    def value(self, key: str) -> str | None:
        found = self.target(key)
        return None if found is None else found["value"]["N"]

    def ledger(self, change: Change) -> Item | None:
        found: Item | None = self.dynamodb.get_item(
            TableName=LEDGER, Key={"k": {"B": change.key}}, ConsistentRead=True
        ).get("Item")
        return found

    def rows(self) -> list[bytes]:
        """The keys of everything in the ledger table."""
        return [bytes(row["k"]["B"]) for row in self.dynamodb.scan(TableName=LEDGER)["Items"]]

    def quarantine(self) -> dict[str, dict[str, Any]]:
        """Quarantine objects by key."""
        return {key: json.loads(stored.body) for key, stored in self.s3.buckets[BUCKET].items()}

    def reasons(self) -> list[str]:
        return sorted(each["reason"] for each in self.quarantine().values())

    def context(self, seconds: float = 60, **more: Any) -> CallContext:
        deadline = Deadline(self.runtime, seconds * 1000)
        return CallContext(deadline, InvocationStats(self.logger()).report_error, **more)


def spread(values: Sequence[Any]) -> list[dict[str, Any]]:
    """Inserts of distinct keys `k0`, `k1`, … with these values."""
    return [document(None, item(f"k{n}", value)) for n, value in enumerate(values)]


class Watch(Faults):
    """Keeps the operations of several fakes in the order in which they are called."""

    def __init__(self, *services: Any) -> None:
        self.operations: list[str] = []
        for service in services:
            service.faults = self

    def before(self, call: Call) -> None:
        self.operations.append(call.operation)


class FailWrites(Faults):
    """No transaction that writes one of these keys is executed."""

    def __init__(self, *keys: str) -> None:
        self._keys = set(keys)

    def before(self, call: Call) -> None:
        if call.operation == "TransactWriteItems":
            written = json.dumps(call.request["TransactItems"], default=repr)
            if any(f'"S": "{key}"' in written for key in self._keys):
                raise errors.access_denied("TransactWriteItems")
