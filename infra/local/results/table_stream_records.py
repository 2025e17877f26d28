"""The change records of a table's own streams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from infra.local.results.stream_records import EXPIRY_PRINCIPAL, StreamCounts


def read(streams: Any, table: str) -> StreamCounts:
    """Read every shard of every stream of the table from its oldest record.

    `streams` is a client of DynamoDB Streams in the table's account.
    """
    count = expired = 0
    first: float | None = None
    for record in _records(streams, table):
        count += 1
        expired += record.get("userIdentity", {}).get("PrincipalId") == EXPIRY_PRINCIPAL
        at = record["dynamodb"]["ApproximateCreationDateTime"].timestamp()
        first = at if first is None else min(first, at)
    return StreamCounts(count - expired, expired, first)


def _records(streams: Any, table: str) -> Iterator[dict[str, Any]]:
    for stream in streams.list_streams(TableName=table)["Streams"]:
        arn = stream["StreamArn"]
        for shard_id, closed in _shards(streams, arn):
            iterator = streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while iterator:
                answer = streams.get_records(ShardIterator=iterator, Limit=1000)
                yield from answer["Records"]
                # An open shard has no last iterator. There are no writers any more: it ends where
                # it is empty.
                ended = not answer["Records"] and not closed
                iterator = None if ended else answer.get("NextShardIterator")


def _shards(streams: Any, arn: str) -> Iterator[tuple[str, bool]]:
    """Yield the shards of a stream, and whether each is closed."""
    request = {"StreamArn": arn}
    while True:
        found = streams.describe_stream(**request)["StreamDescription"]
        for shard in found["Shards"]:
            yield shard["ShardId"], "EndingSequenceNumber" in shard["SequenceNumberRange"]
        if "LastEvaluatedShardId" not in found:
            return
        request["ExclusiveStartShardId"] = found["LastEvaluatedShardId"]
