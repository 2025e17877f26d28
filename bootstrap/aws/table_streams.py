"""A table's own stream on AWS: on, off, its shards, and a reader of its records."""

from __future__ import annotations

from typing import Any

from bootstrap.aws.calls import Calls, answered_at
from bootstrap.aws.paging import broken_listing
from bootstrap.aws.tables import Tables, unless
from bootstrap.core.errors import AccountError, UnavailableError
from bootstrap.core.table_stream_facts import (
    VIEW,
    RecordPlace,
    StreamPage,
    StreamShard,
    TableStreamFacts,
)

NOT_FOUND = "ResourceNotFoundException"
UNREADABLE = ("ExpiredIteratorException", "TrimmedDataAccessException", NOT_FOUND)
THROTTLED = ("LimitExceededException", "ThrottlingException")
TTL_IDENTITY = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
"""Of a deletion by time to live (developer guide, time-to-live-ttl-streams.html)."""


class AwsStreamControl:
    """`StreamControl` through the exporter role."""

    def __init__(self, calls: Calls, dynamodb: Any, streams: Any) -> None:
        self._calls = calls
        self._dynamodb = dynamodb
        self._streams = streams
        self._tables = Tables(calls, dynamodb)

    def switch_on(self, table: str) -> None:
        self._switch(table, {"StreamEnabled": True, "StreamViewType": VIEW})

    def switch_off(self, table: str) -> None:
        self._switch(table, {"StreamEnabled": False})

    def _switch(self, table: str, wanted: dict[str, Any]) -> None:
        def so() -> bool:
            there = self._tables.describe(table)
            return there is not None and there.stream_view == wanted.get("StreamViewType")

        with unless(so):
            self._calls(
                "dynamodb",
                self._dynamodb.update_table,
                table,
                TableName=table,
                StreamSpecification=wanted,
            )

    def describe(self, stream_arn: str) -> TableStreamFacts | None:
        shards: list[StreamShard] = []
        after: str | None = None
        first: dict[str, Any] | None = None
        at = 0.0
        while True:
            page = {"ExclusiveStartShardId": after} if after else {}
            try:
                answer = self._calls(
                    "dynamodb",
                    self._streams.describe_stream,
                    stream_arn,
                    StreamArn=stream_arn,
                    **page,
                )
            except AccountError as error:
                if error.code == NOT_FOUND:
                    return None
                raise
            found = answer["StreamDescription"]
            if first is None:
                first, at = found, answered_at(answer)
            shards += [_shard(each) for each in found.get("Shards", ())]
            last = found.get("LastEvaluatedShardId")
            if not last:
                break
            if last == after:
                raise broken_listing(self._calls, "dynamodb", stream_arn, "it repeats a page")
            after = last
        return TableStreamFacts(
            arn=stream_arn,
            status=first["StreamStatus"],
            view=first.get("StreamViewType", ""),
            shards=tuple(shards),
            at=at,
        )


class AwsStreamRecordReader:
    """`StreamRecordReader` through the exporter role."""

    def __init__(self, calls: Calls, streams: Any) -> None:
        self._calls = calls
        self._streams = streams
        self._stream_arn = ""
        """Of the iterators."""

    def iterator(
        self, stream_arn: str, shard_id: str, *, since: float | None = None, after: str = ""
    ) -> str | None:
        self._stream_arn = stream_arn
        start: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if after:
            start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
        elif since is not None:
            start = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": since}
        try:
            answer = self._calls(
                "dynamodb",
                self._streams.get_shard_iterator,
                stream_arn,
                StreamArn=stream_arn,
                ShardId=shard_id,
                **start,
            )
        except AccountError as error:
            if error.code == NOT_FOUND:
                return None
            if error.code == "TrimmedDataAccessException":
                return self.iterator(stream_arn, shard_id)
            if error.code == "ValidationException" and "Timestamp" in start:
                # A Region that does not know iterators by time yet.
                return self.iterator(stream_arn, shard_id)
            raise
        return str(answer["ShardIterator"])

    def read(self, iterator: str) -> StreamPage | None:
        try:
            answer = self._calls(
                "dynamodb", self._streams.get_records, "the stream", ShardIterator=iterator
            )
        except AccountError as error:
            if error.code in UNREADABLE:
                return None
            if error.code in THROTTLED:
                raise self._throttled(error) from error
            raise
        places = tuple(_place(each) for each in answer.get("Records", ()))
        return StreamPage(places, answer.get("NextShardIterator"))

    def _throttled(self, error: AccountError) -> UnavailableError:
        region = self._stream_arn.split(":")[3]
        return UnavailableError(
            self._calls.side,
            "The table's stream refuses this reader for now: a shard takes two readers at a time "
            f"(AWS: {error.code}), and beside the consumer there is another one.",
            fix=f"aws lambda list-event-source-mappings --event-source-arn {self._stream_arn} "
            f"--region {region}, in each account that may read it; stop the reader that is not the "
            "consumer for the minutes of the proof, then the same command again",
            code=error.code,
        )


def _shard(found: dict[str, Any]) -> StreamShard:
    return StreamShard(
        found["ShardId"],
        found.get("ParentShardId", ""),
        bool(found.get("SequenceNumberRange", {}).get("EndingSequenceNumber")),
    )


def _place(record: dict[str, Any]) -> RecordPlace:
    change = record["dynamodb"]
    identity = record.get("userIdentity") or {}
    return RecordPlace(
        number=change["SequenceNumber"],
        created=int(change["ApproximateCreationDateTime"].timestamp()),
        expired={name: identity.get(name) for name in TTL_IDENTITY} == TTL_IDENTITY,
    )
