"""Kinesis's data plane: put and read records, within the limits of the stream and the API."""

from __future__ import annotations

import time
from collections.abc import Callable

from infra.local.emulator import shard_iterators
from infra.local.emulator.patching import Json, Ministack, Response
from infra.local.emulator.shards import (
    RecordTooLargeError,
    Shards,
    arrival,
    parents,
    record_limit,
    sequence,
    shard_out,
)

PAGE_BYTES = 10 * 2**20
REQUEST_BYTES = 10 * 2**20


class RecordApi:
    """The data plane; `found` resolves the stream of a request, or returns the error."""

    def __init__(
        self,
        ministack: Ministack,
        shards: Shards,
        found: Callable[[Json], tuple[Json, Response | None]],
    ) -> None:
        self._ministack = ministack
        self._shards = shards
        self._found = found

    def put_record(self, data: Json) -> Response:
        """Answer PutRecord, up to the stream's maximum record size."""
        stream, refusal = self._found(data)
        refusal = refusal or self._bad_record(stream, data)
        if refusal:
            return refusal
        shard_id, number = self._shards.append_encoded(
            stream, data["PartitionKey"], data.get("Data", ""), data.get("ExplicitHashKey")
        )
        encryption = stream["EncryptionType"]
        return self._ministack.ok(
            {"ShardId": shard_id, "SequenceNumber": number, "EncryptionType": encryption}
        )

    def put_records(self, data: Json) -> Response:
        """Answer PutRecords: up to 500 records and 10 MiB a request."""
        stream, refusal = self._found(data)
        if refusal:
            return refusal
        records: list[Json] = data.get("Records") or []
        sizes = [_size(record) + len(record["PartitionKey"].encode()) for record in records]
        if not 1 <= len(records) <= 500 or sum(sizes) > REQUEST_BYTES:
            return self._ministack.error(
                "InvalidArgumentException", "A request takes 1 to 500 records and 10 MiB"
            )
        refusals = (self._bad_record(stream, record) for record in records)
        refusal = next((each for each in refusals if each), None)
        if refusal:
            return refusal
        results = []
        for record in records:
            shard_id, number = self._shards.append_encoded(
                stream,
                record["PartitionKey"],
                record.get("Data", ""),
                record.get("ExplicitHashKey"),
            )
            results.append({"ShardId": shard_id, "SequenceNumber": number})
        encryption = stream["EncryptionType"]
        return self._ministack.ok(
            {"FailedRecordCount": 0, "Records": results, "EncryptionType": encryption}
        )

    def put_internal(self, stream_arn: str, partition_key: str, data: bytes) -> bool:
        """Put a record for another service of the emulator; return whether the stream took it."""
        try:
            self._shards.append(stream_arn, partition_key, data)
        except (LookupError, RecordTooLargeError):
            return False
        return True

    def get_shard_iterator(self, data: Json) -> Response:
        """Answer GetShardIterator: a token with a sequence number, which expiry cannot shift."""
        stream, refusal = self._found(data)
        if refusal:
            return refusal
        shard_id = data.get("ShardId", "")
        shard = stream["shards"].get(shard_id)
        if shard is None:
            return self._ministack.error("ResourceNotFoundException", f"Shard {shard_id} not found")
        kind = data.get("ShardIteratorType", "")
        at = data.get("Timestamp" if kind == "AT_TIMESTAMP" else "StartingSequenceNumber")
        if kind.endswith(("_SEQUENCE_NUMBER", "_TIMESTAMP")) and at is None:
            return self._ministack.error(
                "InvalidArgumentException", f"{kind} needs a starting point"
            )
        position = self._shards.position(shard, kind, at)
        if position is None:
            return self._ministack.error(
                "InvalidArgumentException", f"Unknown ShardIteratorType: {kind}"
            )
        return self._ministack.ok(
            {"ShardIterator": shard_iterators.encoded(stream["StreamARN"], shard_id, position)}
        )

    def get_records(self, data: Json) -> Response:
        """Answer GetRecords: up to 10,000 records and 10 MiB; no iterator after a shard's end."""
        token = shard_iterators.decoded(data.get("ShardIterator"))
        if token is None:
            return self._ministack.error("InvalidArgumentException", "Invalid ShardIterator")
        if shard_iterators.expired(token):
            return self._ministack.error("ExpiredIteratorException", "The iterator has expired")
        stream, refusal = self._found({"StreamARN": token["arn"]})
        if refusal:
            return refusal
        shard = stream["shards"][token["shard"]]
        self._shards.expire(stream)
        found = self._shards.after(shard, token["after"], min(data.get("Limit", 10000), 10000))
        page = _within(found, PAGE_BYTES)
        position = sequence(page[-1]) if page else token["after"]
        rest = self._shards.after(shard, position, 1)
        behind = max(0, int((time.time() - arrival(rest[0])) * 1000)) if rest else 0
        body: Json = {"Records": page, "MillisBehindLatest": behind}
        if shard.get("closed") and not rest:
            body["ChildShards"] = _children(stream, token["shard"])
        else:
            body["NextShardIterator"] = shard_iterators.encoded(
                stream["StreamARN"], token["shard"], position
            )
        return self._ministack.ok(body)

    def _bad_record(self, stream: Json, record: Json) -> Response | None:
        if not 1 <= len(record.get("PartitionKey", "")) <= 256:
            return self._ministack.error(
                "ValidationException", "PartitionKey has 1 to 256 characters"
            )
        if _size(record) > record_limit(stream):
            return self._ministack.error(
                "ValidationException",
                "1 validation error detected: Value at 'data' failed to satisfy constraint: Member "
                f"must have length less than or equal to {record_limit(stream)}",
            )
        return None


def _children(stream: Json, shard_id: str) -> list[Json]:
    return [
        {
            "ShardId": child,
            "ParentShards": list(parents(shard)),
            "HashKeyRange": shard_out(child, shard)["HashKeyRange"],
        }
        for child, shard in stream["shards"].items()
        if shard_id in parents(shard)
    ]


def _size(record: Json) -> int:
    data: str = record.get("Data", "")
    return len(data) // 4 * 3 - data[-2:].count("=")


def _within(records: list[Json], budget: int) -> list[Json]:
    page: list[Json] = []
    for record in records:
        budget -= _size(record)
        if page and budget < 0:
            break
        page.append(record)
    return page
