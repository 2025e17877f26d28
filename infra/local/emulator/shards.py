"""The records of a Kinesis stream: routing, sequence numbers, and resharding.

A stream stays the dict that ministack keeps of it; a shard gains `closed` (its ending sequence
number) and keeps its records when it is split or merged, until they expire.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from infra.local.emulator.patching import Json, Ministack

MAX_HASH_KEY = 2**128 - 1
DEFAULT_RECORD_KIB = 1024
EXPIRY_SECONDS = 60.0
DIGITS = 56

Shard = dict[str, Any]


class StreamGoneError(LookupError):
    """The stream is deleted, or not ACTIVE."""


class RecordTooLargeError(ValueError):
    """The record is larger than the stream's maximum record size."""


class Shards:
    """Appends and reads records by sequence number, in constant time per record."""

    def __init__(self, ministack: Ministack) -> None:
        self.lock = threading.RLock()
        self._ministack = ministack
        self._counter = 0
        self._moment = 0
        self._swept: dict[str, float] = {}

    def next_sequence_number(self) -> str:
        """Return a number above all before it, with 56 digits like AWS's."""
        with self.lock:
            self._counter += 1
            self._moment = max(self._moment, time.time_ns() // 1_000_000)
            return str(49 * 10**54 + self._moment * 10**24 + self._counter)

    def stream(self, arn: str) -> Json | None:
        """Return the stream of this ARN, for any caller."""
        parts = arn.split(":")
        if len(parts) != 6 or parts[2] != "kinesis" or not parts[5].startswith("stream/"):
            return None
        name = parts[5].removeprefix("stream/")
        found: Json | None = self._ministack.kinesis._streams.get_scoped(parts[4], parts[3], name)
        return found

    def append(
        self, stream_arn: str, partition_key: str, data: bytes, explicit_hash: str | None = None
    ) -> tuple[str, str]:
        """Add a record; return its shard id and sequence number.

        Raises `RecordTooLargeError` over the stream's maximum record size, `StreamGoneError`.
        """
        stream = self.stream(stream_arn)
        if stream is None or stream["StreamStatus"] != "ACTIVE":
            raise StreamGoneError(f"stream {stream_arn} is not active")
        limit = record_limit(stream)
        if len(data) > limit:
            raise RecordTooLargeError(f"{len(data)} bytes, the stream takes {limit}")
        encoded = base64.b64encode(data).decode("ascii")
        return self.append_encoded(stream, partition_key, encoded, explicit_hash)

    def append_encoded(
        self, stream: Json, partition_key: str, data: str, explicit_hash: str | None
    ) -> tuple[str, str]:
        """Add a record whose data is base64 text and within the limits."""
        hashed = int(explicit_hash) if explicit_hash else hash_of(partition_key)
        with self.lock:
            self.expire(stream)
            shard_id = route(stream, hashed)
            number = self.next_sequence_number()
            stream["shards"][shard_id]["records"].append(
                {
                    "SequenceNumber": number,
                    "ApproximateArrivalTimestamp": round(time.time(), 3),
                    "Data": data,
                    "PartitionKey": partition_key,
                }
            )
        return shard_id, number

    def expire(self, stream: Json, at: float | None = None) -> None:
        """Delete records older than the stream's retention; looks at most once a minute.

        A shard's `trimmed` is the sequence number of the last that was deleted. `at` is now, where
        a test says what time it is (epoch seconds).
        """
        now, retention = at or time.time(), stream["RetentionPeriodHours"] * 3600
        pause = min(EXPIRY_SECONDS, retention / 100)
        if now - self._swept.get(stream["StreamARN"], 0.0) < pause:
            return
        self._swept[stream["StreamARN"]] = now
        horizon = now - retention
        with self.lock:
            for shard in stream["shards"].values():
                old = bisect_right(shard["records"], horizon, key=arrival)
                if old:
                    shard["trimmed"] = sequence(shard["records"][old - 1])
                    # A new list: a reader may still use the old one.
                    shard["records"] = shard["records"][old:]

    @staticmethod
    def after(shard: Shard, position: str, limit: int) -> list[Json]:
        """Return up to `limit` records after this sequence number ("" for the first)."""
        records: list[Json] = shard["records"]
        start = bisect_right(records, position, key=sequence)
        return records[start : start + limit]

    def position(self, shard: Shard, kind: str, at: str | float | None = None) -> str | None:
        """Return the sequence number after which a reader of this kind starts; None if unknown.

        `at` is the sequence number or the arrival time (epoch seconds) where the kind needs one.
        """
        records: list[Json] = shard["records"]
        match kind:
            case "TRIM_HORIZON":
                return str(shard.get("trimmed", ""))
            case "LATEST":
                if records:
                    return sequence(records[-1])
                first = str(shard["starting_sequence_number"]).zfill(DIGITS)
                return max(first, str(shard.get("trimmed", "")))
            case "AFTER_SEQUENCE_NUMBER":
                return str(at).zfill(DIGITS)
            case "AT_SEQUENCE_NUMBER":
                return str(int(str(at)) - 1).zfill(DIGITS)
            case "AT_TIMESTAMP":
                earlier = [r for r in records if arrival(r) < float(str(at))]
                return sequence(earlier[-1]) if earlier else str(shard.get("trimmed", ""))
            case _:
                return None

    # -- resharding ------------------------------------------------------------------------------

    def split(self, stream: Json, shard_id: str, at: int) -> list[str]:
        """Close a shard and open two children that share its range; `at` begins the second."""
        with self.lock:
            parent = stream["shards"][shard_id]
            low, high = hash_range(parent)
            self._close(parent)
            return [
                self._open(stream, low, at - 1, shard_id),
                self._open(stream, at, high, shard_id),
            ]

    def merge(self, stream: Json, one: str, other: str) -> str:
        """Close two adjacent shards and open one over their range."""
        with self.lock:
            ranges = [hash_range(stream["shards"][shard_id]) for shard_id in (one, other)]
            for shard_id in (one, other):
                self._close(stream["shards"][shard_id])
            low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
            return self._open(stream, low, high, one, other)

    def resize(self, stream: Json, target: int) -> None:
        """Split the widest or merge the narrowest neighbours until `target` shards are open."""
        with self.lock:
            while len(open_shards(stream)) < target:
                widest = max(open_shards(stream), key=lambda s: width(stream["shards"][s]))
                low, high = hash_range(stream["shards"][widest])
                self.split(stream, widest, (low + high) // 2 + 1)
            while len(open_shards(stream)) > target:
                ordered = sorted(open_shards(stream), key=lambda s: hash_range(stream["shards"][s]))
                pairs = list(pairwise(ordered))
                one, other = min(pairs, key=lambda p: sum(width(stream["shards"][s]) for s in p))
                self.merge(stream, one, other)

    def _close(self, shard: Shard) -> None:
        shard["closed"] = self.next_sequence_number()

    def _open(
        self, stream: Json, low: int, high: int, parent: str, adjacent: str | None = None
    ) -> str:
        number = max(int(shard_id.removeprefix("shardId-")) for shard_id in stream["shards"]) + 1
        shard_id = f"shardId-{number:012d}"
        stream["shards"][shard_id] = {
            "records": [],
            "starting_hash_key": str(low),
            "ending_hash_key": str(high),
            "starting_sequence_number": self.next_sequence_number(),
            "parent_shard_id": parent,
            "adjacent_parent_shard_id": adjacent,
        }
        return shard_id


def sequence(record: Mapping[str, Any]) -> str:
    """Return the sequence number with leading zeros, so that text order is their order."""
    return str(record["SequenceNumber"]).zfill(DIGITS)


def arrival(record: Mapping[str, Any]) -> float:
    """Return when the record entered the stream, in epoch seconds."""
    return float(record["ApproximateArrivalTimestamp"])


def record_limit(stream: Mapping[str, Any]) -> int:
    """Return the stream's maximum record size in bytes."""
    return int(stream.get("MaxRecordSizeInKiB", DEFAULT_RECORD_KIB)) * 1024


def hash_of(partition_key: str) -> int:
    """Return Kinesis's hash of a partition key: its MD5 as a number."""
    return int(hashlib.md5(partition_key.encode(), usedforsecurity=False).hexdigest(), 16)


def hash_range(shard: Mapping[str, Any]) -> tuple[int, int]:
    """Return the first and last hash key of a shard."""
    return int(shard["starting_hash_key"]), int(shard["ending_hash_key"])


def width(shard: Mapping[str, Any]) -> int:
    """Return how many hash keys a shard covers."""
    low, high = hash_range(shard)
    return high - low + 1


def open_shards(stream: Mapping[str, Any]) -> list[str]:
    """Return the ids of the shards that take records."""
    return [shard_id for shard_id, shard in stream["shards"].items() if not shard.get("closed")]


def route(stream: Mapping[str, Any], hashed: int) -> str:
    """Return the open shard whose range holds the hash key."""
    for shard_id in open_shards(stream):
        low, high = hash_range(stream["shards"][shard_id])
        if low <= hashed <= high:
            return shard_id
    raise StreamGoneError(f"no open shard of {stream['StreamARN']} covers {hashed}")


def parents(shard: Mapping[str, Any]) -> Iterable[str]:
    """Return the ids of the shards that this one came from."""
    names = (shard.get("parent_shard_id"), shard.get("adjacent_parent_shard_id"))
    return tuple(name for name in names if name)


def shard_out(shard_id: str, shard: Json) -> Json:
    """Return a shard as ListShards shows it, with the end of a closed one."""
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
