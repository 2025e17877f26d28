"""A switch whose process dies at any of its calls: never two tables open, and a way to an end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from bootstrap.core.errors import BlockedError
from bootstrap.core.state import State
from bootstrap.journal.switch_records import SwitchMode
from tests.support.bootstrap.fake_aws import SOURCE_ARN
from tests.support.bootstrap.switch_faults import (
    Point,
    check_nobody_loses,
    check_switched,
    kill,
    points,
    ready,
    second_operator,
)
from tests.support.bootstrap.switch_states import record
from tests.support.bootstrap.switch_world import (
    WriterWatch,
    a_switch,
    attempt_of,
    look_nowhere,
)
from tests.support.fakes.errors import Killed

pytestmark = pytest.mark.promise("C9")
FENCE, STOPPED = SwitchMode.FENCE, SwitchMode.WRITES_STOPPED


def killed(point: Point, after: bool, mode: SwitchMode = FENCE) -> WriterWatch:
    """A world in which a switch has died at this call."""
    watch = WriterWatch(ready())
    kill(watch, point, after)
    with pytest.raises(Killed):
        a_switch(watch.world, mode=mode).run()
    watch.then = look_nowhere
    watch.world.alive.clear()
    return watch


def same_again(watch: WriterWatch, when: str) -> None:
    a_switch(watch.world, pid=101).run()
    check_switched(watch, when)


def cancelled_elsewhere(watch: WriterWatch, when: str) -> None:
    """Another operator cancels, once the lease has expired."""
    watch.world.clock.advance(61)
    try:
        second_operator(watch.world).cancel()
    except BlockedError as error:
        assert error.what.startswith("No switch") or "committed" in error.what, when
    state = check_nobody_loses(watch, when)
    assert state in (State.REPLICATING, State.SWITCHED), when
    if state is State.SWITCHED:
        second_operator(watch.world).run()
        check_switched(watch, when)


def left_alone(watch: WriterWatch, when: str) -> None:
    """Before the seal the source opens by itself; afterwards one command opens either."""
    for _ in range(60):
        watch.world.clock.advance(60)
    state = check_nobody_loses(watch, when)
    source, _ = watch.takes_writes()
    if state is State.SWITCHING:
        statements = watch.world.policies.statements(SOURCE_ARN)
        sealed = any("DateLessThan" not in each["Condition"] for each in statements)
        assert source is not sealed, when
    cancelled_elsewhere(watch, when)


ENDS = (same_again, cancelled_elsewhere, left_alone)
MOMENTS = [
    pytest.param(point, after, id=f"{'after' if after else 'before'} {point}")
    for point in points()
    if point.changes
    for after in (False, True)
]
COMMITS = [each for each in points() if each.changes and each.name.endswith("Policy")]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
@pytest.mark.parametrize("point", COMMITS, ids=str)
def test_a_switch_that_dies_with_a_policys_change_has_one_writer(
    point: Point, end: Callable[[WriterWatch, str], None]
) -> None:
    end(killed(point, after=True), f"killed after {point}")


def test_a_table_of_a_set_whose_other_one_was_promoted_is_taken_back_without_it() -> None:
    seal = next(each for each in COMMITS if each.step == "seal")
    watch = killed(seal, after=True)
    watch.world.clock.advance(61)
    both = dataclasses.replace(attempt_of(watch.world), tables=("customers", "orders"))
    record(watch.world, State.SWITCHING, both)
    with pytest.raises(BlockedError, match="one of all of them or none"):
        second_operator(watch.world).cancel()
    record(watch.world, State.PROMOTED, table="customers")
    second_operator(watch.world).cancel()
    assert check_nobody_loses(watch, "half promoted") is State.REPLICATING
    assert watch.takes_writes() == (True, False)


@pytest.mark.slow
@pytest.mark.matrix
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
@pytest.mark.parametrize(("point", "after"), MOMENTS)
def test_a_switch_that_dies_anywhere_has_one_writer(
    point: Point, after: bool, end: Callable[[WriterWatch, str], None]
) -> None:
    end(killed(point, after), f"killed {'after' if after else 'before'} {point}")
