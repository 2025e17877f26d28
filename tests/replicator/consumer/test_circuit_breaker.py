"""The burst breaker: many bad records at once are no exceptions, and stay in the stream."""

from __future__ import annotations

import itertools

import pytest

from replicator.names import QUARANTINE_REFUSED
from tests.support.replicator.consumer_harness import (
    START,
    ConsumerHarness,
    aggregate,
    document,
    item,
    probe,
    spread,
)

pytestmark = pytest.mark.promise("C3")


@pytest.fixture
def world() -> ConsumerHarness:
    return ConsumerHarness()


@pytest.mark.parametrize(
    ("bad", "good", "trips"), [(10, 0, False), (11, 0, True), (11, 98, True), (11, 99, False)]
)
def test_too_many_bad_records_are_left_in_the_stream(
    world: ConsumerHarness, bad: int, good: int, trips: bool
) -> None:
    batch = [*spread([1] * good), *([b"garbage"] * bad)]
    report = world.handle(*batch)
    if trips:
        assert report == "1000"
        assert world.quarantine() == {}
        assert world.meter.last[QUARANTINE_REFUSED] == bad
    else:
        assert report is None
        assert len(world.quarantine()) == bad


def test_too_many_rejections_are_left_in_the_stream(world: ConsumerHarness) -> None:
    bad = [document(None, item(f"bad{n}", "not a number")) for n in range(11)]
    assert world.handle(*spread([1] * 5), *bad) == "1000"
    assert world.quarantine() == {}
    assert world.handle(*spread([1] * 5), *bad[:10]) is None
    assert len(world.quarantine()) == 10


def test_unreadable_and_rejected_records_trip_the_breaker_together(world: ConsumerHarness) -> None:
    bad = [document(None, item(f"bad{n}", "not a number")) for n in range(6)]
    assert world.handle(*bad, *([b"garbage"] * 6)) == "1000"
    assert world.quarantine() == {}


def test_the_breaker_is_set_by_the_environment(world: ConsumerHarness) -> None:
    world.consumer = world.container(quarantine_burst=2)
    assert world.handle(b"1", b"2", b"3") == "1000"
    assert world.handle(b"1", b"2") is None


def test_a_fault_that_hits_every_change_of_a_quiet_table_drains_nothing_either(
    world: ConsumerHarness,
) -> None:
    """C3: a batch of one or two is never a burst by itself."""
    bad = [document(None, item(f"bad{n}", "not a number")) for n in range(40)]
    reported = [world.handle(each, first=2000 + n) for n, each in enumerate(bad)]
    assert reported == [None] * 10 + [str(n) for n in range(2010, 2040)]
    assert len(world.quarantine()) == 10
    assert world.handle(document(None, item("good")), first=3000) is None
    assert world.meter.last["ChangesApplied"] == 1


def test_a_lane_that_waits_for_what_came_before_it_goes_on_after_minutes(
    world: ConsumerHarness,
) -> None:
    """C3: a dozen records of a quiet table that are each bad in their own way make it late only."""
    for n in range(11):
        world.handle(b"garbage", first=2000 + n)
    assert world.handle(b"garbage", first=2010) == "2010"
    world.clock.advance(601)
    assert world.handle(b"garbage", first=2010) is None
    assert len(world.quarantine()) == 11


def test_what_other_lanes_let_through_keeps_a_batch_waiting_for_minutes_and_not_longer(
    world: ConsumerHarness,
) -> None:
    """C3: ten by themselves are no burst, and one elsewhere every five minutes is no reason."""
    bad = [b"garbage"] * 10
    world.handle(b"garbage", first=2000)
    assert world.handle(*bad, first=3000) == "3000"
    for n in (1, 2):
        world.clock.advance(301)
        world.handle(b"garbage", first=2000 + n)
        reported = world.handle(*bad, first=3000)
    assert reported is None
    assert len(world.quarantine()) == 13


