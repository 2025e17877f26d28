"""The streams of all tables, by ARN: which there are, and their records.

ministack's table record says which stream a table has: LatestStreamArn, and in StreamSpecification
whether it is on. Streams that were switched off, or whose table is gone, stay for 24 hours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from enum import StrEnum

from infra.local.emulator.change_capture import CapturedChange
from infra.local.emulator.patching import Json, Ministack
from infra.local.emulator.shards import Shards, hash_of, route
from infra.local.emulator.table_streams.limits import StreamLimits
from infra.local.emulator.table_streams.lineage import (
    Stream,
    close_all,
    forget_trimmed,
    new_stream,
    roll_full,
    roll_old,
    take_number,
)
from infra.local.emulator.table_streams.records import stored_record


class StreamStatus(StrEnum):
    """The states of a stream (API reference, streams_StreamDescription)."""

    ENABLING = "ENABLING"
    ENABLED = "ENABLED"
    DISABLING = "DISABLING"
    DISABLED = "DISABLED"


class TableStreams:
    """Appends and finds. Only a stream that is ENABLED takes records."""

    def __init__(
        self,
        ministack: Ministack,
        shards: Shards,
        limits: StreamLimits,
        transition: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`transition` is the time of ENABLING and DISABLING in seconds; `now` epoch seconds."""
        self.limits = limits
        self.transition = transition
        self.now = now
        self._ministack = ministack
        self._shards = shards
        self._streams: dict[str, Stream] = {}

    def append(self, change: CapturedChange, table: Json) -> None:
        """Add a change to the table's stream, if it has one that is on; under the write lock.

        "DynamoDB Streams writes a stream record with the primary key attributes of the items that
        were modified" (Streams.html): one for each change, once, in the order of the writes.
        """
        if not is_on(table):
            return
        with self._shards.lock:
            stream = self._current(table)
            if self.status(stream) is not StreamStatus.ENABLED:
                return
            self._age(stream)
            size_of = self._ministack.dynamodb._item_size_bytes
            view = stream["StreamViewType"]
            record = stored_record(change, view, take_number(stream), size_of)
            shard_id = route(stream, hash_of(record["PartitionKey"]))
            shard = stream["shards"][shard_id]
            shard["records"].append(record)
            shard["taken"] += 1
            if shard["taken"] >= self.limits.shard_records:
                roll_full(stream, shard_id, self.now(), self.limits)

    def find(self, arn: str) -> Stream | None:
        """Return the stream of this ARN, for any caller; None once its 24 hours are over."""
        with self._shards.lock:
            stream = self._streams.get(arn)
            if stream is None:
                table = self._table_of(arn)
                if table is None or not is_on(table) or table.get("LatestStreamArn") != arn:
                    return None
                stream = self._current(table)
            self._age(stream)
            return self._streams.get(arn)

    def all_of(self, account: str, region: str) -> list[Stream]:
        """Return the streams of an account in a Region, in the order of their ARNs."""
        for arn in list(self._latest(account, region)):
            self.find(arn)
        prefix = f":{region}:{account}:table/"
        found = [self.find(arn) for arn in sorted(self._streams) if prefix in arn]
        return [stream for stream in found if stream is not None]

    def status(self, stream: Stream) -> StreamStatus:
        """Return the state that DescribeStream shows."""
        disabled_at, now = stream["disabled_at"], self.now()
        if disabled_at is not None:
            over = now >= disabled_at + self.transition
            return StreamStatus.DISABLED if over else StreamStatus.DISABLING
        return StreamStatus.ENABLED if now >= stream["enabled_at"] else StreamStatus.ENABLING

    def enable(self, table: Json) -> None:
        """Begin the new stream that the table's record names; it is ENABLING first."""
        with self._shards.lock:
            self._begin(table, self.now() + self.transition)

    def disable(self, table: Json | None) -> None:
        """Close the table's stream, which stays readable; the table may be gone by now."""
        if table is None or not is_on(table):
            return
        with self._shards.lock:
            stream = self._current(table)
            stream["disabled_at"] = self.now()
            close_all(stream, self.now())

    # -- helpers ---------------------------------------------------------------------------------

    def _current(self, table: Json) -> Stream:
        """Return the table's stream; one that came with a new table has been on all its life."""
        found = self._streams.get(table["LatestStreamArn"])
        return self._begin(table, self.now()) if found is None else found

    def _begin(self, table: Json, enabled_at: float) -> Stream:
        arn = table["LatestStreamArn"]
        self._streams[arn] = new_stream(arn, table, self.now(), enabled_at, self.limits)
        return self._streams[arn]

    def _age(self, stream: Stream) -> None:
        """Let time take its course: shards close and have children, records are trimmed."""
        now = self.now()
        if stream["disabled_at"] is None:
            roll_old(stream, now, self.limits)
        self._shards.expire(stream, now)
        forget_trimmed(stream, now, self.limits)
        ended = stream["disabled_at"]
        if ended is not None and now >= ended + self.limits.retention_seconds:
            self._streams.pop(stream["StreamARN"], None)

    def _latest(self, account: str, region: str) -> Iterator[str]:
        for (owner, place, _name), table in self._ministack.dynamodb._tables.all_items():
            if (owner, place) == (account, region) and is_on(table):
                yield table["LatestStreamArn"]

    def _table_of(self, arn: str) -> Json | None:
        parts = arn.split(":", 5)
        names = parts[5].split("/") if len(parts) == 6 else []
        if len(names) != 4 or parts[2] != "dynamodb":
            return None
        found: Json | None = self._ministack.dynamodb._tables.get_scoped(
            parts[4], parts[3], names[1]
        )
        return found


def is_on(table: Json) -> bool:
    """Say whether the table's record has a stream that is on."""
    return bool((table.get("StreamSpecification") or {}).get("StreamEnabled"))
