"""On-failure destinations of event source mappings, for batches that Lambda gives up on.

Shapes and key: developer guide, kinesis-on-failure-destination.html and
services-dynamodb-errors.html.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from infra.local.emulator.access import PermissionChecks
from infra.local.emulator.batches import BatchSource, Record, event
from infra.local.emulator.patching import Json, Ministack
from infra.local.emulator.replication_metrics import put_metric

log = logging.getLogger("local.mappings")

S3_WRITES = ("s3:PutObject", "s3:ListBucket")


@dataclass(frozen=True)
class FailedBatch:
    """A batch that will not be retried, and why."""

    mapping: Json
    source: BatchSource
    batch: Sequence[Record]
    condition: str
    attempts: int
    function_error: bool


class OnFailureDestinations:
    """Delivers given-up batches to S3 (the whole event), SQS or SNS (metadata only)."""

    def __init__(self, ministack: Ministack, access: PermissionChecks) -> None:
        self._ministack = ministack
        self._access = access

    def deliver(self, given_up: FailedBatch, function: Json) -> None:
        """Deliver, or log and count the loss: a mapping without destination discards, as on AWS."""
        mapping = given_up.mapping
        destination = (mapping.get("DestinationConfig") or {}).get("OnFailure") or {}
        arn = destination.get("Destination", "")
        first = given_up.batch[0]["SequenceNumber"]
        log.warning(
            "Gave up %d records of %s from %s (%s); destination: %s",
            len(given_up.batch),
            given_up.source.shard_id,
            first,
            given_up.condition,
            arn or "none, they are lost",
        )
        if ":s3:::" in arn:
            delivered = self._to_bucket(arn.partition(":::")[2], given_up, function)
        elif ":sqs:" in arn:
            delivered = self._to_queue(arn, invocation_record(given_up))
        elif ":sns:" in arn:
            delivered = self._to_topic(arn, invocation_record(given_up))
        else:
            return
        if not delivered:
            self._report_failure(function)

    def _report_failure(self, function: Json) -> None:
        """Count a delivery that failed: AWS says so in this metric alone."""
        _, _, _, region, account, _, name, *_ = function["FunctionArn"].split(":")
        with self._ministack.responses.request_scope(account, region):
            put_metric(
                self._ministack,
                "AWS/Lambda",
                "DestinationDeliveryFailures",
                1.0,
                "Count",
                {"FunctionName": name},
                time.time(),
            )

    def _to_bucket(self, bucket: str, given_up: FailedBatch, function: Json) -> bool:
        runtime = self._ministack.lambda_runtime
        account = function["FunctionArn"].split(":")[4]
        key = runtime.execution_credentials(function)["AWS_ACCESS_KEY_ID"]
        denied = self._access.bucket_refusal(key, account, bucket, S3_WRITES, "aws/lambda/any")
        owner = self._ministack.s3._bucket_owner_account(bucket)
        if denied or owner is None:
            log.error("Lost a batch: %s refuses %s", bucket, denied or "everything: no such bucket")
            return False
        now = datetime.now(UTC)
        path = (
            f"aws/lambda/{given_up.mapping['UUID']}/{given_up.source.shard_id}/"
            f"{now:%Y/%m/%d}/{now:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
        )
        body = invocation_record(given_up)
        body["payload"] = json.dumps(event(given_up.source, given_up.batch))
        with self._ministack.responses.request_scope(owner, given_up.source.region):
            status, *_ = self._ministack.s3._put_object(bucket, path, json.dumps(body).encode(), {})
        if status >= 300:
            log.error("Lost a batch: %s answers %s", bucket, status)
        return bool(status < 300)

    def _to_queue(self, arn: str, body: Json) -> bool:
        queue = self._ministack.sqs._queue_by_arn(arn)
        if queue is None:
            log.error("Lost a batch: no queue %s", arn)
            return False
        text, now = json.dumps(body), time.time()
        queue["messages"].append(
            {
                "id": str(uuid.uuid4()),
                "body": text,
                "md5_body": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
                "md5_attrs": "",
                "receipt_handle": None,
                "sent_at": now,
                "visible_at": now,
                "receive_count": 0,
                "first_receive_at": None,
                "message_attributes": {},
                "sys": {"SenderId": arn.split(":")[4], "SentTimestamp": str(int(now * 1000))},
                "group_id": None,
                "dedup_id": None,
                "dedup_cache_key": None,
                "seq": None,
            }
        )
        return True

    def _to_topic(self, arn: str, body: Json) -> bool:
        sns = self._ministack.sns
        if sns._topic_by_arn_any_scope(arn) is None:
            log.error("Lost a batch: no topic %s", arn)
            return False
        sns._fanout(arn, str(uuid.uuid4()), json.dumps(body), "")
        return True


def invocation_record(given_up: FailedBatch) -> Json:
    """Return the invocation record that a destination receives for a batch."""
    batch, source = given_up.batch, given_up.source
    info, instant = (
        ("DDBStreamBatchInfo", _second) if source.of_table else ("KinesisBatchInfo", _instant)
    )
    return {
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "functionArn": given_up.mapping["FunctionArn"],
            "condition": given_up.condition,
            "approximateInvokeCount": given_up.attempts,
        },
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled" if given_up.function_error else None,
        },
        "version": "1.0",
        "timestamp": _instant(time.time()),
        info: {
            "shardId": source.shard_id,
            "startSequenceNumber": batch[0]["SequenceNumber"],
            "endSequenceNumber": batch[-1]["SequenceNumber"],
            "approximateArrivalOfFirstRecord": instant(batch[0]["ApproximateArrivalTimestamp"]),
            "approximateArrivalOfLastRecord": instant(batch[-1]["ApproximateArrivalTimestamp"]),
            "batchSize": len(batch),
            "streamArn": source.stream_arn,
        },
    }


def _instant(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _second(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
