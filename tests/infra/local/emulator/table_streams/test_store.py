"""Streams of tables on a clock that the test sets: 24 hours, ages of shards, numbers, readers."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from infra.local.emulator.change_capture import CapturedChange
from infra.local.emulator.patching import Ministack
from infra.local.emulator.replication_metrics import TableOf
from infra.local.emulator.shards import Shards, open_shards, parents, sequence
from infra.local.emulator.table_streams.limits import AS_ON_AWS, DAY, StreamLimits, parse
from infra.local.emulator.table_streams.readers import ShardReaders
from infra.local.emulator.table_streams.records import lambda_record, page_of
from infra.local.emulator.table_streams.store import StreamStatus, TableStreams

OF = TableOf("111111111111", "eu-west-1", "orders")
ARN = "arn:aws:dynamodb:eu-west-1:111111111111:table/orders"


class Tables(dict[str, Any]):
    """ministack's tables, as far as streams look at them."""

    def get_scoped(self, _account: str, _region: str, name: str) -> Any:
        return self.get(name)

    def all_items(self) -> Any:
        return [(("111111111111", "eu-west-1", name), table) for name, table in self.items()]


class World:
    """One table, its streams, and the time in epoch seconds."""

    def __init__(self, limits: StreamLimits = AS_ON_AWS) -> None:
        self.now = 1_796_000_000.0
        self.tables = Tables()
        dynamodb = SimpleNamespace(
            _tables=self.tables, _item_size_bytes=lambda image: len(json.dumps(image))
        )
        ministack = Ministack("", {"dynamodb": dynamodb})
        self.shards = Shards(ministack)
        self.streams = TableStreams(ministack, self.shards, limits, 60, now=lambda: self.now)
        self.table: dict[str, Any] = {"TableName": "orders", "KeySchema": []}
        self.tables["orders"] = self.table

    def switch_on(self, label: str) -> str:
        self.table["LatestStreamLabel"] = label
        self.table["LatestStreamArn"] = f"{ARN}/stream/{label}"
        view = "NEW_AND_OLD_IMAGES"
        self.table["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": view}
        self.streams.enable(self.table)
        self.now += 61
        return str(self.table["LatestStreamArn"])

    def switch_off(self) -> None:
        self.streams.disable(self.table)
        self.table["StreamSpecification"] = {"StreamEnabled": False}

    def put(self, key: str) -> None:
        image = {"pk": {"S": key}}
        change = CapturedChange(int(self.now * 1e6), OF, "INSERT", image, None, image)
        self.streams.append(change, self.table)

    def records(self, arn: str) -> list[Any]:
        stream = self.streams.find(arn)
        assert stream is not None
        return [record for shard in stream["shards"].values() for record in shard["records"]]


def test_a_record_is_there_for_24_hours_and_trimmed_after_them() -> None:
    world = World()
    arn = world.switch_on("one")
    world.put("a")
    world.now += DAY - 1
    assert len(world.records(arn)) == 1
    world.now += 70
    assert world.records(arn) == []


def test_a_stream_that_is_off_is_there_for_24_hours() -> None:
    world = World()
    arn = world.switch_on("one")
    world.put("a")
    world.switch_off()
    stream = world.streams.find(arn)
    assert stream is not None
    assert open_shards(stream) == []
    assert world.streams.status(stream) is StreamStatus.DISABLING
    world.now += DAY - 1
    found = world.streams.find(arn)
    assert found is not None
    assert world.streams.status(found) is StreamStatus.DISABLED
    world.now += 2
    assert world.streams.find(arn) is None


def test_a_shard_that_is_old_has_one_child_and_is_gone_when_its_records_are() -> None:
    world = World(StreamLimits(first_shards=1))
    arn = world.switch_on("one")
    world.put("a")
    stream = world.streams.find(arn)
    assert stream is not None
    (first,) = stream["shards"]
    world.now += AS_ON_AWS.shard_seconds
    child = next(s for s in world.streams.find(arn)["shards"].items() if s[0] != first)  # type: ignore[index]
    assert parents(child[1]) == (first,)
    assert stream["shards"][first]["records"], "a closed shard keeps its records"
    world.now += DAY + 120
    world.streams.find(arn)
    assert first not in stream["shards"]
    assert child[0] not in stream["shards"] or parents(stream["shards"][child[0]]) == (first,)


