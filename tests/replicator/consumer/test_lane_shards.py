"""The index of shards: whatever row a shard has in the ledger table can be found by it."""

from __future__ import annotations

import pytest

from replicator.consumer.lanes import WRITE_EVERY_SECONDS
from replicator.lane_rows import (
    INDEX_KEYS,
    INDEX_PERIOD_SECONDS,
    KEPT_SECONDS,
    lane_key,
    shards_in,
)
from tests.support.fakes import errors
from tests.support.fakes.errors import Call, Faults
from tests.support.replicator.consumer_harness import (
    DAY,
    LEDGER,
    SHARD,
    START,
    ConsumerHarness,
    Watch,
    document,
    item,
    spread,
)

pytestmark = pytest.mark.promise("C3", "C9")

ONE, OTHER = "shardId-000000000001", "shardId-000000000002"
ARMED = {"armed": {"S": "attempt1"}, "mark": {"N": str(START)}}


@pytest.fixture
def world() -> ConsumerHarness:
    return ConsumerHarness()


def indexed(world: ConsumerHarness) -> set[str]:
    found: set[str] = set()
    for key in INDEX_KEYS:
        answer = world.dynamodb.get_item(TableName=LEDGER, Key={"k": {"B": key}})
        found |= shards_in(answer.get("Item", {}))
    return found


def expiries(world: ConsumerHarness, prefix: bytes) -> list[int]:
    rows = world.dynamodb.scan(TableName=LEDGER)["Items"]
    return sorted(int(row["x"]["N"]) for row in rows if bytes(row["k"]["B"]).startswith(prefix))


def test_a_shard_is_named_before_its_lanes_row_is_written(world: ConsumerHarness) -> None:
    watch = Watch(world.dynamodb)
    world.handle(*spread([1]))
    assert watch.operations.index("UpdateItem") < watch.operations.index("PutItem")
    assert indexed(world) == {SHARD}


def test_without_its_shards_name_a_lane_has_no_row(world: ConsumerHarness) -> None:
    world.dynamodb.faults = NoIndex()
    assert world.handle(*spread([1])) is None
    assert lane_key(SHARD) not in world.rows()
    world.dynamodb.faults = Faults()
    world.clock.advance(WRITE_EVERY_SECONDS)
    world.handle(document(None, item("b")), first=2000)
    assert lane_key(SHARD) in world.rows()
    assert indexed(world) == {SHARD}


def test_a_late_write_has_not_ended_before_its_shard_is_named(world: ConsumerHarness) -> None:
    world.settings(**ARMED)
    failing = world.dynamodb.faults = NoIndex()
    late = document(None, item("a"), START + 7)
    assert world.handle(late, millis=30_000) == "1000"
    assert failing.refused
    world.dynamodb.faults = Faults()
    assert world.handle(late) is None
    assert indexed(world) == {SHARD}
    assert f"late:attempt1:{SHARD}".encode() in world.rows()


def test_a_container_names_a_shard_once(world: ConsumerHarness) -> None:
    world.settings(**ARMED)
    watch = Watch(world.dynamodb)
    for n in range(5):
        world.clock.advance(WRITE_EVERY_SECONDS)
        world.handle(document(None, item(f"k{n}"), START + 1 + n), first=1000 * (n + 1))
    assert watch.operations.count("UpdateItem") == 1


def test_a_fresh_container_does_not_write_what_it_reads_there(world: ConsumerHarness) -> None:
    world.handle(*spread([1]))
    world.consumer = world.container()
    watch = Watch(world.dynamodb)
    world.handle(document(None, item("b")), first=2000)
    assert "UpdateItem" not in watch.operations


def test_containers_that_begin_at_once_name_all_their_shards(world: ConsumerHarness) -> None:
    other = world.container()

    class InBetween(Faults):
        done = False

        def before(self, call: Call) -> None:
            if call.operation == "UpdateItem" and not self.done:
                self.done = True
                world.consumer, mine = other, world.consumer
                world.handle(*spread([1]), shard=OTHER)
                world.consumer = mine

    world.dynamodb.faults = InBetween()
    world.handle(*spread([1]), shard=ONE)
    assert indexed(world) == {ONE, OTHER}


def test_the_index_outlives_the_rows_that_it_leads_to(world: ConsumerHarness) -> None:
    """The last moment of a period is the worst: the shard was named at its beginning."""
    period = INDEX_PERIOD_SECONDS
    world.clock.advance(period - world.clock.now_micros() / 1e6 % period)
    world.handle(*spread([1]))
    world.clock.advance(period - 1)
    world.handle(document(None, item("b")), first=2000)
    assert len(expiries(world, b"lane-shards:")) == 1
    [index], [lane] = expiries(world, b"lane-shards:"), expiries(world, b"lane:")
    assert index > lane


def test_a_shard_that_lives_on_is_named_in_each_period(world: ConsumerHarness) -> None:
    for n in range(3):
        world.handle(document(None, item(f"k{n}")), first=1000 * (n + 1))
        world.clock.advance(INDEX_PERIOD_SECONDS)
    assert len(expiries(world, b"lane-shards:")) == 3


def test_a_row_of_the_index_has_expired_when_its_turn_comes_again() -> None:
    """DynamoDB deletes an expired item within a few days: fifteen are left for it."""
    kept = KEPT_SECONDS + INDEX_PERIOD_SECONDS + DAY
    turn = (len(INDEX_KEYS) - 1) * INDEX_PERIOD_SECONDS
    assert kept + 15 * DAY <= turn


class NoIndex(Faults):
    """No row of the index can be written."""

    refused = 0

    def before(self, call: Call) -> None:
        if call.operation == "UpdateItem":
            assert bytes(call.request["Key"]["k"]["B"]) in INDEX_KEYS
            self.refused += 1
            raise errors.throttled("UpdateItem")
