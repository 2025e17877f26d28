"""The shards of a stream of a table: routing, sequence numbers, and lineage.

A stream is a dict like a Kinesis stream's, so that the same code reads both. Of the lineage AWS
documents that shards close, split and have children at any time, and that a parent comes before
its children; not when. The caller holds the lock.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from infra.local.emulator.patching import Json
from infra.local.emulator.shards import MAX_HASH_KEY, hash_range, open_shards, parents
from infra.local.emulator.table_streams.limits import StreamLimits

STEP = 4_099
FIRST_NUMBER = 10**21 - 10 * STEP
"""Sequence numbers have 21 to 40 digits: those of a new stream soon grow from 21 to 22, so that
code which compares them as text without padding is found out."""

Stream = dict[str, Any]


def new_stream(
    arn: str, table: Json, now: float, enabled_at: float, limits: StreamLimits
) -> Stream:
    """Return a stream of this table with its first shards. `table` is ministack's own record."""
    stream: Stream = {
        "StreamARN": arn,
        "StreamLabel": table["LatestStreamLabel"],
        "StreamViewType": table["StreamSpecification"]["StreamViewType"],
        "TableName": table["TableName"],
        "KeySchema": table["KeySchema"],
        "CreationRequestDateTime": now,
        "RetentionPeriodHours": limits.retention_seconds / 3600,
        "table": table,
        "enabled_at": enabled_at,
        "disabled_at": None,
        "next_number": FIRST_NUMBER,
        "shards": {},
    }
    width = (MAX_HASH_KEY + 1) // limits.first_shards
    for index in range(limits.first_shards):
        last = index == limits.first_shards - 1
        high = MAX_HASH_KEY if last else (index + 1) * width - 1
        _open(stream, index * width, high, None, now)
    return stream


def take_number(stream: Stream) -> str:
    """Return the stream's next sequence number, above all before it."""
    number = stream["next_number"]
    stream["next_number"] += STEP
    return str(number)


def close_all(stream: Stream, now: float) -> None:
    """Close the open shards: "If you disable a stream, any shards that are open will be closed"."""
    for shard_id in open_shards(stream):
        _close(stream, shard_id, now)


def roll_old(stream: Stream, now: float, limits: StreamLimits) -> None:
    """Replace each open shard that has reached its age by one child."""
    for shard_id in open_shards(stream):
        if now - stream["shards"][shard_id]["opened_at"] >= limits.shard_seconds:
            _succeed(stream, shard_id, 1, now)


def roll_full(stream: Stream, shard_id: str, now: float, limits: StreamLimits) -> None:
    """Replace a shard that has taken its share of records, by two children where there is room."""
    children = 2 if len(open_shards(stream)) < limits.most_shards else 1
    _succeed(stream, shard_id, children, now)


def forget_trimmed(stream: Stream, now: float, limits: StreamLimits) -> None:
    """Delete the shards that are closed and whose last record can have been trimmed."""
    horizon = now - limits.retention_seconds
    gone = [
        shard_id
        for shard_id, shard in stream["shards"].items()
        if shard.get("closed") and not shard["records"] and shard["closed_at"] < horizon
    ]
    for shard_id in gone:
        del stream["shards"][shard_id]


def shard_shown(shard_id: str, shard: Mapping[str, Any]) -> Json:
    """Return a shard as DescribeStream shows it. An open one has no EndingSequenceNumber."""
    numbers = {"StartingSequenceNumber": shard["starting_sequence_number"]}
    if shard.get("closed"):
        numbers["EndingSequenceNumber"] = shard["closed"]
    body: Json = {"ShardId": shard_id, "SequenceNumberRange": numbers}
    for parent in parents(shard):
        body["ParentShardId"] = parent
    return body


def _succeed(stream: Stream, shard_id: str, children: int, now: float) -> None:
    low, high = hash_range(stream["shards"][shard_id])
    _close(stream, shard_id, now)
    if children == 1 or low == high:
        _open(stream, low, high, shard_id, now)
        return
    middle = (low + high) // 2
    _open(stream, low, middle, shard_id, now)
    _open(stream, middle + 1, high, shard_id, now)


def _close(stream: Stream, shard_id: str, now: float) -> None:
    shard = stream["shards"][shard_id]
    shard["closed"], shard["closed_at"] = take_number(stream), now


def _open(stream: Stream, low: int, high: int, parent: str | None, now: float) -> None:
    # Like AWS's: shardId-00000001573689847184-864758bb, a time in milliseconds and 8 hex digits.
    shard_id = f"shardId-{int(now * 1000):020d}-{random.getrandbits(32):08x}"
    stream["shards"][shard_id] = {
        "records": [],
        "taken": 0,
        "starting_hash_key": str(low),
        "ending_hash_key": str(high),
        "starting_sequence_number": take_number(stream),
        "parent_shard_id": parent,
        "opened_at": now,
    }
