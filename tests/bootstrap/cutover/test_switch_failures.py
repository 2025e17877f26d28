"""A switch whose calls fail while its process lives: it ends switched, or taken back as a whole."""

from __future__ import annotations

import pytest

from bootstrap.core.errors import BootstrapError, SwitchCancelledError
from bootstrap.core.state import State
from bootstrap.journal.switch_records import AfterSwitch
from tests.support.bootstrap.killed_process import Process
from tests.support.bootstrap.switch_faults import (
    Point,
    check_nobody_loses,
    check_switched,
    denied,
    fail,
    firsts,
    lost,
    ready,
    refused_for_now,
    second_operator,
)
from tests.support.bootstrap.switch_world import WriterWatch, a_switch, look_nowhere

pytestmark = pytest.mark.promise("C9")
FOREVER = 1e9
PATIENT = 45.0
"""Seconds: shorter than a lease lasts."""


def ended(watch: WriterWatch, when: str) -> BootstrapError | None:
    """Switch; return the error that it ended with."""
    try:
        a_switch(watch.world).run()
    except BootstrapError as error:
        assert error.fix, when
        return error
    return None


def open_items(watch: WriterWatch) -> tuple[str, ...]:
    """What is reported as open, and does not keep the target from being the primary."""
    with watch.world.unwatched():
        row, _ = Process(watch.world, pid=95).store.read("orders")
    after = row.record(AfterSwitch) if row is not None else None
    return after.failed if after is not None else ()


def check_whole(watch: WriterWatch, error: BootstrapError | None, when: str) -> None:
    """Check that a switch ended switched, or cancelled with everything taken back."""
    watch.then = look_nowhere
    if error is None:
        if open_items(watch):
            a_switch(watch.world, pid=101).run()
        assert not open_items(watch), when
        return check_switched(watch, when)
    state = check_nobody_loses(watch, f"{when}: {error}")
    if isinstance(error, SwitchCancelledError):
        assert state is State.REPLICATING, f"{when}: {error}"
    return None


def check_way_out(watch: WriterWatch, error: BootstrapError | None, when: str) -> None:
    """Check that a command leads on, once what was refused is allowed again."""
    check_whole(watch, error, when)
    state = check_nobody_loses(watch, when)
    if state is State.SWITCHING:
        assert error is not None, when
        assert "switch" in error.fix, f"{when}: {error}"
        assert "--cancel" in error.fix, f"{when}: {error}"
        watch.world.clock.advance(61)
        second_operator(watch.world).cancel()
        assert check_nobody_loses(watch, when) is State.REPLICATING, when
    elif state is State.SWITCHED:
        a_switch(watch.world, pid=101).run()
        check_switched(watch, when)


@pytest.mark.slow
@pytest.mark.matrix
@pytest.mark.parametrize("point", firsts(), ids=str)
def test_an_answer_that_is_lost_is_no_half_switch(point: Point) -> None:
    watch = WriterWatch(ready())
    failed = fail(watch, point.name, point.number, lost, after=True)
    error = ended(watch, str(point))
    assert failed
    check_whole(watch, error, f"lost {point}")


@pytest.mark.slow
@pytest.mark.matrix
@pytest.mark.parametrize("point", firsts(), ids=str)
def test_a_call_that_is_throttled_for_a_while_is_no_half_switch(point: Point) -> None:
    watch = WriterWatch(ready())
    failed = fail(watch, point.name, point.number, refused_for_now, seconds=PATIENT)
    error = ended(watch, str(point))
    assert failed
    check_whole(watch, error, f"throttled {point}")


@pytest.mark.slow
@pytest.mark.matrix
@pytest.mark.parametrize("seconds", [0.0, FOREVER], ids=["once", "forever"])
@pytest.mark.parametrize("point", firsts(), ids=str)
def test_a_call_that_is_denied_leaves_a_way_out(point: Point, seconds: float) -> None:
    watch = WriterWatch(ready())
    failed = fail(watch, point.name, point.number, denied, seconds=seconds)
    error = ended(watch, str(point))
    assert failed
    check_way_out(watch, error, f"denied {point}")
