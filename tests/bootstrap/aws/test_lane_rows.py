"""Rows of lanes, as the consumer writes them and the operator's tool reads them."""

from __future__ import annotations

import pytest

from bootstrap.aws.calls import Calls
from bootstrap.aws.ledger import AwsLedger
from bootstrap.core.errors import AccountError, Side
from replicator.lane_rows import INDEX_KEYS, INDEX_PERIOD_SECONDS
from tests.support.replicator.consumer_harness import (
    LEDGER,
    START,
    ConsumerHarness,
    document,
    item,
    spread,
)

pytestmark = pytest.mark.promise("C9")

ONE, OTHER = "shardId-000000000001", "shardId-000000000002"


@pytest.fixture
def world() -> ConsumerHarness:
    return ConsumerHarness()


def ledger(world: ConsumerHarness) -> AwsLedger:
    return AwsLedger(Calls(Side.TARGET, "Role importer"), world.dynamodb, LEDGER)


def test_every_lane_is_found_without_the_source(world: ConsumerHarness) -> None:
    """Also one that had its last record a year ago."""
    world.handle(*spread([1]), shard=ONE)
    world.clock.advance(12 * INDEX_PERIOD_SECONDS)
    world.handle(document(None, item("b"), START + 9), shard=OTHER, arrival=START / 1e6 + 3)
    operator = ledger(world)
    shards = operator.lane_shards()
    assert shards == [ONE, OTHER]
    rows = {row.shard_id: row for row in operator.lanes(shards)}
    assert sorted(rows) == shards
    assert (rows[OTHER].newest, rows[OTHER].arrival) == (START + 9, START + 3_000_000)


def test_late_writes_are_found_by_the_same_index(world: ConsumerHarness) -> None:
    world.settings(armed={"S": "attempt1"}, mark={"N": str(START)})
    world.handle(document(None, item("a"), START + 7), shard=ONE)
    operator = ledger(world)
    [row] = operator.late_writes("attempt1", operator.lane_shards())
    assert (row.shard_id, row.newest) == (ONE, START + 7)
    assert operator.late_writes("attempt2", operator.lane_shards()) == []


def test_a_consumer_that_has_read_nothing_has_no_lanes(world: ConsumerHarness) -> None:
    assert ledger(world).lane_shards() == []


def test_an_index_that_cannot_be_read_is_no_empty_one(world: ConsumerHarness) -> None:
    world.dynamodb.put_item(
        TableName=LEDGER, Item={"k": {"B": INDEX_KEYS[3]}, "shards": {"N": "1"}}
    )
    with pytest.raises(AccountError, match="cannot be parsed"):
        ledger(world).lane_shards()
