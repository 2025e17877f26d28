"""The function's log and the stream's records, as the demo counts them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.local.results import stream_records
from infra.local.results.consumer_logs import ConsumerCounts, Refusal, refusals_in

AT = 1_800_000_000


def metrics(at: float = AT, **values: Any) -> str:
    names = [{"Name": name, "Unit": "Count"} for name in values]
    directive = {
        "Namespace": "DynamoDBReplication",
        "Dimensions": [["Stack", "Table"]],
        "Metrics": names,
    }
    head = {"Timestamp": int(at * 1000), "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": head, "Stack": "local", "Table": "orders", **values})


def test_counts_are_summed_and_lags_collected_with_their_time() -> None:
    consumer_counts = ConsumerCounts()
    consumer_counts.take(
        metrics(ChangesReceived=[3.0], ChangesApplied=[2.0], ReplicationLag=[10, 30])
    )
    consumer_counts.take(metrics(AT + 60, ChangesReceived=4, ChangesSuperseded=[1.0]))
    consumer_counts.take(metrics(AT + 60, ReplicationLag=20))

    assert consumer_counts.counts["ChangesReceived"] == 7
    assert consumer_counts.ended == 3
    assert consumer_counts.lags == [(AT, 10), (AT, 30), (AT + 60, 20)]
    since = consumer_counts.lag(AT + 1)
    assert since is not None
    assert since.max == 20


def test_lines_without_metrics_are_ignored() -> None:
    consumer_counts = ConsumerCounts()
    for line in ("START RequestId: 1", "{broken", "[]", '"text"', '{"level": "INFO"}', ""):
        consumer_counts.take(line)

    assert consumer_counts.counts == {}
    assert consumer_counts.complaints == []
    assert consumer_counts.refusals == []


def test_a_denied_permission_is_listed_once_with_action_and_resource() -> None:
    message = (
        "TransactWriteItems failed: AccessDeniedException: User: arn:aws:sts::222222222222:"
        "assumed-role/consumer/fn is not authorized to perform: dynamodb:PutItem on resource: "
        "arn:aws:dynamodb:eu-west-1:222222222222:table/orders-replica because no identity-based "
        "policy allows the dynamodb:PutItem action\nTry: deploy the stack again"
    )
    consumer_counts = ConsumerCounts()
    consumer_counts.take(json.dumps({"level": "ERROR", "message": message}))
    consumer_counts.take(json.dumps({"level": "ERROR", "message": message}))

    table = "arn:aws:dynamodb:eu-west-1:222222222222:table/orders-replica"
    assert consumer_counts.refusals == [Refusal("dynamodb:PutItem", table)]
    assert consumer_counts.complaints[0].startswith("TransactWriteItems failed")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("not authorized to perform: kinesis:GetRecords", "kinesis:GetRecords on the stream"),
        ("not authorized to perform: kms:Decrypt on resource: arn:x", "kms:Decrypt on arn:x"),
        (
            'not authorized to perform: s3:PutObject on resource: \\"arn:b\\".',
            "s3:PutObject on arn:b",
        ),
    ],
)
def test_a_resource_is_found_however_it_is_written(text: str, expected: str) -> None:
    assert [str(each) for each in refusals_in(text, "the stream")] == [expected]


def test_a_time_out_is_a_complaint() -> None:
    consumer_counts = ConsumerCounts()
    consumer_counts.take("2026-11-23T10:00:00Z abc Task timed out after 120.00 seconds")

    assert "timed out" in consumer_counts.complaints[0]


class Stream:
    """Two shards; the second was closed by a split."""

    def __init__(self, **shards: list[dict[str, Any] | bytes]) -> None:
        self._shards = shards

    def get_paginator(self, name: str) -> Any:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"Shards": [{"ShardId": shard} for shard in self._shards]}]

    def get_shard_iterator(self, ShardId: str, **_: Any) -> dict[str, str]:  # noqa: N803
        return {"ShardIterator": f"{ShardId}/0"}

    def get_records(self, ShardIterator: str, Limit: int) -> dict[str, Any]:  # noqa: N803
        shard, start = ShardIterator.split("/")
        records = self._shards[shard][int(start) : int(start) + 2]
        after = int(start) + len(records)
        answer: dict[str, Any] = {"Records": [{"Data": _data(each)} for each in records]}
        behind = len(self._shards[shard]) - after
        answer["MillisBehindLatest"] = behind
        if shard != "closed" or behind:
            answer["NextShardIterator"] = f"{shard}/{after}"
        return answer


def change(name: str, at: float = AT, precision: str = "MICROSECOND", **more: Any) -> Any:
    unit = {"MICROSECOND": 1e6, "MILLISECOND": 1e3}[precision]
    body = {
        "ApproximateCreationDateTime": int(at * unit),
        "ApproximateCreationDateTimePrecision": precision,
    }
    body["NewImage"] = {"pk": {"S": name}}
    made = {"eventID": name, "eventName": "INSERT", "dynamodb": body, "userIdentity": None}
    return made | more


def _data(record: Any) -> bytes:
    return record if isinstance(record, bytes) else json.dumps(record).encode()


def test_each_change_on_the_stream_counts_once_and_probes_do_not() -> None:
    expired = {"userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"}}
    stream = Stream(
        open=[change("a", AT + 9), change("b"), {"probe": "p", "n": 1}, change("a", AT + 9)],
        closed=[change("c", AT + 1), change("d", AT - 1, "MILLISECOND", **expired), change("b")],
    )

    found = stream_records.read(stream, "stream")

    assert (found.by_users, found.by_expiry, found.total) == (3, 1, 4)
    assert found.first == AT - 1


def test_a_broken_record_is_counted_apart_and_hides_no_change() -> None:
    """Poison precedes the change that it was made of, and carries its id."""
    without_images = change("a")
    del without_images["dynamodb"]["NewImage"]
    stream = Stream(
        open=[b"\xff\xfe not JSON", without_images, change("a"), change("b", eventName="UPSERT")],
        closed=[json.dumps(change("b")).encode()[:40], change("b")],
    )

    found = stream_records.read(stream, "stream")

    assert (found.total, found.broken, found.records) == (2, 4, 6)


def test_an_empty_stream_has_no_first_change() -> None:
    assert (
        stream_records.read(Stream(open=[], closed=[]), "stream") == stream_records.StreamCounts()
    )
