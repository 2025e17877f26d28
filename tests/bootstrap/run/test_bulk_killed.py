"""A bulk load that was killed at any call is resumed, and neither made nor paid for twice (C6)."""

from __future__ import annotations

import pytest

from bootstrap.core.run_options import Goal, RunOptions
from tests.support.bootstrap.fake_aws import outputs
from tests.support.bootstrap.kill_points import (
    calls_of_a_bulk_run,
    check_bulk,
    finish,
    kill_at,
    quick_bulk,
)
from tests.support.bootstrap.killed_process import Process
from tests.support.fakes.errors import Killed

pytestmark = pytest.mark.promise("C6")

BULK = outputs(load="bulk")
OWN = ("create_table", "start_bulk", "describe_bulk", "list_bulk", "list_objects", "target_tags")


def moments() -> list[tuple[int, bool]]:
    """Before and after the first and last of each call that only a bulk load makes, and before and
    after the journal's write that precedes or follows it.
    """
    calls = calls_of_a_bulk_run()
    found: set[int] = set()
    for name in OWN:
        at = [number for number, each in enumerate(calls, 1) if each == name]
        for number in at[:1] + at[-1:]:
            found |= {number - 1, number, number + 1, number + 2}
    return [(number, after) for number in sorted(found) for after in (False, True)]


def test_the_calls_of_a_bulk_run_are_those_that_are_killed() -> None:
    assert {"create_table", "start_bulk", "describe_bulk", "list_bulk"} <= set(
        calls_of_a_bulk_run()
    )


def test_killed_at_any_call_a_second_run_replicates_with_one_table_and_one_load() -> None:
    for number, after in moments():
        world = quick_bulk()
        kill_at(world, number, after)
        with pytest.raises(Killed):
            Process(world, pid=1, chosen=BULK).go()
        process = finish(world, pid=2, chosen=BULK)
        check_bulk(world, process, f"killed {'after' if after else 'before'} call {number}")


@pytest.mark.parametrize("hours", [1, 7.5, 9, 24 * 30])
@pytest.mark.parametrize("call", ["create_table", "start_bulk"])
def test_a_table_or_a_load_whose_answer_was_lost_is_found_however_late(
    call: str, hours: float
) -> None:
    world = quick_bulk()
    kill_at(world, calls_of_a_bulk_run().index(call) + 1, after_the_work=True)
    with pytest.raises(Killed):
        Process(world, pid=1, chosen=BULK).go()
    world.clock.advance(hours * 3_600)
    process = finish(world, pid=2, chosen=BULK)
    check_bulk(world, process, f"{call}, {hours} hours later")


def test_an_operation_that_outlives_its_caller_and_its_repetition_keeps_the_consumer_off() -> None:
    """Its answer is lost for longer than its token holds, and it is not listed yet by then."""
    world = quick_bulk()
    kill_at(world, calls_of_a_bulk_run().index("start_bulk") + 1, after_the_work=True)
    with pytest.raises(Killed):
        Process(world, pid=1, chosen=BULK).go()
    (first,) = world.bulk.operations
    world.bulk.seconds_of["0001"] = 24 * 3_600
    world.bulk.listed_after = 9 * 3_600 + 20
    world.clock.advance(9 * 3_600)
    Process(world, pid=2, chosen=BULK).go()
    second = list(world.bulk.operations)[1]
    assert world.bulk.end(second) < world.bulk.end(first)
    assert min(world.times("enable_mapping")) >= world.bulk.end(first)


def test_a_killed_abandon_cancels_the_load_all_the_same() -> None:
    world = quick_bulk()
    world.bulk.seconds = 3_600
    kill_at(world, calls_of_a_bulk_run().index("start_bulk") + 1, after_the_work=True)
    with pytest.raises(Killed):
        Process(world, pid=1, chosen=BULK).go()

    def watch(number: int, name: str, after: bool) -> None:
        if name == "cancel_bulk" and not after:
            raise Killed(name)

    world.on_call = watch
    options = RunOptions(goal=Goal.ABANDON)
    with pytest.raises(Killed):
        Process(world, pid=2, chosen=BULK, options=options).go()
    world.on_call = lambda number, name, after: None
    Process(world, pid=3, chosen=BULK, options=options).go()
    (operation,) = world.bulk.operations.values()
    assert operation.cancelled_at is not None