def test_a_new_streams_numbers_begin_again_so_that_only_its_label_says_that_it_is_later() -> None:
    world = World()
    world.switch_on("one")
    world.put("a")
    world.put("a")
    last = int(world.records(f"{ARN}/stream/one")[-1]["SequenceNumber"])
    world.switch_off()
    world.switch_on("two")
    world.put("a")
    (record,) = world.records(f"{ARN}/stream/two")
    assert int(record["SequenceNumber"]) < last


def test_positions_of_numbers_of_different_length_are_in_their_order() -> None:
    world = World(StreamLimits(first_shards=1))
    arn = world.switch_on("one")
    for number in range(20):
        world.put(str(number))
    stream = world.streams.find(arn)
    assert stream is not None
    (shard,) = stream["shards"].values()
    texts = [record["SequenceNumber"] for record in shard["records"]]
    assert {len(text) for text in texts} == {21, 22}
    for index, record in enumerate(shard["records"]):
        after = world.shards.after(shard, sequence(record), 100)
        assert len(after) == 19 - index
        for kind, count in (
            ("AT_SEQUENCE_NUMBER", 20 - index),
            ("AFTER_SEQUENCE_NUMBER", 19 - index),
        ):
            position = world.shards.position(shard, kind, record["SequenceNumber"])
            assert position is not None
            assert len(world.shards.after(shard, position, 100)) == count


def test_a_page_holds_1_mb_and_never_nothing() -> None:
    records = [{"Bytes": size, "n": n} for n, size in enumerate((600_000, 400_000, 100_000))]
    assert [each["n"] for each in page_of(records)] == [0, 1]
    assert [each["n"] for each in page_of([{"Bytes": 2_000_000, "n": 9}, *records])] == [9]


def test_an_event_has_whole_seconds_as_a_number_with_a_fraction_of_zero() -> None:
    world = World()
    world.now += 0.75
    arn = world.switch_on("one")
    world.put("a")
    (record,) = world.records(arn)
    at = lambda_record(record, arn)["dynamodb"]["ApproximateCreationDateTime"]
    assert json.dumps(at).endswith(".0")
    assert at == int(record["ApproximateArrivalTimestamp"]) < record["ApproximateArrivalTimestamp"]


def test_a_third_reader_waits_until_one_of_two_has_stopped() -> None:
    now = [0.0]
    readers = ShardReaders(1.0, lambda: now[0])
    assert readers.admit("s", "mapping", stays=True)
    assert readers.admit("s", "a")
    assert not readers.admit("s", "b")
    assert readers.admit("other", "b")
    now[0] = 0.9
    assert readers.admit("s", "a")
    now[0] = 1.5
    assert not readers.admit("s", "b"), "a has read 0.6 s ago"
    now[0] = 2.0
    assert readers.admit("s", "b")
    assert not readers.admit("s", "a"), "a mapping that stays counts on"
    readers.release("s", "mapping")
    now[0] = 3.1
    assert readers.admit("s", "a")


def test_limits_run_on_the_local_clock_and_can_be_set() -> None:
    scaled = AS_ON_AWS.scaled(0.01)
    assert (scaled.retention_seconds, scaled.shard_seconds) == (864.0, 144.0)
    assert scaled.shard_records == AS_ON_AWS.shard_records
    chosen = parse("retention_seconds=5, shard_records=3", scaled)
    assert (chosen.retention_seconds, chosen.shard_records) == (5.0, 3)
    assert parse("", scaled) == scaled


@pytest.mark.parametrize(
    "text", ["shards=1", "shard_records=1.5", "retention_seconds=-1", "first_shards=many", "x"]
)
def test_limits_that_cannot_be_read_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"(?m)^Try: .* --streams shard_records=20"):
        parse(text, AS_ON_AWS)
