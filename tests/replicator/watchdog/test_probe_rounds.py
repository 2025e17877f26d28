"""C7: what lost changes and is over is known to the watchdog alone, and it remembers."""

from __future__ import annotations

import pytest

from replicator.watchdog.probe_rounds import WatchdogState
from replicator.watchdog.readings import Outage
from tests.support.replicator.watchdog_harness import (
    OTHER,
    WatchdogHarness,
    set_destination,
    steady,
)

pytestmark = pytest.mark.promise("C7")

# -- a destination that was off, and is on again -------------------------------------------------


def test_an_outage_is_remembered_with_both_its_ends_by_any_container() -> None:
    world = steady()
    was_on = world.clock()
    set_destination(DestinationStatus="DISABLED")(world)
    for _ in range(12):
        world.after()
        assert world.book().outage == Outage(was_on)
        world.watchdog = world.another_container()
    set_destination(DestinationStatus="ACTIVE")(world)
    assert world.after()["DestinationActive"] == 1.0
    is_on = world.clock()
    world.after()
    assert world.book().outage == Outage(was_on, is_on)
    set_destination(StreamArn=OTHER)(world)
    world.after()
    assert world.book().outage == Outage(was_on)


def test_what_had_not_reached_the_stream_when_it_went_off_belongs_to_the_outage() -> None:
    world = steady()
    world.waiting_ms = 1_200_000.0
    world.after()
    had = world.clock() - 1200
    set_destination(DestinationStatus="DISABLED")(world)
    world.waiting_ms = None
    world.after()
    assert world.book().outage == Outage(had)


def test_a_destination_that_was_never_on_or_cannot_be_read_is_no_outage() -> None:
    world = WatchdogHarness()
    set_destination(DestinationStatus="DISABLED")(world)
    world.round()
    set_destination(DestinationStatus="ACTIVE")(world)
    world.after()
    world.broken.add("DescribeKinesisStreamingDestination")
    world.after()
    assert world.book().outage is None


def test_a_book_of_before_outages_were_kept_is_read() -> None:
    text = '{"waiting": [], "through": 3.0, "lag": null, "tables": {}}'
    assert WatchdogState.from_text(text) == WatchdogState(through=3.0)


# -- changes that waited for too long ------------------------------------------------------------


def test_what_the_stream_has_forgotten_is_remembered_once_the_consumer_has_caught_up() -> None:
    world = steady()
    world.settle(expire=True, floor=1, settled=world.clock.now_micros())
    began, kept = world.clock(), world.config.retention_hours * 3600
    world.clock.advance(kept - 900)
    world.round()
    assert world.book().overrun is None
    world.clock.advance(1200)
    world.round()
    over = world.book().overrun
    assert over is not None
    assert began - 600 <= over.begin <= began
    assert over.end is None
    world.after()
    world.after()
    ended = world.book().overrun
    assert ended is not None
    assert ended.begin == over.begin
    assert ended.end is not None
    assert world.clock() - 600 <= ended.end + kept <= world.clock()


def test_a_retention_that_is_raised_brings_back_nothing_that_was_forgotten() -> None:
    world = steady()
    world.settle(expire=True, floor=1, settled=world.clock.now_micros())
    began = world.clock()
    assert world.stream is not None
    world.stream["RetentionPeriodHours"] = 168
    world.clock.advance(200 * 3600)
    world.round()
    world.stream["RetentionPeriodHours"] = 8760
    world.clock.advance(600)
    world.round()
    over = world.book().overrun
    assert over == Outage(over.begin if over else 0.0), "what waits has not become younger"
    world.after()
    over = world.book().overrun
    assert over is not None
    assert over.end is not None
    assert over.end > began + 30 * 3600


def test_an_overrun_of_before_another_snapshot_is_over_before_that() -> None:
    world = steady()
    world.settle(expire=True, floor=1, settled=world.clock.now_micros())
    world.clock.advance(world.config.retention_hours * 3600 * 2)
    world.round()
    exported = world.clock()
    world.settle(expire=True, floor=1, settled=world.clock.now_micros())
    world.clock.advance(600)
    world.round()
    over = world.book().overrun
    assert over is not None
    assert over.end is not None
    assert over.end < exported


def test_a_stream_that_stood_idle_before_the_snapshot_has_forgotten_nothing() -> None:
    world = WatchdogHarness()
    world.clock.advance(world.config.retention_hours * 3600 * 2)
    world.round()
    assert world.book().overrun is None
    world.settle(expire=True, floor=1, settled=world.clock.now_micros())
    assert world.after(600)["BufferUsed"] < 0.1
    assert world.book().overrun is None


def test_no_clock_makes_the_share_of_the_retention_negative() -> None:
    world = steady()
    world.settle(expire=True, settled=world.clock.now_micros() + 3_600_000_000)
    assert world.round()["BufferUsed"] == 0.0
