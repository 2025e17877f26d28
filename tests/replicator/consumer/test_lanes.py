"""Rows that say how far each lane has come."""

from __future__ import annotations

import pytest

from replicator.consumer.lanes import WRITE_EVERY_SECONDS
from replicator.lane_rows import LaneRow, lane_key
from tests.support.fakes import errors
from tests.support.replicator.consumer_harness import (
    LEDGER,
    SHARD,
    START,
    ConsumerHarness,
    FailWrites,
    Watch,
    document,
    item,
    probe,
    spread,
)

pytestmark = pytest.mark.promise("C3")


@pytest.fixture
def world() -> ConsumerHarness:
    return ConsumerHarness()


def lane(world: ConsumerHarness, shard: str = SHARD) -> LaneRow | None:
    key = {"k": {"B": lane_key(shard)}}
    found = world.dynamodb.get_item(TableName=LEDGER, Key=key).get("Item")
    return LaneRow.from_item(found) if found else None


def test_a_lane_is_at_its_last_ended_record(world: ConsumerHarness) -> None:
    world.handle(*spread([1, 2, 3]), arrival=START / 1e6 + 2)
    now = world.clock.now_micros()
    assert lane(world) == LaneRow(SHARD, "1002", START + 2_000_000, newest=START, at=now)


def test_a_lane_stops_before_the_first_record_that_has_not_ended(world: ConsumerHarness) -> None:
    world.dynamodb.faults = FailWrites("bad")
    bad = document(None, item("bad"), START + 5)
    world.handle(
        document(None, item("a")), bad, document(None, item("c"), START + 9), millis=20_000
    )
    row = lane(world)
    assert row is not None
    assert (row.sequence_number, row.newest) == ("1000", START)


def test_a_probe_moves_its_lane(world: ConsumerHarness) -> None:
    world.handle(document(None, item("a"), START + 3))
    world.clock.advance(WRITE_EVERY_SECONDS)
    world.handle(probe(), first=2000)
    row = lane(world)
    assert row is not None
    assert (row.sequence_number, row.newest) == ("2000", START + 3)


def test_a_row_is_written_at_most_every_ten_seconds(world: ConsumerHarness) -> None:
    watch = Watch(world.dynamodb)
    for n in range(5):
        world.handle(document(None, item(f"k{n}")), first=1000 + n)
    assert watch.operations.count("PutItem") == 1
    world.clock.advance(WRITE_EVERY_SECONDS)
    world.handle(document(None, item("last")), first=2000)
    assert watch.operations.count("PutItem") == 2


def test_a_container_that_is_behind_moves_no_lane_back(world: ConsumerHarness) -> None:
    ahead, behind = world.consumer, world.container()
    world.handle(document(None, item("a"), START + 9), first=10**40)
    world.consumer = behind
    world.handle(document(None, item("b")), first=9 * 10**39)
    row = lane(world)
    assert row is not None
    assert (row.sequence_number, row.newest) == (str(10**40), START + 9)
    world.consumer = ahead


def test_a_fresh_container_keeps_the_newest_version(world: ConsumerHarness) -> None:
    world.handle(document(None, item("a"), START + 9))
    world.consumer = world.container()
    world.handle(document(None, item("b"), START), first=2000)
    row = lane(world)
    assert row is not None
    assert (row.sequence_number, row.newest) == ("2000", START + 9)


def test_a_row_that_cannot_be_written_delays_no_change(world: ConsumerHarness) -> None:
    world.faults.fail(errors.throttled("PutItem"), operation="PutItem", times=1_000)
    assert world.handle(*spread([1])) is None
    assert world.value("k0") == "1"


def test_every_shard_has_its_row(world: ConsumerHarness) -> None:
    world.handle(*spread([1]), shard="shardId-000000000001")
    world.handle(*spread([1]), shard="shardId-000000000002")
    assert lane(world, "shardId-000000000001") is not None
    assert lane(world, "shardId-000000000002") is not None
