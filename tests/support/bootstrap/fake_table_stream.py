"""A table's own stream in a `FakeAws`: shards, the consumer that reads them, and an own reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from bootstrap.core.delivery_settings import DeliverySettings
from bootstrap.core.errors import AccountError, Side
from bootstrap.core.facts import EventSource
from bootstrap.core.ports import ResourcePolicies
from bootstrap.core.stream_policy import SID
from bootstrap.core.table_stream_facts import (
    VIEW,
    MappingRequest,
    RecordPlace,
    StreamPage,
    StreamShard,
    TableStreamFacts,
    label_of,
)
from bootstrap.core.table_stream_ports import TableStreamClients
from replicator.change import stream_order
from replicator.ended_rows import EndedRow
from replicator.lane_rows import index_key
from replicator.late_write_rows import LateWritesRow, late_writes_key
from replicator.probes import PROTOCOL

STREAM = "arn:aws:dynamodb:eu-west-1:111111111111:table/orders/stream/2026-01-01T00:00:00.000"
LABEL = label_of(STREAM)
LEDGER = "orders-ledger"
MAPPING = "own-mapping-uuid"
DISABLING_SECONDS = 20.0
OPEN, OTHER = "shardId-1", "shardId-2"
ENABLING_SECONDS = 30.0
ARRIVAL_SECONDS = 1.0
"""From a write until its record is in the stream, and as long again until it is consumed."""


@dataclass
class _Shard:
    records: list[tuple[RecordPlace, float]] = field(default_factory=list)
    """With the moment at which each is in the stream."""
    consumed: int = 0
    parent: str = ""
    closed: bool = False


class FakeTableStream:
    """The stream of the source table, and what the consumer has done with its records."""

    def __init__(self, *, fresh: bool = False) -> None:
        """`fresh`: no run has begun, so the stream is off and there is no mapping."""
        self.enabled_from = 0.0
        """Until when it is ENABLING, once it was switched on."""
        self.arn = "" if fresh else STREAM
        self.streams = 0
        """How many were switched on."""
        self.made = 0
        """How many mappings were made."""
        self.shards = {OPEN: _Shard(), OTHER: _Shard()}
        self.applied: list[RecordPlace] = []
        """By the consumer, to the target."""
        self.held_back: list[RecordPlace] = []
        """Those that met a closed gate: in quarantine, or left to the target's time to live."""
        self.protocol = PROTOCOL
        self.on = self.mapping_there = self.mapping_on = not fresh
        self.mapped = STREAM
        """The stream that the mapping reads."""
        self.delivery = DeliverySettings()
        self.updates = 0
        """How often the mapping's settings were changed."""
        self.disabling_until = 0.0
        """Until when the mapping says that it is being disabled."""
        self._number = 10**24

    def write(
        self, at: float, shard: str = OPEN, *, expired: bool = False, delay: float = ARRIVAL_SECONDS
    ) -> RecordPlace:
        """Take a write, whose record comes `delay` seconds later."""
        self._number += 1
        place = RecordPlace(str(self._number), int(at), expired)
        self.shards[shard].records.append((place, at + delay))
        return place

    def split(self, shard: str, child: str) -> None:
        """Close a shard; its writes go to a child from now on."""
        self.shards[shard].closed = True
        self.shards[child] = _Shard(parent=shard)

    def mapping(self, now: float) -> EventSource | None:
        """The consumer's mapping."""
        if not self.mapping_there:
            return None
        state = "Enabled" if self.mapping_on else "Disabled"
        state = "Disabling" if now < self.disabling_until else state
        return EventSource(
            MAPPING, state, self.mapped, "TRIM_HORIZON", result="OK", delivery=self.delivery
        )

    def enable_mapping(self) -> None:
        self.mapping_on = True

    def disable_mapping(self, now: float) -> None:
        self.mapping_on, self.disabling_until = False, now + DISABLING_SECONDS

    def waiting(self) -> list[RecordPlace]:
        """The records that the consumer has not been given."""
        return [p for each in self.shards.values() for p, _ in each.records[each.consumed :]]

    def consume(self, world: Any) -> None:
        """Do a consumer's work, if its mapping is on."""
        if not self.mapping_on:
            return
        now, settings = world.clock(), world.ledger_settings()
        nonces = {name: settings[name]["S"] for name in ("armed", "closed") if name in settings}
        for shard in self.shards.values():
            due = [
                place
                for place, at in shard.records[shard.consumed :]
                if now >= at + ARRIVAL_SECONDS
            ]
            if not due:
                continue
            shard.consumed += len(due)
            self._end(world, due, settings, nonces)
            row = EndedRow(
                stream_order(LABEL, due[-1].number), int(now * 1e6), self.protocol, **nonces
            )
            world.dynamodb.put_item(TableName=LEDGER, Item=row.to_item())

    def _end(
        self, world: Any, due: list[RecordPlace], settings: Any, nonces: dict[str, str]
    ) -> None:
        closed = "closed" in nonces
        (self.held_back if closed else self.applied).extend(due)
        mark = int(settings["mark"]["N"]) if "mark" in settings else None
        late = [
            each
            for each in due
            if not each.expired
            and (closed or (mark is not None and each.created * 1_000_000 > mark))
        ]
        deletions = [each for each in due if closed and each.expired]
        if not nonces or not (late or deletions):
            return
        nonce = nonces.get("closed") or nonces["armed"]
        key = {"k": {"B": late_writes_key(nonce, LABEL)}}
        item = world.dynamodb.get_item(TableName=LEDGER, Key=key).get("Item")
        now = int(world.clock() * 1e6)
        known = LateWritesRow.from_item(item) if item else LateWritesRow(nonce, LABEL, now)
        row = replace(
            known,
            at=now,
            changes=known.changes + len(late),
            newest=max([known.newest, *(each.created * 1_000_000 for each in late)]),
            deletions=known.deletions + len(deletions),
        )
        index = {"k": {"B": index_key(now)}, "shards": {"SS": [LABEL]}}
        world.dynamodb.put_item(TableName=LEDGER, Item=index)
        world.dynamodb.put_item(TableName=LEDGER, Item=row.to_item())


