"""Quarantine objects: whole, under a key that a redelivery finds again."""

from __future__ import annotations

import base64
import json
from typing import Any

import boto3
import pytest
from moto import mock_aws

from bootstrap.aws.calls import Calls
from bootstrap.aws.quarantine import AwsBucket
from bootstrap.core.errors import Side
from replicator.consumer.decode import Record
from replicator.consumer.outcome import Reason
from replicator.consumer.quarantine import QuarantineStore, object_key
from tests.support.fakes.errors import client_error
from tests.support.fakes.s3 import FakeS3
from tests.support.replicator.consumer_harness import SHARD, START, ConsumerHarness

pytestmark = pytest.mark.promise("C3")

RECORD = Record(SHARD, "4961", 7, "partition", 1_767_225_599.25, True, b"\x00as received\xff")


def test_the_key_follows_from_the_record_alone() -> None:
    assert object_key(RECORD, Reason.BINARY) == f"open/binary-not-base64/{SHARD}/4961-7.json"


def test_an_object_holds_the_record_as_received_and_where_it_came_from() -> None:
    world = ConsumerHarness()
    assert world.consumer.parts.store.put(RECORD, Reason.REJECTED, "too large", world.context())
    (kept,) = world.quarantine().values()
    assert kept == {
        "reason": "rejected-by-target",
        "detail": "too large",
        "stack": "test",
        "table": "orders",
        "shardId": SHARD,
        "sequenceNumber": "4961",
        "subSequence": 7,
        "arrival": 1_767_225_599.25,
        "partitionKey": "partition",
        "ledgerRetentionDays": 30,
        "quarantinedAt": START,
        "aggregated": True,
        "data": base64.b64encode(b"\x00as received\xff").decode(),
    }


@mock_aws
def test_an_object_is_written_through_a_real_client() -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="real")
    world = ConsumerHarness()
    store = QuarantineStore(s3, "real", "test", "orders", 30, world.runtime)
    assert store.put(RECORD, Reason.UNREADABLE, "", world.context())
    body = s3.get_object(Bucket="real", Key=object_key(RECORD, Reason.UNREADABLE))["Body"]
    assert json.loads(body.read())["sequenceNumber"] == "4961"


class UploadPolicy:
    """An organisation's rule: it refuses uploads that do not say how they are encrypted."""

    def __init__(self, buckets: FakeS3) -> None:
        self._buckets = buckets

    def put_object(self, **request: Any) -> dict[str, Any]:
        if "ServerSideEncryption" not in request:
            raise client_error("PutObject", "AccessDenied", "denied by a service control policy")
        return self._buckets.put_object(**request)


def test_an_upload_names_the_key_of_the_bucket() -> None:
    world, asked = ConsumerHarness(), []

    class Bucket:
        def put_object(self, **request: Any) -> dict[str, Any]:
            asked.append((request.get("ServerSideEncryption"), request.get("SSEKMSKeyId")))
            return {}

    store = QuarantineStore(Bucket(), "kept", "test", "orders", 30, world.runtime, "the-key")
    assert store.put(RECORD, Reason.UNREADABLE, "", world.context())
    AwsBucket(Calls(Side.TARGET, "role"), Bucket(), "kept", "the-key").put("resolved/a", b"{}")
    assert asked == 2 * [("aws:kms", "the-key")]


def test_an_upload_says_how_it_is_encrypted() -> None:
    world = ConsumerHarness()
    buckets = FakeS3(lambda: float(START) / 1e6)
    buckets.create_bucket(Bucket="kept")
    rule = UploadPolicy(buckets)
    store = QuarantineStore(rule, "kept", "test", "orders", 30, world.runtime)
    assert store.put(RECORD, Reason.UNREADABLE, "", world.context())
    AwsBucket(Calls(Side.TARGET, "role"), rule, "kept").put("resolved/a", b"{}")
    assert set(buckets.buckets["kept"]) == {object_key(RECORD, Reason.UNREADABLE), "resolved/a"}
