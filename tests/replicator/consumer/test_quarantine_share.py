"""In an adopted stream: what others break, and what a systematic fault breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from replicator.names import QUARANTINE_REFUSED
from tests.support.replicator.consumer_harness import (
    ConsumerHarness,
    aggregate,
    as_bytes,
    document,
    item,
    probe,
    spread,
)

pytestmark = pytest.mark.promise("C3")


@pytest.fixture
def world() -> ConsumerHarness:
    found = ConsumerHarness()
    found.consumer = found.container(adopted_stream=True)
    return found


def others(count: int) -> list[Any]:
    """Changes of another table."""
    return [document(None, item(f"x{n}"), table="customers") for n in range(count)]


def own(count: int) -> list[dict[str, Any]]:
    return [document(None, item(f"k{n}")) for n in range(count)]


def cut(count: int) -> list[bytes]:
    """Changes of this table that no reader of JSON takes."""
    return [as_bytes(each)[:-1] for each in own(count)]


@pytest.mark.parametrize(
    ("garbage", "foreign", "trips"), [(10, 0, False), (11, 98, True), (11, 99, False)]
)
def test_what_names_no_table_is_compared_with_the_records_of_all_tables(
    world: ConsumerHarness, garbage: int, foreign: int, trips: bool
) -> None:
    assert world.handle(*others(foreign), *[b"tick"] * garbage) == ("1000" if trips else None)
    assert len(world.quarantine()) == (0 if trips else garbage)
    assert (world.meter.last.get(QUARANTINE_REFUSED) == garbage) is trips


def test_others_broken_records_over_many_batches_do_not_stop_a_quiet_tables_lane(
    world: ConsumerHarness,
) -> None:
    for n in range(30):
        first = 2000 + 100 * n
        assert world.handle(*others(20), b"tick", *own(1), first=first) is None
    assert len(world.quarantine()) == 30
    assert {each["data"] for each in world.quarantine().values()} == {"dGljaw=="}  # kept whole


def test_the_log_says_who_is_to_be_looked_for(world: ConsumerHarness) -> None:
    assert world.handle(*[b"tick"] * 11) == "1000"
    [line] = [each for each in world.log if each.getMessage().startswith("Too many records")]
    assert "that do not name the table" in line.getMessage()
    assert "Try: find the application" in line.getMessage()


@pytest.mark.parametrize(
    "bad",
    [
        lambda: cut(11),
        lambda: [document(None, item(f"bad{n}", "not a number")) for n in range(11)],
        lambda: [{"table": {"name": "orders"}, "new": {"format": n}} for n in range(11)],
        lambda: [aggregate(each)[:-1] + b"?" for each in own(11)],
    ],
    ids=["broken JSON", "rejected", "a new format", "broken aggregates"],
)
def test_a_fault_of_this_tables_records_stops_its_lane_however_many_others_pass(
    world: ConsumerHarness, bad: Callable[[], list[Any]]
) -> None:
    assert world.handle(*others(900), *own(5), *bad()) == "1000"
    assert world.quarantine() == {}


def test_others_broken_records_do_not_hide_a_fault_of_this_tables(world: ConsumerHarness) -> None:
    assert world.handle(*others(300), *[b"tick"] * 20, *own(98), *cut(11)) == "1000"
    assert world.handle(*others(300), *[b"tick"] * 20, *own(99), *cut(11)) is None


def test_a_new_format_of_every_tables_records_that_hides_their_names_leaves_them_in_the_stream(
    world: ConsumerHarness,
) -> None:
    """C3: the lanes of a busy stream let through a tenth of what passed in ten minutes at most."""
    assert world.handle(*others(380), *own(20)) is None
    for n in range(100):
        world.handle(*[b"\x1f\x8b" + bytes([n])] * 5, first=5000 + 5 * n)
    assert 0 < len(world.quarantine()) <= 400 // 9
    assert world.meter.last[QUARANTINE_REFUSED] > 0


def test_probes_do_not_make_room_for_what_names_no_table(world: ConsumerHarness) -> None:
    assert world.handle(*[probe(n) for n in range(128)], *[b"tick"] * 11) == "1000"


def test_in_a_stream_of_the_stacks_own_every_bad_record_is_this_tables(
    world: ConsumerHarness,
) -> None:
    world.consumer = world.container()
    assert world.handle(*others(900), *spread([1] * 98), *[b"tick"] * 11) == "1000"
    assert world.quarantine() == {}
