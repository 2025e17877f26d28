"""ListStreams, DescribeStream, GetShardIterator and GetRecords.

Amazon DynamoDB Streams API reference. An iterator is known by the ARN in it, and the dispatcher has
checked the caller's policies and the stream's: so another account's stream needs no code here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from infra.local.emulator import shard_iterators
from infra.local.emulator.access import PermissionChecks
from infra.local.emulator.patching import Json, Ministack, Response
from infra.local.emulator.refusals import RefusedError
from infra.local.emulator.shards import Shards, parents, sequence
from infra.local.emulator.table_streams.encryption import MANAGED, key_of
from infra.local.emulator.table_streams.lineage import Stream, shard_shown
from infra.local.emulator.table_streams.readers import ShardReaders
from infra.local.emulator.table_streams.records import PAGE_RECORDS, api_record, page_of
from infra.local.emulator.table_streams.store import TableStreams

MOST_LISTED = 100
ITERATOR_SECONDS = 15 * 60
TYPES = ("TRIM_HORIZON", "LATEST", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER", "AT_TIMESTAMP")

NO_SHARD = "Requested resource not found: Shard does not exist"
TRIMMED = "The operation attempted to read past the oldest stream record in a shard."
EXPIRED = "The provided iterator exceeds the maximum age allowed."
THROTTLED = "Too many operations for a given subscriber."


class StreamOperations:
    """Replaces ministack's own DynamoDB Streams."""

    def __init__(
        self,
        ministack: Ministack,
        streams: TableStreams,
        shards: Shards,
        readers: ShardReaders,
        access: PermissionChecks,
    ) -> None:
        self._ministack = ministack
        self._streams = streams
        self._shards = shards
        self._readers = readers
        self._access = access

    def install(self) -> None:
        """Replace ministack's function."""
        self._ministack.replace("dynamodb_streams", "handle_request", self.handle_request)

    async def handle_request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Json
    ) -> Response:
        """Answer a request of DynamoDB Streams."""
        operations: Mapping[str, Callable[[Json], Json]] = {
            "ListStreams": self.list_streams,
            "DescribeStream": self.describe_stream,
            "GetShardIterator": self.get_shard_iterator,
            "GetRecords": self.get_records,
        }
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action not in operations:
            return self._ministack.error("UnknownOperationException", f"No operation {action}")
        try:
            return self._ministack.ok(operations[action](json.loads(body or b"{}")))
        except RefusedError as refused:
            return self._ministack.error(refused.code, refused.message)

    def list_streams(self, data: Json) -> Json:
        """Answer ListStreams: with those that were switched off within 24 hours."""
        responses, name = self._ministack.responses, data.get("TableName")
        found = self._streams.all_of(responses.get_account_id(), responses.get_region())
        if name is not None:
            found = [stream for stream in found if stream["TableName"] == name]
            if not found and name not in self._ministack.dynamodb._tables:
                raise _not_found(f"Requested resource not found: Table: {name} not found")
        after = data.get("ExclusiveStartStreamArn") or ""
        found = [stream for stream in found if stream["StreamARN"] > after]
        page = found[: _limit(data, MOST_LISTED)]
        body: Json = {
            "Streams": [
                {
                    "StreamArn": stream["StreamARN"],
                    "TableName": stream["TableName"],
                    "StreamLabel": stream["StreamLabel"],
                }
                for stream in page
            ]
        }
        if len(found) > len(page):
            body["LastEvaluatedStreamArn"] = page[-1]["StreamARN"]
        return body

    def describe_stream(self, data: Json) -> Json:
        """Answer DescribeStream: shards in the order in which they began, at most 100 a page."""
        stream = self._found(data)
        shards = dict(stream["shards"])
        wanted = data.get("ShardFilter")
        if wanted:
            shards = {
                shard_id: shard
                for shard_id, shard in shards.items()
                if _parent_of(wanted) in parents(shard)
            }
        names = list(shards)
        start = data.get("ExclusiveStartShardId")
        if start in names:
            names = names[names.index(start) + 1 :]
        elif start:
            raise _not_found(NO_SHARD)
        page = names[: _limit(data, MOST_LISTED)]
        described: Json = {
            "StreamArn": stream["StreamARN"],
            "StreamStatus": str(self._streams.status(stream)),
            "Shards": [shard_shown(shard_id, shards[shard_id]) for shard_id in page],
        }
        for name in (
            *("StreamLabel", "StreamViewType", "CreationRequestDateTime"),
            *("TableName", "KeySchema"),
        ):
            described[name] = stream[name]
        if len(names) > len(page):
            described["LastEvaluatedShardId"] = page[-1]
        return {"StreamDescription": described}

    def get_shard_iterator(self, data: Json) -> Json:
        """Answer GetShardIterator."""
        stream = self._found(data)
        shard_id, kind = data.get("ShardId", ""), data.get("ShardIteratorType", "")
        shard = stream["shards"].get(shard_id)
        if shard is None:
            raise _not_found(NO_SHARD)
        if kind not in TYPES:
            raise RefusedError(
                "ValidationException",
                f"1 validation error detected: Value '{kind}' at 'shardIteratorType' failed to "
                f"satisfy constraint: Member must satisfy enum value set: [{', '.join(TYPES)}]",
            )
        number = data.get("SequenceNumber")
        if kind.endswith("_SEQUENCE_NUMBER"):
            _check_number(shard, number)
        if kind == "AT_TIMESTAMP":
            position = _position_at(shard, data.get("Timestamp"), self._streams.now())
        else:
            position = self._shards.position(shard, kind, number) or ""
        token = shard_iterators.encoded(stream["StreamARN"], shard_id, position)
        return {"ShardIterator": token}

    def get_records(self, data: Json) -> Json:
        """Answer GetRecords: up to 1,000 records and 1 MB; no iterator after a shard's end."""
        token = shard_iterators.decoded(data.get("ShardIterator"))
        if token is None:
            raise RefusedError("ValidationException", "Invalid ShardIterator")
        limit = data.get("Limit", PAGE_RECORDS)
        if limit > PAGE_RECORDS:
            raise RefusedError(
                "LimitExceededException", f"Limit is {limit}: at most {PAGE_RECORDS} records a call"
            )
        if shard_iterators.expired(token, ITERATOR_SECONDS):
            raise RefusedError("ExpiredIteratorException", EXPIRED)
        stream = self._found({"StreamArn": token["arn"]})
        shard = stream["shards"].get(token["shard"])
        if shard is None:
            raise RefusedError("TrimmedDataAccessException", TRIMMED)
        key = key_of(stream["table"])
        undecryptable = self._access.caller_decryption_refusal(key, token["arn"], MANAGED)
        if undecryptable:
            raise RefusedError(
                "AccessDeniedException",
                f"User: {self._access.caller()} is not authorized to perform: kms:Decrypt on "
                f"resource: {undecryptable}",
            )
        if not self._readers.admit(token["shard"], self._access.caller_key()):
            raise RefusedError("LimitExceededException", THROTTLED)
        with self._shards.lock:
            if token["after"] < shard.get("trimmed", ""):
                raise RefusedError("TrimmedDataAccessException", TRIMMED)
            closed = shard.get("closed")
            available = self._shards.after(shard, token["after"], limit)
        page = page_of(available)
        position = sequence(page[-1]) if page else token["after"]
        body: Json = {"Records": [api_record(record) for record in page]}
        if not closed or self._shards.after(shard, position, 1):
            body["NextShardIterator"] = shard_iterators.encoded(
                stream["StreamARN"], token["shard"], position
            )
        return body

    def _found(self, data: Json) -> Stream:
        arn = str(data.get("StreamArn") or "")
        here = self._ministack.responses.get_region()
        stream = self._streams.find(arn) if arn.split(":")[3:4] == [here] else None
        if stream is None:
            raise _not_found(f"Requested resource not found: Stream: {arn} not found")
        return stream