def test_good_records_that_come_again_do_not_make_room_for_bad_ones(world: ConsumerHarness) -> None:
    """C3: a lane that redelivers must not let a systematic fault drain another one."""
    behind = [*spread([1] * 100), document(None, item("x"), table="another")]
    reported = []
    for n in range(40):
        world.handle(*behind, first=9000)
        reported.append(world.handle(document(None, item(f"b{n}", "no number")), first=2000 + n))
    assert sum(each is None for each in reported) <= 20
    assert len(world.quarantine()) <= 20


def test_probes_do_not_make_room_for_bad_records(world: ConsumerHarness) -> None:
    many = [probe(n) for n in range(128)]
    bad = [document(None, item(f"bad{n}", "not a number")) for n in range(12)]
    assert world.handle(*many, *bad) == "1000"
    assert world.quarantine() == {}


def test_bad_records_of_a_busy_table_stay_exceptions(world: ConsumerHarness) -> None:
    for n in range(30):
        batch = [document(None, item(f"k{n}-{m}")) for m in range(20)]
        assert world.handle(b"garbage", *batch, first=10_000 + 100 * n) is None
    assert len(world.quarantine()) == 30


def test_a_bad_record_that_is_delivered_again_counts_once(world: ConsumerHarness) -> None:
    for _ in range(20):
        assert world.handle(b"garbage", b"garbage") is None
    assert len(world.quarantine()) == 2
    for _ in range(2):
        assert world.handle(*[b"garbage"] * 8) is None
    assert len(world.quarantine()) == 8


def test_one_record_never_trips_the_breaker_by_itself(world: ConsumerHarness) -> None:
    """Lambda cannot split it: it would stand in its lane for ever."""
    packed = aggregate(*(document(None, item(f"bad{n}", "not a number")) for n in range(12)))
    assert world.handle(packed) is None
    assert len(world.quarantine()) == 12


def test_doubtful_writes_however_many_never_stop_a_lane(world: ConsumerHarness) -> None:
    """C3: in-order delivery of items that go back within one timestamp; no wait would settle it."""
    there = [document(None, item(f"k{n}", 2)) for n in range(12)]
    back = [document(item(f"k{n}", 2), None) for n in range(12)]
    assert world.handle(*there, *back) is None
    assert [world.value(f"k{n}") for n in range(12)] == [None] * 12
    assert world.reasons() == ["ambiguous-order"] * 12


def test_a_redelivery_of_many_ties_never_stops_a_lane(world: ConsumerHarness) -> None:
    """C3: the first of three changes of one millisecond says nothing about the third."""
    steps = itertools.pairwise([None, 1, 2, 3])
    batch = [
        document(
            item(f"k{n}", old) if old else None, item(f"k{n}", new), START + n * 1000, precision="m"
        )
        for old, new in steps
        for n in range(12)
    ]
    assert world.handle(*batch) is None
    assert world.reasons() == []
    assert world.handle(*batch) is None
    assert [world.value(f"k{n}") for n in range(12)] == ["3"] * 12
    assert set(world.reasons()) == {"ambiguous-order"}


def test_notes_on_order_are_no_part_of_a_burst(world: ConsumerHarness) -> None:
    """C3: they neither trip the breaker for others nor keep it from tripping."""
    there = [document(None, item(f"k{n}", 2)) for n in range(12)]
    back = [document(item(f"k{n}", 2), None) for n in range(12)]
    bad = [document(None, item(f"bad{n}", "not a number")) for n in range(11)]
    assert world.handle(*there, *back, *bad[:10]) is None
    assert len(world.quarantine()) == 22
    assert world.handle(*there, *back, *bad, first=3000) == "3000"
    assert len(world.quarantine()) == 22


def test_no_probe_passes_when_the_breaker_trips(world: ConsumerHarness) -> None:
    world.handle(probe(), *([b"garbage"] * 11))
    assert world.rows() == []


def test_a_tripped_breaker_names_the_first_record_of_the_batch(world: ConsumerHarness) -> None:
    assert world.handle(*[b"garbage"] * 11) == "1000"
    [ended] = [entry for entry in world.log if entry.getMessage() == "Ended"]
    assert (ended.sequenceNumber, ended.why) == ("1000", "too many records for quarantine")
