"""A batch that Lambda gave up and could put nowhere stays known until it is verified (C7)."""

from __future__ import annotations

import pytest

from replicator.watchdog.detectors import UNDELIVERED, Level
from replicator.watchdog.finding import Finding
from replicator.watchdog.judge import judge
from replicator.watchdog.probe_rounds import MOST_PROOFS, WatchdogState
from replicator.watchdog.readings import Outage, Undelivered
from tests.support.replicator.watchdog_harness import CONFIG, WatchdogHarness, steady

pytestmark = pytest.mark.promise("C7")

DAY = 86_400.0


def world_with_snapshot() -> tuple[WatchdogHarness, float]:
    """Return a world that replicates, and the moment of its snapshot."""
    world = steady()
    snapshot = world.clock() - 3600
    world.settle(expire=True, floor=round(snapshot * 1e6))
    return world, snapshot


def finding(world: WatchdogHarness) -> Finding:
    found = judge(world.watchdog.round(lambda: 240.0), CONFIG.expected)
    return next(each for each in found if each.detector is UNDELIVERED)


@pytest.mark.parametrize("days", [0, 13, 40, 400])
def test_a_batch_that_was_put_nowhere_shows_until_a_verification(days: int) -> None:
    world, snapshot = world_with_snapshot()
    at = world.clock()
    world.undelivered = [(at, 2.0)]
    world.clock.advance(300 + days * DAY)
    found = finding(world)
    assert (found.level, found.value) == (Level.LOSS, 2.0)
    assert "backfill" in found.first
    assert any(line.startswith("OnFailureDeliveriesFailed: 2") for line in world.logger.lines)
    world.settle(expire=True, floor=round(snapshot * 1e6), settled=round((at + DAY) * 1e6))
    world.clock.advance(DAY)
    assert finding(world).value == 0.0


def test_the_gap_begins_with_the_last_proof_from_before_the_failure() -> None:
    world, _ = world_with_snapshot()
    for _ in range(3):
        world.after()
    before = world.book().through
    # The failure, then a probe that comes through behind it; CloudWatch counts it only later.
    failed = world.clock() + 1
    world.clock.advance(2)
    world.consume()
    world.clock.advance(298)
    world.round()
    assert (world.book().through or 0) > (before or 0)
    world.undelivered = [(failed, 1.0)]
    world.after()
    known = world.book().given_up
    assert known is not None
    assert known.begin == before
    assert known.end == pytest.approx(failed, abs=120)
    assert (known.end or 0) > failed


def test_without_a_proof_the_gap_begins_at_the_snapshot() -> None:
    found = Undelivered(1, 5000.0, 5060.0)
    assert WatchdogState().saw_undelivered(found, 100.0).given_up == Outage(100.0, 5060.0)


def test_further_failures_extend_the_gap_and_a_verification_begins_another() -> None:
    state = WatchdogState(proofs=((4000.0, 4001.0), (6000.0, 6001.0)))
    first = state.saw_undelivered(Undelivered(1, 5000.0, 5060.0), 100.0)
    assert first.given_up == Outage(4000.0, 5060.0)
    assert first.saw_undelivered(Undelivered(1, 5000.0, 5060.0), 100.0) == first
    more = first.saw_undelivered(Undelivered(2, 5000.0, 7060.0), 100.0)
    assert more.given_up == Outage(4000.0, 7060.0)
    verified = first.saw_undelivered(Undelivered(1, 7000.0, 7060.0), 5500.0)
    assert verified.given_up == Outage(6000.0, 7060.0)


def test_nothing_is_remembered_before_there_is_a_snapshot() -> None:
    world = steady()
    world.undelivered = [(world.clock(), 1.0)]
    world.after()
    assert world.book().given_up is None


def test_the_memory_survives_as_text_and_stays_short() -> None:
    state = WatchdogState(given_up=Outage(1.0, 2.0), proofs=((1.0, 2.0),))
    assert WatchdogState.from_text(state.as_text()) == state
    world = steady()
    for _ in range(MOST_PROOFS + 3):
        world.after()
    assert len(world.book().proofs) == MOST_PROOFS