def _check_number(shard: Mapping[str, Any], number: str | None) -> None:
    """Refuse a sequence number that cannot be one of this shard, or is no longer in it."""
    digits = str(number or "")
    if not (digits.isdecimal() and 21 <= len(digits) <= 40):
        raise RefusedError(
            "ValidationException", f"SequenceNumber is {number!r}, not 21 to 40 digits"
        )
    first, last = int(shard["starting_sequence_number"]), shard.get("closed")
    if int(digits) < first or (last and int(digits) > int(last)):
        raise RefusedError(
            "ValidationException", f"SequenceNumber {number} is not within the range of the shard"
        )
    if digits.zfill(len(shard.get("trimmed", ""))) <= shard.get("trimmed", ""):
        raise RefusedError("TrimmedDataAccessException", TRIMMED)


def _position_at(shard: Mapping[str, Any], at: float | None, now: float) -> str:
    """Return the position before "the first stream record whose ApproximateCreationDateTime is at
    or after the specified timestamp", which is a whole second (API reference, GetShardIterator).
    """
    if at is None or at > now:
        raise RefusedError(
            "ValidationException", f"Timestamp is {at}: a moment that is not in the future"
        )
    position = str(shard.get("trimmed", ""))
    for record in shard["records"]:
        if record["Record"]["dynamodb"]["ApproximateCreationDateTime"] >= at:
            break
        position = sequence(record)
    return position


def _limit(data: Json, most: int) -> int:
    limit = data.get("Limit", most)
    if not 1 <= limit <= most:
        raise RefusedError("ValidationException", f"Limit is {limit}: 1 to {most}")
    return int(limit)


def _parent_of(wanted: Json) -> str:
    """Return the parent of a ShardFilter, whose only type is CHILD_SHARDS."""
    if wanted.get("Type") != "CHILD_SHARDS" or not wanted.get("ShardId"):
        raise RefusedError(
            "ValidationException", "ShardFilter needs the Type CHILD_SHARDS and a ShardId"
        )
    return str(wanted["ShardId"])


def _not_found(message: str) -> RefusedError:
    return RefusedError("ResourceNotFoundException", message)
