"""The watchdog of a table's own stream counts what ended, and not what was handed over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from replicator.unended_row import UNENDED_KEY, member
from replicator.watchdog.detectors import Level
from replicator.watchdog.finding import Finding
from tests.support.replicator.table_stream_watchdog import (
    BEGIN,
    HOUR,
    findings,
    settle,
    switch_stream,
)
from tests.support.replicator.watchdog_harness import TABLE_STREAM_CONFIG, WatchdogHarness

pytestmark = pytest.mark.promise("C3", "C7", "C10")

DAY = 24 * HOUR


@pytest.fixture
def world() -> WatchdogHarness:
    """A table that replicates, an hour after its snapshot, and takes no writes."""
    made = WatchdogHarness(config=TABLE_STREAM_CONFIG)
    made.clock.advance(BEGIN + HOUR - made.clock())
    switch_stream(made)
    settle(made)
    made.round()
    return made


def go_on(world: WatchdogHarness, hours: float, each: Callable[[float], None]) -> None:
    """Let rounds pass; `each` is called before each, with the moment in epoch seconds."""
    for _ in range(round(hours * 12)):
        world.clock.advance(300)
        each(world.clock())
        world.round()


def write(world: WatchdogHarness) -> Callable[[float], None]:
    return lambda at: world.consumed.append((at - 60, 1.0))


def pause(world: WatchdogHarness, hours: float) -> float:
    """Write for hours while the mapping is off; return the first write's time."""
    settle(world, paused=True)
    world.mapping = "Disabled"
    first = world.clock() + 240
    go_on(world, hours, write(world))
    settle(world)
    world.mapping = "Enabled"
    return first


def note(world: WatchdogHarness, order: str, created: float) -> None:
    item = {"k": {"B": UNENDED_KEY}, member(order): {"N": str(int(created))}}
    world.target.put_item(TableName="ledger", Item=item)


def unread(world: WatchdogHarness) -> Finding:
    return findings(world)["UnreadAge"]


# -- after a pause ---------------------------------------------------------------------------------


def test_a_batch_that_holds_a_whole_pause_and_fails_is_lost_after_a_day(
    world: WatchdogHarness,
) -> None:
    first = pause(world, 10)
    resumed = world.clock()
    # The age of a batch is that of its last record.
    go_on(world, 4, lambda at: world.ages.append((at - 60, at - 60 - resumed + 5)))
    waited = world.clock() - first
    assert unread(world).value == pytest.approx(waited, abs=120)
    assert findings(world)["BufferUsed"].value == pytest.approx(waited / DAY, abs=0.01)
    go_on(world, 12, lambda at: world.ages.append((at - 60, at - 60 - resumed + 5)))
    assert world.clock() - first > 25 * HOUR
    over = world.book().overrun
    assert over is not None and over.begin == pytest.approx(first, abs=120)


@pytest.mark.parametrize("ends", [True, False])
def test_young_changes_of_one_shard_prove_nothing_of_the_others_after_a_pause(
    world: WatchdogHarness, *, ends: bool
) -> None:
    first = pause(world, 10)

    def busy(at: float) -> None:
        world.consumed.append((at - 60, 1.0))
        world.ages.append((at - 60, 2.0))
        if ends:
            world.ended.append((at - 60, 2.0))

    go_on(world, 2, busy)
    found = unread(world)
    assert found.level is not Level.FINE
    assert found.value == pytest.approx(world.clock() - first, abs=120)


def test_a_stream_that_was_read_to_its_tips_after_a_pause_leaves_no_doubt(
    world: WatchdogHarness,
) -> None:
    pause(world, 10)
    go_on(world, 1, lambda at: world.receive(at - 60, 2.0))
    assert unread(world).level is Level.UNKNOWN
    assert "bootstrap run" in unread(world).first
    settle(world, through=int((world.clock() - 60) * 1e6))
    go_on(world, 1, lambda at: world.receive(at - 60, 2.0))
    assert unread(world).level is Level.FINE
    assert world.round()["BufferUsed"] == 0.0


# -- a record that is delivered again --------------------------------------------------------------


