"""Batches that a poller gives up on, and what their destination receives."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from infra.local.emulator.batches import event
from infra.local.emulator.invocation import FunctionAnswer, Invocation
from infra.local.emulator.mapping_positions import ShardProgress
from infra.local.emulator.on_failure import FailedBatch, invocation_record
from infra.local.emulator.pollers import PollerPosition, ShardPoller
from infra.local.emulator.shards import sequence

SHARD = "shardId-000000000000"
STREAM = "arn:aws:kinesis:eu-west-1:111111111111:stream/s"
FUNCTION = {"config": {"FunctionName": "f", "FunctionArn": "arn", "Role": "role"}}
DAY = 86_400


def record(number: int, age: float) -> dict[str, Any]:
    """Return a record that arrived `age` seconds ago."""
    return {
        "SequenceNumber": str(number),
        "PartitionKey": "k",
        "Data": "eA==",
        "ApproximateArrivalTimestamp": time.time() - age,
    }


class Place:
    """One shard, one poller on it, a function that fails, and a destination."""

    def __init__(self, records: Sequence[dict[str, Any]], **mapping: Any) -> None:
        self.records = records
        self.delivered: list[list[str]] = []
        self.given_up: list[FailedBatch] = []
        self.progress = ShardProgress([""])
        reading = PollerPosition(
            mapping={
                "FunctionArn": "arn",
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                "MaximumRetryAttempts": -1,
                "MaximumRecordAgeInSeconds": -1,
                **mapping,
            },
            stream={
                "StreamARN": STREAM,
                "RetentionPeriodHours": 24,
                "shards": {SHARD: {"closed": True}},
            },
            shard_id=SHARD,
            number=0,
            factor=1,
            function=lambda: FUNCTION,
            refusal=lambda: None,
            admitted=lambda: True,
            is_enabled=lambda: True,
        )
        ShardPoller(reading, self.progress, self, self, self).run()  # type: ignore[arg-type]

    def after(self, _shard: Any, position: str, limit: int) -> list[dict[str, Any]]:
        return [each for each in self.records if sequence(each) > position][:limit]

    def deliver(self, asked: Any, _function: Any = None) -> FunctionAnswer:
        if isinstance(asked, FailedBatch):
            self.given_up.append(asked)
            return FunctionAnswer()
        assert isinstance(asked, Invocation)
        numbers = [each["SequenceNumber"] for each in asked.batch]
        self.delivered.append(numbers)
        return FunctionAnswer({"batchItemFailures": [{"itemIdentifier": numbers[0]}]})

    def received(self) -> list[tuple[str, list[str], int]]:
        return [
            (each.condition, [record["SequenceNumber"] for record in each.batch], each.attempts)
            for each in self.given_up
        ]


def test_what_is_too_old_is_given_up_unseen_and_the_rest_of_its_batch_is_tried() -> None:
    records = [record(1, 120), record(2, 119), record(3, 0)]
    place = Place(records, MaximumRecordAgeInSeconds=60, MaximumRetryAttempts=0)
    assert place.received() == [
        ("RecordAgeExceeded", ["1", "2"], 0),
        ("RetryAttemptsExhausted", ["3"], 1),
    ]
    assert place.delivered == [["3"]]
    assert place.progress.drained == {0}


def test_what_the_stream_has_forgotten_is_given_up_whatever_the_mapping_says() -> None:
    place = Place([record(1, 2 * DAY)])
    assert place.received() == [("RecordAgeExceeded", ["1"], 0)]
    assert place.delivered == []


@pytest.mark.parametrize("retries", [0, 2])
def test_retries_are_counted_after_the_first_attempt(retries: int) -> None:
    place = Place([record(1, 0), record(2, 0)], MaximumRetryAttempts=retries)
    assert place.received() == [("RetryAttemptsExhausted", ["1", "2"], retries + 1)]
    assert place.delivered == [["1", "2"]] * (retries + 1)


@pytest.mark.parametrize(
    ("mapping", "error"),
    [({"MaximumRecordAgeInSeconds": 60}, None), ({"MaximumRetryAttempts": 0}, "Unhandled")],
)
def test_the_record_of_a_given_up_batch_has_the_documented_members(
    mapping: dict[str, Any], error: str | None
) -> None:
    """Developer guide, kinesis-on-failure-destination.html; `payload` is S3's alone."""
    age = 100.0 if error is None else 0.0
    (given_up,) = Place([record(8, age), record(9, age)], **mapping).given_up
    record_ = invocation_record(given_up)
    assert {name: sorted(value) for name, value in record_.items() if isinstance(value, dict)} == {
        "requestContext": ["approximateInvokeCount", "condition", "functionArn", "requestId"],
        "responseContext": ["executedVersion", "functionError", "statusCode"],
        "KinesisBatchInfo": [
            "approximateArrivalOfFirstRecord",
            "approximateArrivalOfLastRecord",
            "batchSize",
            "endSequenceNumber",
            "shardId",
            "startSequenceNumber",
            "streamArn",
        ],
    }
    assert sorted(set(record_) - {"requestContext", "responseContext", "KinesisBatchInfo"}) == [
        "timestamp",
        "version",
    ]
    info = record_["KinesisBatchInfo"]
    assert (info["startSequenceNumber"], info["endSequenceNumber"]) == ("8", "9")
    assert (info["batchSize"], info["shardId"], info["streamArn"]) == (2, SHARD, STREAM)
    assert record_["responseContext"]["functionError"] == error
    assert len(event(given_up.source, given_up.batch)["Records"]) == 2
