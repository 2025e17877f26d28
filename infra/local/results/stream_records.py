"""The change records of the stream itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

EXPIRY_PRINCIPAL = "dynamodb.amazonaws.com"
KINDS = ("INSERT", "MODIFY", "REMOVE")
IMAGES = {"NewImage", "OldImage"}


@dataclass(frozen=True)
class StreamCounts:
    """The change records of a stream; each counts once, however often it was delivered."""

    by_users: int = 0
    by_expiry: int = 0
    """Deletes by the time to live."""
    first: float | None = None
    """When the first change was made (epoch seconds): replication had become active by then."""
    broken: int = 0
    """Records that are neither change nor probe; there only if put on purpose."""

    @property
    def total(self) -> int:
        return self.by_users + self.by_expiry

    @property
    def records(self) -> int:
        """Everything that the consumer has to account for."""
        return self.total + self.broken


def read(kinesis: Any, stream: str) -> StreamCounts:
    """Read every shard from its oldest record; `kinesis` is a client of the stream's account."""
    seen: set[str] = set()
    expired = broken = 0
    first: float | None = None
    for record in _records(kinesis, stream):
        change = _content(record)
        if change is None:
            broken += 1
            continue
        if "probe" in change or change["eventID"] in seen:
            continue  # a record that came twice counts once
        seen.add(change["eventID"])
        expired += _is_expiry(change)
        at = _created(change["dynamodb"])
        first = at if first is None else min(first, at)
    return StreamCounts(len(seen) - expired, expired, first, broken)


def _content(record: bytes) -> dict[str, Any] | None:
    """Return a change or a probe; None for anything else."""
    try:
        content: dict[str, Any] = json.loads(record)
    except ValueError:
        return None
    if "probe" in content:
        return content
    whole = content["eventName"] in KINDS and IMAGES & content["dynamodb"].keys()
    return content if whole else None


def _records(kinesis: Any, stream: str) -> Iterator[bytes]:
    shards = kinesis.get_paginator("list_shards").paginate(StreamName=stream)
    for shard in (shard for page in shards for shard in page["Shards"]):
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            answer = kinesis.get_records(ShardIterator=iterator, Limit=1000)
            yield from (record["Data"] for record in answer["Records"])
            # An open shard has no last iterator: it ends where MillisBehindLatest is 0.
            at_end = not answer["Records"] and not answer.get("MillisBehindLatest")
            iterator = None if at_end else answer.get("NextShardIterator")


def _is_expiry(change: Mapping[str, Any]) -> bool:
    identity = change.get("userIdentity") or {}
    return bool(identity.get("principalId") == EXPIRY_PRINCIPAL)


def _created(change: Mapping[str, Any]) -> float:
    unit = {"MICROSECOND": 1e6, "MILLISECOND": 1e3}
    precision = change.get("ApproximateCreationDateTimePrecision", "MILLISECOND")
    return float(change["ApproximateCreationDateTime"]) / unit[precision]