@pytest.mark.parametrize("minutes", [5, 12, 45, 300])
def test_a_record_that_is_retried_at_long_intervals_waits_all_the_time(
    world: WatchdogHarness, minutes: int
) -> None:
    world.clock.advance(600)
    made = world.clock() - 60
    world.consumed = [(made, 1.0)]  # one change, and the table is quiet
    world.ages.append((made, 1.0))
    rounds: list[float] = []

    def retry(at: float) -> None:
        rounds.append(at)
        if len(rounds) % (minutes // 5) == 0:
            world.ages.append((at - 60, at - 60 - made))
        if len(rounds) > 3:
            assert unread(world).value == pytest.approx(at - made, abs=120)

    go_on(world, 7, retry)
    assert unread(world).level is Level.WARNING
    assert findings(world)["BufferUsed"].level is Level.WARNING
    world.receive(world.clock(), world.clock() - made)
    world.clock.advance(900)
    assert unread(world).level is Level.FINE


def test_a_stuck_shard_beside_a_busy_one_is_told_by_the_consumers_note(
    world: WatchdogHarness,
) -> None:
    made = world.clock()
    note(world, "2026#1", made)

    def busy(at: float) -> None:
        world.consumed.append((at - 60, 1.0))
        world.receive(at - 60, 0.5)

    go_on(world, 7, busy)
    assert unread(world).value == pytest.approx(world.clock() - made, abs=1)
    assert findings(world)["BufferUsed"].level is Level.WARNING
    go_on(world, 18, busy)
    assert world.book().overrun is not None
    world.target.delete_item(TableName="ledger", Key={"k": {"B": UNENDED_KEY}})
    world.round()
    assert unread(world).level is Level.FINE
    assert findings(world)["BufferUsed"].level is Level.LOSS


def test_what_was_proved_after_a_record_was_noted_ends_its_note(world: WatchdogHarness) -> None:
    note(world, "2026#1", world.clock())
    world.clock.advance(HOUR)
    settle(world, through=int(world.clock() * 1e6))
    assert unread(world).level is Level.FINE


def test_notes_that_cannot_be_read_are_unknown(world: WatchdogHarness) -> None:
    item = {"k": {"B": UNENDED_KEY}, member("2026#1"): {"S": "not a time"}}
    world.target.put_item(TableName="ledger", Item=item)
    assert unread(world).level is Level.UNKNOWN


def test_a_shard_whose_invocations_die_waits_beside_one_whose_batches_end(
    world: WatchdogHarness,
) -> None:
    made = world.clock()

    def both(at: float) -> None:
        world.consumed.append((at - 60, 1.0))
        world.ended.append((at - 60, 0.5))
        world.ages.append((at - 60, at - 60 - made))

    go_on(world, 2, both)
    assert unread(world).value == pytest.approx(world.clock() - made, abs=120)


# -- nothing is handed over ------------------------------------------------------------------------


def test_writes_in_doubt_for_longer_than_a_day_are_a_loss(world: WatchdogHarness) -> None:
    go_on(world, 7, write(world))
    assert findings(world)["BufferUsed"].level is Level.WARNING
    go_on(world, 18, write(world))
    assert world.book().overrun is not None
    world.clock.advance(300)
    world.receive(world.clock() - 60, 1.0)
    world.round()
    found = findings(world)["BufferUsed"]
    assert found.level is Level.LOSS
    assert found.value == 0.0, "the gauge shows the present alone"


def test_a_received_change_proves_nothing_of_writes_after_it(world: WatchdogHarness) -> None:
    world.clock.advance(3 * HOUR)
    at = world.clock()
    world.consumed = [(at - 2 * HOUR, 1.0)]
    world.receive(at - 900, 2.5 * HOUR)
    assert unread(world).value == pytest.approx(2 * HOUR, abs=120)


def test_a_consumer_that_ends_nothing_is_not_followed(world: WatchdogHarness) -> None:
    def failing(at: float) -> None:
        world.consumed.append((at - 60, 1.0))
        world.ages.append((at - 60, 1.0))

    go_on(world, 2, failing)
    assert unread(world).level is Level.WARNING
    assert unread(world).value == pytest.approx(2 * HOUR, abs=600)


def test_a_throttled_shard_beside_a_busy_one_is_in_doubt(world: WatchdogHarness) -> None:
    begin = world.clock()

    def busy(at: float) -> None:
        world.consumed.append((at - 60, 1.0))
        world.receive(at - 60, 0.5)

    def throttled(at: float) -> None:
        busy(at)
        if round(at / 300) % 5 == 0:  # at longer and longer intervals
            world.throttled.append((at - 60, 1.0))

    go_on(world, 7, throttled)
    assert unread(world).level is Level.UNKNOWN
    assert unread(world).value == pytest.approx(world.clock() - begin, abs=1800)
    assert findings(world)["BufferUsed"].level is Level.WARNING
    go_on(world, 1, busy)
    assert unread(world).level is Level.FINE


# -- the first load --------------------------------------------------------------------------------


def test_a_first_load_of_hours_is_no_fault_and_uses_up_the_day() -> None:
    world = WatchdogHarness(config=TABLE_STREAM_CONFIG)
    world.clock.advance(BEGIN - world.clock())
    switch_stream(world)
    settle(world, consume=False, expire=False)
    world.mapping = "Disabled"
    go_on(world, 5, write(world))
    assert world.round()["UnreadAge"] == 0.0
    assert world.round()["BufferUsed"] == pytest.approx(5 / 24, abs=0.01)


# -- a day is no bound of what is known ------------------------------------------------------------


def test_a_quiet_table_stays_healthy_for_days(world: WatchdogHarness) -> None:
    at = world.clock() + 130
    world.consumed.append((at, 1.0))
    world.receive(at, 0.5)
    for hours in range(50):
        go_on(world, 1, lambda at: None)
        assert unread(world).level is Level.FINE, hours
    assert world.book().overrun is None
