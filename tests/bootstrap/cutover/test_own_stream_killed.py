"""A switch that dies while it has its consumer off: its end has the consumer as it is to be."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import pytest

from bootstrap.core.errors import BlockedError, LeaseLostError, SwitchCancelledError
from bootstrap.core.state import State
from bootstrap.journal.switch_records import SwitchStep
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.switch_faults import (
    Point,
    SuspendedClock,
    change_at,
    check_nobody_loses,
    check_switched,
    kill,
    ready,
    second_operator,
    suspend,
)
from tests.support.bootstrap.switch_world import (
    WriterWatch,
    a_switch,
    look_nowhere,
    with_own_stream,
)
from tests.support.fakes.errors import Killed

pytestmark = pytest.mark.promise("C9")


@functools.cache
def _replica() -> FakeAws:
    return with_own_stream(ready())


def a_world() -> FakeAws:
    return _replica().copied()


@functools.cache
def gate_changes() -> Sequence[Point]:
    """The changes of a switch that nothing disturbs, from its gate up to the target's opening."""
    world, found = a_world(), list[Point]()
    run = a_switch(world)

    def note(number: int, name: str, after: bool) -> None:
        step = run.progress().step
        if after and step in (SwitchStep.GATE, SwitchStep.COMMIT):
            found.append(Point(number, name, step, change_at(world.seen[-1])))

    world.on_call = note
    run.run()
    return [each for each in found if each.changes]


def check_consumer(watch: WriterWatch, when: str) -> None:
    """The consumer is on exactly while the table is a replica."""
    state = check_nobody_loses(watch, when)
    assert state in (State.REPLICATING, State.SWITCHED), when
    assert watch.world.own_stream is not None
    assert watch.world.own_stream.mapping_on is (state is State.REPLICATING), when


def same_again(watch: WriterWatch, when: str) -> None:
    a_switch(watch.world, pid=101).run()
    check_switched(watch, when)
    check_consumer(watch, when)


def cancelled_elsewhere(watch: WriterWatch, when: str) -> None:
    watch.world.clock.advance(61)
    try:
        second_operator(watch.world).cancel()
    except BlockedError as error:
        assert "committed" in error.what, when
        second_operator(watch.world).run()
    check_consumer(watch, when)


ENDS = (same_again, cancelled_elsewhere)


def die_and_end(point: Point, after: bool, end: Callable[[WriterWatch, str], None]) -> None:
    watch = WriterWatch(a_world())
    kill(watch, point, after)
    with pytest.raises(Killed):
        a_switch(watch.world).run()
    watch.then = look_nowhere
    watch.world.alive.clear()
    end(watch, f"killed {'after' if after else 'before'} {point}")


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
@pytest.mark.parametrize("name", ["UpdateItem", "disable_mapping", "PutResourcePolicy"])
def test_a_death_with_the_consumer_off_ends_with_it_as_it_is_to_be(
    name: str, end: Callable[[WriterWatch, str], None]
) -> None:
    """Behind the gate, behind the mapping, and behind the commit."""
    die_and_end(next(each for each in gate_changes() if each.name == name), True, end)


@pytest.mark.slow
@pytest.mark.matrix
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_death_at_any_change_from_the_gate_on_ends_with_it_as_it_is_to_be(
    after: bool, end: Callable[[WriterWatch, str], None]
) -> None:
    points = gate_changes()
    assert {"disable_mapping", "UpdateItem", "TransactWriteItems"} <= {each.name for each in points}
    for point in points:
        die_and_end(point, after, end)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_cancel_that_dies_as_it_switches_the_consumer_on_is_repeated(after: bool) -> None:
    watch = WriterWatch(a_world())
    world = watch.world
    stream = world.own_stream
    assert stream is not None

    def disturb(number: int, name: str, after_it: bool) -> None:
        if name == "disable_mapping" and after_it and not late:
            late.append(stream.write(world.clock()))
        if dead or (late and name == "enable_mapping" and after_it is after):
            dead.append(name)
            raise Killed(name)

    late: list[object] = []
    dead: list[str] = []
    watch.then = disturb
    with pytest.raises(Killed):
        a_switch(world).run()
    watch.then = look_nowhere
    world.alive.clear()
    assert watch.takes_writes()[1] is False
    world.clock.advance(61)
    second_operator(world).cancel()
    check_consumer(watch, "cancelled twice")


def test_a_cancel_waits_for_a_mapping_that_is_still_being_switched_off() -> None:
    watch = WriterWatch(a_world())
    world = watch.world

    def interrupt(number: int, name: str, after: bool) -> None:
        if name == "disable_mapping" and after and not done:
            done.append(world.clock())
            raise KeyboardInterrupt

    done: list[float] = []
    watch.then = interrupt
    with pytest.raises(SwitchCancelledError, match="interrupted"):
        a_switch(world).run()
    assert world.times("enable_mapping")[-1] >= done[0] + 20
    check_consumer(watch, "interrupted")


def asleep(meanwhile: Callable[[FakeAws], None]) -> WriterWatch:
    """A switch whose machine slept as it switched the consumer off, while another one worked."""
    watch = WriterWatch(a_world())
    clock = SuspendedClock(watch.world.clock)
    run = a_switch(watch.world, clock=clock)
    point = next(each for each in gate_changes() if each.name == "disable_mapping")
    frozen = suspend(watch, point, clock, lambda: meanwhile(watch.world))
    with pytest.raises(LeaseLostError):
        run.run()
    assert frozen
    return watch


def test_a_consumer_that_is_switched_off_in_sleep_harms_no_other_switch() -> None:
    watch = asleep(lambda world: second_operator(world).run(take_over=True))
    check_switched(watch, "asleep")


def test_a_consumer_that_is_switched_off_after_a_cancel_leaves_one_writer() -> None:
    """Its detector reports it, and `run` switches it on: nothing is lost for a day."""
    watch = asleep(lambda world: second_operator(world).cancel(take_over=True))
    assert check_nobody_loses(watch, "asleep", tidy=False) is State.REPLICATING
    assert watch.takes_writes() == (True, False)
    second_operator(watch.world).run(take_over=True)
    check_switched(watch, "switched after it")
