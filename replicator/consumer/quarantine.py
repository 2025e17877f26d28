"""The quarantine: records that cannot be applied, whole as they were received, one object each.

Keys are deterministic, so that a redelivery writes the same object again instead of another one.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from replicator import aws
from replicator.aws import Failure
from replicator.buffers import KINESIS
from replicator.call_context import CallContext
from replicator.consumer.decode import Record
from replicator.consumer.outcome import Reason
from replicator.runtime import Runtime
from replicator.uploads import encryption

OPEN = "open/"


def object_key(record: Record, reason: Reason) -> str:
    """Return the object key of a record that is not resolved yet."""
    name = f"{record.sequence_number}-{record.sub_sequence}.json"
    return f"{OPEN}{reason.value}/{record.shard_id}/{name}"


@dataclass(frozen=True)
class QuarantineStore:
    """Writes to the quarantine bucket. `s3` is a client with boto3's method `put_object`."""

    s3: Any
    bucket: str
    stack: str
    table: str
    ledger_retention_days: int
    runtime: Runtime
    key: str = ""
    """The customer-managed key of the bucket; empty for S3's own."""
    buffer: str = KINESIS
    """What the records came from; an object that says none came from a Kinesis data stream."""

    def put(self, record: Record, reason: Reason, detail: str, context: CallContext) -> bool:
        """Store a record with its reason; return False if the deadline came first."""
        request = {
            "Bucket": self.bucket,
            "Key": object_key(record, reason),
            "Body": self._body(record, reason, detail),
            "ContentType": "application/json",
            **encryption(self.key),
        }
        failures = 0
        while context.deadline.allows_call():
            answer = aws.call(self.s3.put_object, request)
            if not isinstance(answer, Failure):
                return True
            context.report_error("PutObject", answer.code, answer.loggable)
            failures += 1
            if not context.deadline.wait(failures):
                break
        return False

    def _body(self, record: Record, reason: Reason, detail: str) -> bytes:
        body = {
            "reason": reason.value,
            "detail": detail,
            "stack": self.stack,
            "table": self.table,
            "shardId": record.shard_id,
            "sequenceNumber": record.sequence_number,
            "subSequence": record.sub_sequence,
            "arrival": record.arrival,
            "partitionKey": record.partition_key,
            # The entries of this time were written to last so long, whatever the setting becomes.
            "ledgerRetentionDays": self.ledger_retention_days,
            "quarantinedAt": self.runtime.clock.now_micros(),
            "aggregated": record.aggregated,
            "data": b64encode(record.data).decode("ascii"),
        }
        if self.buffer != KINESIS:
            body["buffer"] = self.buffer
        return json.dumps(body).encode()
