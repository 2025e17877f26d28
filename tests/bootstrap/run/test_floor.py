"""The floor: what is older is in the snapshot. Stored once, and never raised."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.bootstrap.fake_aws import LEDGER, FakeAws
from tests.support.bootstrap.killed_process import Process, replicated

pytestmark = pytest.mark.promise("C1", "C2")


def floor_of(world: FakeAws) -> int:
    return int(world.ledger_settings()["floor"]["N"])


def store(world: FakeAws, **settings: Any) -> None:
    with world.unwatched():
        world.dynamodb.put_item(TableName=LEDGER, Item={"k": {"B": b"settings"}, **settings})


def test_the_floor_is_five_minutes_before_the_export_time_and_names_its_export() -> None:
    world = replicated()
    ((arn, (request, _)),) = world.exports.items()
    assert floor_of(world) == (request.export_time - 300) * 1_000_000
    assert world.ledger_settings()["snapshot"] == {"S": arn}


@pytest.mark.parametrize("runs", [1, 2])
def test_a_lower_floor_is_never_raised(runs: int) -> None:
    world = FakeAws()
    store(world, floor={"N": "1000"}, snapshot={"S": "earlier"})
    for pid in range(runs):
        Process(world, pid=pid + 1).go()
    assert floor_of(world) == 1000
    assert world.ledger_settings()["snapshot"] == {"S": "earlier"}


def test_a_floor_above_this_snapshot_is_lowered_to_it() -> None:
    """It would count changes as held by a snapshot that does not hold them."""
    world = FakeAws()
    store(world, floor={"N": str(10**17)}, snapshot={"S": "a later one"})
    replicated(world)
    ((_, (request, _)),) = world.exports.items()
    assert floor_of(world) == (request.export_time - 300) * 1_000_000


def test_storing_the_floor_leaves_the_rest_of_the_settings_alone() -> None:
    world = FakeAws()
    store(world, parks={"SS": ["shard-0:1"]})
    replicated(world)
    assert world.ledger_settings()["parks"] == {"SS": ["shard-0:1"]}
