"""Kinesis's API over `shards`: sizes, modes, cross-account calls by ARN, iterators that last.

What a resource policy may share across accounts: developer guide, controlling-access.html.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any

from infra.local.emulator import iterators
from infra.local.emulator.access import Access
from infra.local.emulator.patching import Json, Ministack, Response
from infra.local.emulator.shards import (
    DEFAULT_RECORD_KIB,
    RecordTooLargeError,
    Shards,
    arrival,
    open_shards,
    parents,
    record_limit,
    sequence,
)

PAGE_BYTES = 10 * 2**20
REQUEST_BYTES = 10 * 2**20
ON_DEMAND_SHARDS = 4  # "starts 4 MB/s write" (developer guide, how-do-i-size-a-stream.html)

Handler = Callable[[Json], Response]


class Streams:
    """Replaces ministack's Kinesis handlers that are wrong or missing."""

    def __init__(self, ministack: Ministack, shards: Shards, access: Access) -> None:
        self._ministack = ministack
        self._shards = shards
        self._access = access
        self._create: Handler = lambda data: (500, {}, b"")
        self._handle: Callable[..., Awaitable[Response]]

    def install(self) -> None:
        """Take the place of ministack's functions."""
        replace = self._ministack.replace
        replace("kinesis", "_next_sequence_number", self._shards.next_sequence_number)
        replace("kinesis", "_expire_records", self._shards.expire)
        replace("kinesis", "_expire_iterators", lambda: None)
        replace("kinesis", "put_record_internal", self._put_record_internal)
        self._create = replace("kinesis", "_create_stream", self.create)
        shared: dict[str, tuple[str, Handler]] = {
            "_describe_stream": ("DescribeStream", self._ministack.kinesis._describe_stream),
            "_describe_stream_summary": ("DescribeStreamSummary", self.summary),
            "_list_shards": ("ListShards", self.list_shards),
            "_put_record": ("PutRecord", self.put_record),
            "_put_records": ("PutRecords", self.put_records),
            "_get_shard_iterator": ("GetShardIterator", self.get_shard_iterator),
            "_get_records": ("GetRecords", self.get_records),
        }
        for name, (action, handler) in shared.items():
            replace("kinesis", name, self._in_the_owners_account(action, handler))
        replace("kinesis", "_shard_out", shard_out)
        replace("kinesis", "_split_shard", self.split_shard)
        replace("kinesis", "_merge_shards", self.merge_shards)
        replace("kinesis", "_update_shard_count", self.update_shard_count)
        self._handle = replace("kinesis", "handle_request", self.handle_request)

    # -- requests --------------------------------------------------------------------------------

    async def handle_request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Json
    ) -> Response:
        """Answer the operations that ministack lacks; hand it the others."""
        added: dict[str, Handler] = {
            "UpdateMaxRecordSize": self.update_max_record_size,
            "UpdateStreamMode": self.update_stream_mode,
            "UpdateStreamRecordDistributionStrategy": self.update_distribution,
            "TagResource": self.tag_resource,
            "UntagResource": self.untag_resource,
            "ListTagsForResource": self.list_tags_for_resource,
        }
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action in added:
            return added[action](json.loads(body or b"{}"))
        return await self._handle(method, path, headers, body, query)

    def _in_the_owners_account(self, action: str, handler: Handler) -> Handler:
        """The handler, run in the account of the stream's ARN where the stream's policy allows it.

        The dispatcher has checked the caller's policies and the stream's, but for a root caller.
        """

        @wraps(handler)
        def scoped(data: Json) -> Response:
            responses = self._ministack.responses
            token = iterators.decoded(data.get("ShardIterator"))
            arn = data.get("StreamARN") or (token or {}).get("arn", "")
            parts = arn.split(":")
            if len(parts) != 6 or parts[4] == responses.get_account_id():
                return handler(data)
            if not self._access.stream_policy_allows(arn, f"kinesis:{action}"):
                return self._error(
                    "AccessDeniedException",
                    f"User: {self._access.caller()} is not authorized to perform: kinesis:{action} "
                    f"on resource: {arn} because no resource-based policy allows the "
                    f"kinesis:{action} action",
                )
            with responses.request_scope(parts[4], responses.get_region()):
                return handler(data)

        return scoped

    # -- streams ---------------------------------------------------------------------------------

    def create(self, data: Json) -> Response:
        """CreateStream with the mode, the size and the strategy that were asked for."""
        mode = (data.get("StreamModeDetails") or {}).get("StreamMode", "PROVISIONED")
        strategy = data.get("RecordDistributionStrategy")
        size = data.get("MaxRecordSizeInKiB", DEFAULT_RECORD_KIB)
        refusal = self._bad_size(size)
        if refusal is None and strategy is not None and mode != "ON_DEMAND":
            refusal = self._error(
                "InvalidArgumentException",
                "RecordDistributionStrategy is supported for on-demand streams only",
            )
        if refusal:
            return refusal
        if mode == "ON_DEMAND":
            data = {**data, "ShardCount": ON_DEMAND_SHARDS}
        response = self._create(data)
        if response[0] == 200:
            stream = self._ministack.kinesis._streams[data["StreamName"]]
            stream["MaxRecordSizeInKiB"] = size
            stream["tags"] = dict(data.get("Tags") or {})
            if mode == "ON_DEMAND":
                stream["RecordDistributionStrategy"] = strategy or "USER_PARTITION_KEY"
        return response

    def update_max_record_size(self, data: Json) -> Response:
        """UpdateMaxRecordSize."""
        stream, refusal = self._found(data)
        refusal = refusal or self._bad_size(data.get("MaxRecordSizeInKiB"))
        if refusal:
            return refusal
        stream["MaxRecordSizeInKiB"] = data["MaxRecordSizeInKiB"]
        return self._ok({})

    def update_stream_mode(self, data: Json) -> Response:
        """UpdateStreamMode: the shards stay."""
        stream, refusal = self._found(data)
        if refusal:
            return refusal
        mode = data["StreamModeDetails"]["StreamMode"]
        stream["StreamModeDetails"] = {"StreamMode": mode}
        if mode == "ON_DEMAND":
            stream.setdefault("RecordDistributionStrategy", "USER_PARTITION_KEY")
        else:
            stream.pop("RecordDistributionStrategy", None)
        return self._ok({})

    def update_distribution(self, data: Json) -> Response:
        """UpdateStreamRecordDistributionStrategy."""
        stream, refusal = self._found(data)
        if refusal:
            return refusal
        stream["RecordDistributionStrategy"] = data["RecordDistributionStrategy"]
        return self._ok({})

    def tag_resource(self, data: Json) -> Response:
        """TagResource."""
        stream, refusal = self._found({"StreamARN": data.get("ResourceARN")})
        if refusal:
            return refusal
        stream["tags"].update(data.get("Tags") or {})
        return self._ok({})

    def untag_resource(self, data: Json) -> Response:
        """UntagResource."""
        stream, refusal = self._found({"StreamARN": data.get("ResourceARN")})
        if refusal:
            return refusal
        for key in data.get("TagKeys") or ():
            stream["tags"].pop(key, None)
        return self._ok({})

    def list_tags_for_resource(self, data: Json) -> Response:
        """ListTagsForResource."""
        stream, refusal = self._found({"StreamARN": data.get("ResourceARN")})
        if refusal:
            return refusal
        tags = sorted(stream["tags"].items())
        return self._ok({"Tags": [{"Key": key, "Value": value} for key, value in tags]})

    def summary(self, data: Json) -> Response:
        """DescribeStreamSummary: open shards only, with the record size and the strategy."""
        stream, refusal = self._found(data)
        if refusal:
            return refusal
        arn = stream["StreamARN"]
        consumers = self._ministack.kinesis._consumers.values()
        shown = ("StreamName", "StreamARN", "StreamStatus", "StreamModeDetails", "EncryptionType")
        body = {name: stream[name] for name in shown} | {
            "RetentionPeriodHours": stream["RetentionPeriodHours"],
            "StreamCreationTimestamp": stream["CreationTimestamp"],
            "EnhancedMonitoring": [{"ShardLevelMetrics": stream.get("ShardLevelMetrics", [])}],
            "OpenShardCount": len(open_shards(stream)),
            "ConsumerCount": sum(consumer["StreamARN"] == arn for consumer in consumers),
            "MaxRecordSizeInKiB": stream.get("MaxRecordSizeInKiB", DEFAULT_RECORD_KIB),
        }
        for name in ("KeyId", "RecordDistributionStrategy"):
            if stream.get(name):
                body[name] = stream[name]
        return self._ok({"StreamDescriptionSummary": body})

    def list_shards(self, data: Json) -> Response:
        """ListShards with its filter, closed shards included where the filter keeps them."""
        token = data.get("NextToken")
        after = ""
        if token:
            after, failure = self._ministack.kinesis._decode_list_shards_token(token)
            if failure or after is None:
                return self._error(failure or "InvalidArgumentException", "Invalid NextToken")
        stream, refusal = self._found(data)
        if refusal:
            return refusal
        kept = sorted(s for s in stream["shards"] if _listed(stream, s, data.get("ShardFilter")))
        after = max(after, data.get("ExclusiveStartShardId") or "")
        kept = [shard_id for shard_id in kept if shard_id > after]
        page = kept[: data.get("MaxResults", 1000)]
        body: Json = {"Shards": [shard_out(s, stream["shards"][s]) for s in page]}
        if len(kept) > len(page):
            body["NextToken"] = self._ministack.kinesis._encode_list_shards_token(page[-1])
        return self._ok(body)

    # -- records ---------------------------------------------------------------------------------

    def put_record(self, data: Json) -> Response:
        """PutRecord, up to the stream's maximum record size."""
        stream, refusal = self._found(data)
        refusal = refusal or self._bad_record(stream, data)
        if refusal:
            return refusal
        shard_id, number = self._shards.append_encoded(
            stream, data["PartitionKey"], data.get("Data", ""), data.get("ExplicitHashKey")
        )
        encryption = stream["EncryptionType"]
        return self._ok(
            {"ShardId": shard_id, "SequenceNumber": number, "EncryptionType": encryption}
        )

    def put_records(self, data: Json) -> Response:
        """PutRecords: up to 500 records and 10 MiB a request."""
        stream, refusal = self._found(data)
        if refusal:
            return refusal
        records: list[Json] = data.get("Records") or []
        sizes = [_size(record) + len(record["PartitionKey"].encode()) for record in records]
        if not 1 <= len(records) <= 500 or sum(sizes) > REQUEST_BYTES:
            return self._error(
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
        return self._ok({"FailedRecordCount": 0, "Records": results, "EncryptionType": encryption})

    def _put_record_internal(self, stream_arn: str, partition_key: str, data: bytes) -> bool:
        try:
            self._shards.append(stream_arn, partition_key, data)
        except (LookupError, RecordTooLargeError):
            return False
        return True

    def get_shard_iterator(self, data: Json) -> Response:
        """GetShardIterator: a token with a sequence number, which expiry cannot shift."""
        stream, refusal = self._found(data)
        if refusal:
            return refusal
        shard_id = data.get("ShardId", "")
        shard = stream["shards"].get(shard_id)
        if shard is None:
            return self._error("ResourceNotFoundException", f"Shard {shard_id} not found")
        kind = data.get("ShardIteratorType", "")
        at = data.get("Timestamp" if kind == "AT_TIMESTAMP" else "StartingSequenceNumber")
        if kind.endswith(("_SEQUENCE_NUMBER", "_TIMESTAMP")) and at is None:
            return self._error("InvalidArgumentException", f"{kind} needs a starting point")
        position = self._shards.position(shard, kind, at)
        if position is None:
            return self._error("InvalidArgumentException", f"Unknown ShardIteratorType: {kind}")
        return self._ok(
            {"ShardIterator": iterators.encoded(stream["StreamARN"], shard_id, position)}
        )

    def get_records(self, data: Json) -> Response:
        """GetRecords: up to 10,000 records and 10 MiB; null after the end of a closed shard."""
        token = iterators.decoded(data.get("ShardIterator"))
        if token is None:
            return self._error("InvalidArgumentException", "Invalid ShardIterator")
        if iterators.expired(token):
            return self._error("ExpiredIteratorException", "The iterator has expired")
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
            body["NextShardIterator"] = iterators.encoded(
                stream["StreamARN"], token["shard"], position
            )
        return self._ok(body)

    # -- resharding ------------------------------------------------------------------------------

    def split_shard(self, data: Json) -> Response:
        """SplitShard: the parent closes and keeps its records."""
        stream, refusal = self._found(data)
        if refusal:
            return refusal
        shard_id, at = data.get("ShardToSplit", ""), int(data.get("NewStartingHashKey") or 0)
        if shard_id not in open_shards(stream):
            return self._error("ResourceNotFoundException", f"Shard {shard_id} is not open")
        shard = stream["shards"][shard_id]
        if not int(shard["starting_hash_key"]) < at <= int(shard["ending_hash_key"]):
            return self._error("InvalidArgumentException", "NewStartingHashKey is out of range")
        self._shards.split(stream, shard_id, at)
        return self._ok({})

    def merge_shards(self, data: Json) -> Response:
        """MergeShards: the parents close and keep their records."""
        stream, refusal = self._found(data)
        if refusal:
            return refusal
        pair = [data.get("ShardToMerge", ""), data.get("AdjacentShardToMerge", "")]
        if not set(pair) <= set(open_shards(stream)):
            return self._error("ResourceNotFoundException", f"Shards {pair} are not both open")
        self._shards.merge(stream, *pair)
        return self._ok({})

    def update_shard_count(self, data: Json) -> Response:
        """UpdateShardCount: at most double, at least half."""
        stream, refusal = self._found(data)
        if refusal:
            return refusal
        current, target = len(open_shards(stream)), int(data.get("TargetShardCount") or 0)
        if not current / 2 <= target <= current * 2 or target < 1:
            return self._error(
                "LimitExceededException", f"{current} shards cannot become {target} in one step"
            )
        self._shards.resize(stream, target)
        return self._ok(
            {
                "StreamName": stream["StreamName"],
                "StreamARN": stream["StreamARN"],
                "CurrentShardCount": current,
                "TargetShardCount": target,
            }
        )

    # -- helpers ---------------------------------------------------------------------------------

    def _found(self, data: Json) -> tuple[Json, Response | None]:
        name, stream = self._ministack.kinesis._resolve_stream(data)
        if stream is None:
            account = self._ministack.responses.get_account_id()
            refusal = self._error(
                "ResourceNotFoundException", f"Stream {name} under account {account} not found."
            )
            return {}, refusal
        return stream, None

    def _bad_size(self, size: Any) -> Response | None:
        if isinstance(size, int) and 1024 <= size <= 10240:
            return None
        return self._error("InvalidArgumentException", "MaxRecordSizeInKiB is 1024 to 10240")

    def _bad_record(self, stream: Json, record: Json) -> Response | None:
        if not 1 <= len(record.get("PartitionKey", "")) <= 256:
            return self._error("ValidationException", "PartitionKey has 1 to 256 characters")
        if _size(record) > record_limit(stream):
            return self._error(
                "ValidationException",
                "1 validation error detected: Value at 'data' failed to satisfy constraint: Member "
                f"must have length less than or equal to {record_limit(stream)}",
            )
        return None

    def _ok(self, body: Json) -> Response:
        response: Response = self._ministack.responses.json_response(body)
        return response

    def _error(self, code: str, message: str) -> Response:
        response: Response = self._ministack.responses.error_response_json(code, message, 400)
        return response


def shard_out(shard_id: str, shard: Json) -> Json:
    """A shard as ListShards shows it, with the end of a closed one."""
    numbers = {"StartingSequenceNumber": shard["starting_sequence_number"]}
    if shard.get("closed"):
        numbers["EndingSequenceNumber"] = shard["closed"]
    body: Json = {
        "ShardId": shard_id,
        "HashKeyRange": {
            "StartingHashKey": shard["starting_hash_key"],
            "EndingHashKey": shard["ending_hash_key"],
        },
        "SequenceNumberRange": numbers,
    }
    for name, value in zip(
        ("ParentShardId", "AdjacentParentShardId"), parents(shard), strict=False
    ):
        body[name] = value
    return body


def _listed(stream: Json, shard_id: str, shard_filter: Json | None) -> bool:
    closed = bool(stream["shards"][shard_id].get("closed"))
    kind = (shard_filter or {}).get("Type")
    if kind == "AT_LATEST":
        return not closed
    if kind == "AFTER_SHARD_ID":
        return shard_id > str((shard_filter or {}).get("ShardId", ""))
    if kind == "AT_TRIM_HORIZON":
        return not [p for p in parents(stream["shards"][shard_id]) if p in stream["shards"]]
    return True


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
