"""Kinesis streams: sizes, modes, resharding, and cross-account calls by ARN.

What a resource policy may share across accounts: developer guide, controlling-access.html.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any

from infra.local.emulator import shard_iterators
from infra.local.emulator.access import PermissionChecks
from infra.local.emulator.patching import Json, Ministack, Response
from infra.local.emulator.record_api import RecordApi
from infra.local.emulator.shards import (
    DEFAULT_RECORD_KIB,
    Shards,
    open_shards,
    parents,
    shard_out,
)

ON_DEMAND_SHARDS = 4  # "starts 4 MB/s write" (developer guide, how-do-i-size-a-stream.html)

Handler = Callable[[Json], Response]


class Streams:
    """Replaces ministack's Kinesis handlers that are wrong or missing."""

    def __init__(self, ministack: Ministack, shards: Shards, access: PermissionChecks) -> None:
        self._ministack = ministack
        self._shards = shards
        self._access = access
        self._records = RecordApi(ministack, shards, self._found)
        self._create: Handler = lambda data: (500, {}, b"")
        self._handle: Callable[..., Awaitable[Response]]

    def install(self) -> None:
        """Replace ministack's functions."""
        replace = self._ministack.replace
        replace("kinesis", "_next_sequence_number", self._shards.next_sequence_number)
        replace("kinesis", "_expire_records", self._shards.expire)
        replace("kinesis", "_expire_iterators", lambda: None)
        replace("kinesis", "put_record_internal", self._records.put_internal)
        self._create = replace("kinesis", "_create_stream", self.create)
        shared: dict[str, tuple[str, Handler]] = {
            "_describe_stream": ("DescribeStream", self._ministack.kinesis._describe_stream),
            "_describe_stream_summary": ("DescribeStreamSummary", self.summary),
            "_list_shards": ("ListShards", self.list_shards),
            "_put_record": ("PutRecord", self._records.put_record),
            "_put_records": ("PutRecords", self._records.put_records),
            "_get_shard_iterator": ("GetShardIterator", self._records.get_shard_iterator),
            "_get_records": ("GetRecords", self._records.get_records),
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
        """Answer the operations that ministack lacks; pass the others on."""
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
        """Run the handler in the account of the stream's ARN where the stream's policy allows it.

        The dispatcher has checked the caller's policies and the stream's, but for a root caller.
        """

        @wraps(handler)
        def scoped(data: Json) -> Response:
            responses = self._ministack.responses
            token = shard_iterators.decoded(data.get("ShardIterator"))
            arn = data.get("StreamARN") or (token or {}).get("arn", "")
            parts = arn.split(":")
            if len(parts) != 6 or parts[4] == responses.get_account_id():
                return handler(data)
            if not self._access.stream_policy_allows(arn, f"kinesis:{action}"):
                return self._ministack.error(
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
        """Answer CreateStream, with the requested mode, size and strategy."""
        mode = (data.get("StreamModeDetails") or {}).get("StreamMode", "PROVISIONED")
        strategy = data.get("RecordDistributionStrategy")
        size = data.get("MaxRecordSizeInKiB", DEFAULT_RECORD_KIB)
        refusal = self._bad_size(size)
        if refusal is None and strategy is not None and mode != "ON_DEMAND":
            refusal = self._ministack.error(
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
        """Answer UpdateMaxRecordSize."""
        stream, refusal = self._found(data)
        refusal = refusal or self._bad_size(data.get("MaxRecordSizeInKiB"))
        if refusal:
            return refusal
        stream["MaxRecordSizeInKiB"] = data["MaxRecordSizeInKiB"]
        return self._ministack.ok({})

    def update_stream_mode(self, data: Json) -> Response:
        """Answer UpdateStreamMode; the shards stay."""
        stream, refusal = self._found(data)
        if refusal:
            return refusal
        mode = data["StreamModeDetails"]["StreamMode"]
        stream["StreamModeDetails"] = {"StreamMode": mode}
        if mode == "ON_DEMAND":
            stream.setdefault("RecordDistributionStrategy", "USER_PARTITION_KEY")
        else:
            stream.pop("RecordDistributionStrategy", None)
        return self._ministack.ok({})

    def update_distribution(self, data: Json) -> Response:
        """Answer UpdateStreamRecordDistributionStrategy."""
        stream, refusal = self._found(data)
        if refusal:
            return refusal
        stream["RecordDistributionStrategy"] = data["RecordDistributionStrategy"]
        return self._ministack.ok({})

    def tag_resource(self, data: Json) -> Response:
        """Answer TagResource."""
        stream, refusal = self._found({"StreamARN": data.get("ResourceARN")})
        if refusal:
            return refusal
        stream["tags"].update(data.get("Tags") or {})
        return self._ministack.ok({})

    def untag_resource(self, data: Json) -> Response:
        """Answer UntagResource."""
        stream, refusal = self._found({"StreamARN": data.get("ResourceARN")})
        if refusal:
            return refusal
        for key in data.get("TagKeys") or ():
            stream["tags"].pop(key, None)
        return self._ministack.ok({})

    def list_tags_for_resource(self, data: Json) -> Response:
        """Answer ListTagsForResource."""
        stream, refusal = self._found({"StreamARN": data.get("ResourceARN")})
        if refusal:
            return refusal
        tags = sorted(stream["tags"].items())
        return self._ministack.ok({"Tags": [{"Key": key, "Value": value} for key, value in tags]})

    def summary(self, data: Json) -> Response:
        """Answer DescribeStreamSummary: open shards only, with the record size and the strategy."""
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
        return self._ministack.ok({"StreamDescriptionSummary": body})

    def list_shards(self, data: Json) -> Response:
        """Answer ListShards with its filter, closed shards included where the filter keeps them."""
        token = data.get("NextToken")
        after = ""
        if token:
            after, failure = self._ministack.kinesis._decode_list_shards_token(token)
            if failure or after is None:
                return self._ministack.error(
                    failure or "InvalidArgumentException", "Invalid NextToken"
                )
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
        return self._ministack.ok(body)

    # -- resharding ------------------------------------------------------------------------------

    def split_shard(self, data: Json) -> Response:
        """Answer SplitShard: the parent closes and keeps its records."""
        stream, refusal = self._found(data)
        if refusal:
            return refusal
        shard_id, at = data.get("ShardToSplit", ""), int(data.get("NewStartingHashKey") or 0)
        if shard_id not in open_shards(stream):
            return self._ministack.error(
                "ResourceNotFoundException", f"Shard {shard_id} is not open"
            )
        shard = stream["shards"][shard_id]
        if not int(shard["starting_hash_key"]) < at <= int(shard["ending_hash_key"]):
            return self._ministack.error(
                "InvalidArgumentException", "NewStartingHashKey is out of range"
            )
        self._shards.split(stream, shard_id, at)
        return self._ministack.ok({})

    def merge_shards(self, data: Json) -> Response:
        """Answer MergeShards: the parents close and keep their records."""
        stream, refusal = self._found(data)
        if refusal:
            return refusal
        pair = [data.get("ShardToMerge", ""), data.get("AdjacentShardToMerge", "")]
        if not set(pair) <= set(open_shards(stream)):
            return self._ministack.error(
                "ResourceNotFoundException", f"Shards {pair} are not both open"
            )
        self._shards.merge(stream, *pair)
        return self._ministack.ok({})

    def update_shard_count(self, data: Json) -> Response:
        """Answer UpdateShardCount: at most double, at least half."""
        stream, refusal = self._found(data)
        if refusal:
            return refusal
        current, target = len(open_shards(stream)), int(data.get("TargetShardCount") or 0)
        if not current / 2 <= target <= current * 2 or target < 1:
            return self._ministack.error(
                "LimitExceededException", f"{current} shards cannot become {target} in one step"
            )
        self._shards.resize(stream, target)
        return self._ministack.ok(
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
            refusal = self._ministack.error(
                "ResourceNotFoundException", f"Stream {name} under account {account} not found."
            )
            return {}, refusal
        return stream, None

    def _bad_size(self, size: Any) -> Response | None:
        if isinstance(size, int) and 1024 <= size <= 10240:
            return None
        return self._ministack.error(
            "InvalidArgumentException", "MaxRecordSizeInKiB is 1024 to 10240"
        )


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
