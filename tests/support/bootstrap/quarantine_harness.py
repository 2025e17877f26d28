"""A table's quarantine in memory: the real gateways and the real consumer on fakes of AWS."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence
from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.aws.ledger import AwsLedger
from bootstrap.aws.quarantine import AwsBucket
from bootstrap.aws.stream import AwsStream
from bootstrap.core.errors import Side
from bootstrap.core.stack_outputs import TableOutputs
from bootstrap.core.state import State
from bootstrap.quarantine.context import QuarantineContext
from bootstrap.quarantine.direct import DirectConsumer
from bootstrap.quarantine.redrive import RedriveOutcome, redrive
from bootstrap.quarantine.store import QuarantinedObject, QuarantineStoreReader
from replicator.consumer.decode import Record
from replicator.consumer.outcome import Reason
from replicator.consumer.quarantine import QuarantineStore
from tests.support.fakes.errors import Call, ScriptedFaults
from tests.support.fakes.requests import check_shape
from tests.support.replicator import consumer_harness as replicas
from tests.support.replicator.consumer_harness import (
    BUCKET,
    CONFIG,
    LEDGER,
    SHARD,
    START,
    TABLE,
    TARGET,
    as_bytes,
)

DAY = 86_400
MIB = 1024 * 1024
FAILURES, STREAM = "on-failure", "orders-stream"

OUTPUTS = TableOutputs(
    source_table=TABLE,
    source_table_arn=f"arn:aws:dynamodb:eu-west-1:111111111111:table/{TABLE}",
    target_table=TARGET,
    stream_name=STREAM,
    stream_arn=f"arn:aws:kinesis:eu-west-1:111111111111:stream/{STREAM}",
    consumer_region="eu-west-1",
    function_name="consumer",
    mapping_uuid="uuid",
    parallelization_factor=1,
    ledger_table=LEDGER,
    ledger_retention_days=30,
    quarantine_bucket=BUCKET,
    on_failure_bucket=FAILURES,
    snapshot_prefix="orders",
)


class FakeKinesis:
    """A stream that takes what AWS takes, unless it is set otherwise."""

    def __init__(self, faults: ScriptedFaults) -> None:
        self.faults = faults
        self.taken: list[dict[str, Any]] = []
        self.answers: list[Sequence[str]] = []
        """Error codes for the records of the next calls; empty takes the record."""
        self.unmentioned = 0
        """How many of its results the next answer leaves out."""
        self.calls = 0

    def put_records(self, **request: Any) -> dict[str, Any]:
        check_shape("kinesis", "PutRecords", request)
        records = request["Records"]
        assert request["StreamName"] == STREAM
        assert 1 <= len(records) <= 500
        sizes = [len(each["Data"]) + len(each["PartitionKey"].encode()) for each in records]
        assert sum(sizes) <= 10 * MIB
        assert all(1 <= len(each["PartitionKey"]) <= 256 for each in records)
        self.calls += 1
        call = Call("kinesis", "PutRecords", request, self.calls)
        self.faults.before(call)
        codes = self.answers.pop(0) if self.answers else ()
        results = []
        for record, code in zip(records, [*codes, *[""] * len(records)], strict=False):
            if code:
                results.append({"ErrorCode": code, "ErrorMessage": "slow down"})
            else:
                self.taken.append(record)
                results.append({"SequenceNumber": str(len(self.taken)), "ShardId": SHARD})
        self.faults.after(call)
        kept, self.unmentioned = max(0, len(results) - self.unmentioned), 0
        return {"Records": results[:kept], "FailedRecordCount": sum(map(bool, codes))}


class QuarantineHarness(replicas.ConsumerHarness):
    """The consumer's world, with the operator's quarantine commands on it."""

    def __init__(self) -> None:
        super().__init__()
        self.s3.create_bucket(Bucket=FAILURES)
        self.dynamodb.update_time_to_live(
            TableName=LEDGER, TimeToLiveSpecification={"AttributeName": "x", "Enabled": True}
        )
        self.stream_faults = ScriptedFaults()
        self.kinesis = FakeKinesis(self.stream_faults)
        self.numbers = itertools.count(5000)
        self.state = State.REPLICATING
        """In the journal."""
        self.store = QuarantineStore(
            self.s3, BUCKET, "test", TABLE, CONFIG.ledger_retention_days, self.runtime
        )

    def quarantine_context(self) -> QuarantineContext:
        calls = Calls(Side.TARGET, "Role importer")
        return QuarantineContext(
            table=OUTPUTS,
            store=QuarantineStoreReader(
                AwsBucket(calls, self.s3, BUCKET),
                AwsBucket(calls, self.s3, FAILURES),
            ),
            ledger=AwsLedger(calls, self.dynamodb, LEDGER),
            state=lambda: self.state,
            stream=lambda: AwsStream(Calls(Side.SOURCE, "Role exporter"), self.kinesis, STREAM),
            consumer=lambda: DirectConsumer(
                CONFIG, dynamodb=self.dynamodb, s3=self.s3, runtime=self.runtime
            ),
            clock=self.clock,
            who="ann@desk",
            chance=random.Random(1),
        )

    # -- what is there -----------------------------------------------------------------------

    def keep(
        self,
        data: Any,
        reason: Reason = Reason.REJECTED,
        *,
        sub: int = 0,
        sequence: int | None = None,
        aggregated: bool = False,
        arrival: float = START / 1e6,
    ) -> str:
        """Puts a record into quarantine as the consumer would; returns its key."""
        number = sequence if sequence is not None else next(self.numbers)
        record = Record(SHARD, str(number), sub, "key", arrival, aggregated, as_bytes(data))
        assert self.store.put(record, reason, "ValidationException: because", self.context())
        return f"open/{reason}/{SHARD}/{number}-{sub}.json"

    def fail(self, *documents: Any, first: int = 9000) -> str:
        """Puts an event into the on-failure bucket as Lambda would; returns its key."""
        event = replicas.event(*documents, first=first)
        body = {
            "requestContext": {"condition": "PayloadSizeExceeded"},
            "KinesisBatchInfo": {"shardId": SHARD, "batchSize": len(documents)},
            "payload": json.dumps(event),
        }
        name = f"aws/lambda/uuid/{SHARD}/2026/01/01/2026-01-01T00.00.00-{first}"
        self.s3.put_object(Bucket=FAILURES, Key=name, Body=json.dumps(body))
        return f"on-failure/{name}"

    def replicating(self) -> None:
        """Ledger entries carry an expiry from now on."""
        self.settings(expire={"BOOL": True})

    def open(self) -> list[str]:
        return [kept.key for kept in self.kept()]

    def kept(self) -> list[QuarantinedObject]:
        return list(self.quarantine_context().store.open_objects())

    def resolved(self) -> dict[str, dict[str, Any]]:
        """The notes on what is resolved, by key."""
        return {
            key: body["resolution"]
            for key, body in self.quarantine().items()
            if key.startswith("resolved/")
        }

    # -- what is done ------------------------------------------------------------------------

    def redrive(
        self, *keys: str, direct: bool = False, into: RedriveOutcome | None = None
    ) -> RedriveOutcome:
        outcome = into if into is not None else RedriveOutcome()
        context = self.quarantine_context()
        found = [context.store.find(key) for key in keys]
        chosen = [each for each in found if each] if keys else list(context.store.open_objects())
        assert not keys or len(chosen) == len(keys)
        redrive(context, chosen, outcome, direct=direct, named=bool(keys))
        return outcome

    def deliver(self) -> str | None:
        """Has the consumer read what is on the stream since the last time."""
        taken, self.kinesis.taken = self.kinesis.taken, []
        records = replicas.event(*[each["Data"] for each in taken], first=next(self.numbers))
        for _ in taken:
            next(self.numbers)
        for each in records["Records"]:
            each["kinesis"]["approximateArrivalTimestamp"] = self.clock()
        return replicas.failed(self.consumer.handle(records, 60_000))


def padded(key: str, size: int) -> bytes:
    """An insert of `key` whose record, not its item, has exactly `size` bytes."""
    record = replicas.document(None, replicas.item(key)) | {"userIdentity": ""}
    record["userIdentity"] = "x" * (size - len(as_bytes(record)))
    return as_bytes(record)
