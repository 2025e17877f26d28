"""The bounded wait for changes on their way, and several tables at the same time."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.core.errors import BlockedError
from bootstrap.core.state import State
from bootstrap.cutover.promotion.drain import STILL_SECONDS
from bootstrap.cutover.promotion.drive import drive
from bootstrap.cutover.promotion.promote import Promotion, PromotionResult
from replicator.change import Probe
from replicator.lane_rows import LaneRow, index_key
from replicator.probes import probe_key
from replicator.watchdog.aws_readings import BOOK_KEY
from replicator.watchdog.probe_rounds import ProbeRound, WatchdogState
from tests.support.bootstrap.fake_aws import LEDGER, FakeAws
from tests.support.bootstrap.killed_process import Process, replicated
from tests.support.bootstrap.promote_harness import Promoter
from tests.support.bootstrap.switch_states import record

pytestmark = pytest.mark.promise("C9", "C10")

SHARD = "shardId-000000000000"


@pytest.fixture(scope="module")
def replica() -> FakeAws:
    return replicated()


@pytest.fixture
def world(replica: FakeAws) -> FakeAws:
    return replica.copied()


def put_row(world: FakeAws, row: dict[str, Any]) -> None:
    with world.unwatched():
        world.dynamodb.put_item(TableName=LEDGER, Item=row)


def lane_moves(world: FakeAws, sequence: int) -> None:
    now = world.clock.now_micros()
    put_row(world, {"k": {"B": index_key(now)}, "shards": {"SS": [SHARD]}})
    put_row(world, LaneRow(SHARD, str(sequence), now, now, now).to_item())


def put_round(world: FakeAws, name: str) -> ProbeRound:
    """The watchdog puts a probe, and notes it."""
    found = ProbeRound(name, 1, world.clock())
    book = WatchdogState().put(found)
    put_row(world, {"k": {"B": BOOK_KEY}, "book": {"S": book.as_text()}})
    return found


def ends(world: FakeAws, seconds: float) -> dict[str, Any]:
    found: dict[str, Any] = Promoter(world, drain=seconds).go().report["drain"]
    return found


def test_it_ends_when_its_time_is_up_while_a_lane_moves(world: FakeAws) -> None:
    began = world.clock()
    world.on_call = lambda number, name, after: lane_moves(world, int(world.clock() - began) + 1)
    found = ends(world, 120)
    assert found["ended"] == "time-up"
    assert 120 <= found["seconds"] <= 121


def test_it_ends_early_when_no_lane_moves(world: FakeAws) -> None:
    lane_moves(world, 7)
    found = ends(world, 600)
    assert found["ended"] == "still"
    assert STILL_SECONDS <= found["seconds"] <= STILL_SECONDS + 6


def test_it_ends_early_when_probes_that_were_put_meanwhile_are_through(world: FakeAws) -> None:
    began = world.clock()
    put_round(world, "before")
    row = {"at": {"N": str(int((began + 20) * 1e6))}}

    def watchdog(number: int, name: str, after: bool) -> None:
        waited = world.clock() - began
        lane_moves(world, int(waited) + 1)
        if 5 <= waited < 10:
            put_round(world, "during")
        elif waited >= 20:
            put_row(world, {"k": {"B": probe_key(Probe("during", 0))}, **row})

    world.on_call = watchdog
    found = ends(world, 600)
    assert found["ended"] == "probes-through"
    assert found["seconds"] <= 30


def test_probes_from_before_are_no_reason_to_end(world: FakeAws) -> None:
    """They prove nothing of what came after them."""
    began = world.clock()
    put_round(world, "before")
    put_row(world, {"k": {"B": probe_key(Probe("before", 0))}, "at": {"N": str(int(began * 1e6))}})
    world.clock.advance(1)
    world.on_call = lambda number, name, after: lane_moves(world, int(world.clock() - began) + 1)
    assert ends(world, 30)["ended"] == "time-up"


def test_without_a_wait_nothing_is_waited_for(world: FakeAws) -> None:
    assert ends(world, 0) == {
        "ended": "off",
        "seconds": 0,
        "text": "nothing was waited for: --drain 0",
    }


def test_until_the_wait_has_ended_nothing_is_changed(world: FakeAws) -> None:
    steps = Promotion(Promoter(world, drain=600).context()).steps()
    next(steps)
    world.clock.advance(5)
    next(steps)
    steps.close()  # Ctrl-C
    row, _ = Process(world, pid=98).store.read("orders")
    assert row is not None and row.state is State.REPLICATING
    assert row.holder == "", "the lease is released"
    assert "closed" not in world.ledger_settings()


def test_a_table_that_is_refused_stops_no_other(world: FakeAws, replica: FakeAws) -> None:
    given_up = replica.copied()
    record(given_up, State.ABANDONED)
    both = [Promotion(Promoter(each).context()) for each in (given_up, world)]
    # Two worlds on one clock: each table's calls are its own.
    ended = dict(drive(both, world.clock, take_over=False))
    assert isinstance(ended[both[0]], BlockedError)
    assert isinstance(ended[both[1]], PromotionResult)