class _Client:
    def __init__(self, world: Any, before: Callable[[], None]) -> None:
        self._world = world
        self._before = before

    @contextmanager
    def _call(self, name: str) -> Iterator[FakeTableStream]:
        self._before()
        with self._world.around(name):
            yield self._world.own_stream


class FakeTableStreams(_Client):
    """`TableStreams`."""

    def switch_on(self, table: str) -> None:
        with self._call("switch_stream_on") as stream:
            if stream.on:
                return
            stream.on, stream.enabled_from = True, self._world.clock() + ENABLING_SECONDS
            stream.streams += 1
            stream.arn = STREAM.replace("2026-01-01", f"2026-01-{stream.streams:02}")
            self._world.source = replace(
                self._world.source, stream_view=VIEW, stream_arn=stream.arn
            )

    def switch_off(self, table: str) -> None:
        with self._call("switch_stream_off") as stream:
            stream.on = False
            self._world.source = replace(self._world.source, stream_view=None)

    def describe(self, stream_arn: str) -> TableStreamFacts | None:
        with self._call("describe_stream") as stream:
            shards = tuple(
                StreamShard(name, each.parent, each.closed) for name, each in stream.shards.items()
            )
            now = self._world.clock()
            on = stream.on and stream_arn == stream.arn
            state = "ENABLED" if now >= stream.enabled_from else "ENABLING"
            return TableStreamFacts(
                stream_arn, state if on else "DISABLED", VIEW, shards, float(int(now))
            )


class FakeReader(_Client):
    """`StreamRecordReader`. An iterator is a shard and the number of records before it."""

    def iterator(
        self, stream_arn: str, shard_id: str, *, since: float | None = None, after: str = ""
    ) -> str | None:
        with self._call("stream_iterator") as stream:
            shard = stream.shards.get(shard_id)
            if shard is None:
                return None
            places = [place for place, _ in shard.records]
            begin = 0
            if after:
                begin = sum(int(each.number) <= int(after) for each in places)
            elif since is not None:
                begin = sum(each.created < int(since) for each in places)
            return f"{shard_id} {begin}"

    def read(self, iterator: str) -> StreamPage | None:
        with self._call("read_stream") as stream:
            name, begin = iterator.split()
            shard, now = stream.shards[name], self._world.clock()
            there = [place for place, at in shard.records if now >= at][int(begin) :]
            end = shard.closed and int(begin) + len(there) == len(shard.records)
            return StreamPage(there, None if end else f"{name} {int(begin) + len(there)}")


class FakeMappings(_Client):
    """`ConsumerMappings`, of the world's one mapping."""

    def find(self, function_arn: str, stream_arn: str) -> EventSource | None:
        with self._call("find_mapping") as stream:
            found = stream.mapping(self._world.clock())
            return found if found is not None and found.stream_arn == stream_arn else None

    def create(self, request: MappingRequest) -> EventSource:
        with self._call("create_mapping") as stream:
            statements = self._world.policies.statements(request.stream_arn)
            if not any(each["Sid"].startswith(SID) for each in statements):
                code = "InvalidParameterValueException"
                raise AccountError(Side.TARGET, "Cannot access stream", fix="-", code=code)
            assert not stream.mapping_there, "AWS refuses another one"
            stream.mapping_there, stream.mapping_on, stream.mapped = True, False, request.stream_arn
            stream.delivery = DeliverySettings(parallel=1, **_delivery(request))
            stream.made += 1
            made = stream.mapping(self._world.clock())
            assert made is not None
            return made

    def update(self, uuid: str, request: MappingRequest) -> None:
        with self._call("update_mapping") as stream:
            stream.delivery = replace(stream.delivery, **_delivery(request))
            stream.updates += 1

    def delete(self, uuid: str) -> None:
        with self._call("delete_mapping") as stream:
            stream.mapping_there = False


def _delivery(request: MappingRequest) -> dict[str, Any]:
    return {
        "batch_size": request.batch_size,
        "batch_window": request.batch_window,
        "retries": -1,
        "longest_age": -1,
        "bisects": True,
        "reports_items": True,
        "on_failure_arn": request.on_failure_arn,
    }


def stream_clients(
    world: Any, before: Callable[[], None], policies: ResourcePolicies
) -> TableStreamClients:
    """What a process calls of the table's own stream."""
    return TableStreamClients(
        FakeTableStreams(world, before),
        policies,
        FakeReader(world, before),
        FakeMappings(world, before),
    )
