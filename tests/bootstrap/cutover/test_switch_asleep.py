"""A laptop that sleeps in the middle of a switch, while another operator cancels or switches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from bootstrap.core.errors import (
    AccountError,
    BlockedError,
    BootstrapError,
    Side,
    SwitchCancelledError,
)
from bootstrap.core.journal_rows import RowWrite
from bootstrap.core.state import State
from bootstrap.cutover.switch.before_commit import PROOF_SECONDS, PROOF_SECONDS_OF_A_TABLE
from bootstrap.cutover.switch.switch import Switch
from tests.support.bootstrap.fake_aws import SOURCE_ARN, FakeAws
from tests.support.bootstrap.switch_faults import (
    HOUR,
    Point,
    SuspendedClock,
    check_nobody_loses,
    check_switched,
    points,
    ready,
    second_operator,
    state_of,
    suspend,
)
from tests.support.bootstrap.switch_world import WriterWatch, a_switch, attempt_of, look_nowhere

pytestmark = pytest.mark.promise("C9")


def cancels(world: FakeAws) -> None:
    with suppress(BlockedError):
        second_operator(world).cancel(take_over=True)


def switches(world: FakeAws) -> None:
    second_operator(world).run(take_over=True)


def asleep(point: Point, meanwhile: Callable[[FakeAws], None]) -> WriterWatch:
    """A switch whose machine slept at this call while another operator worked."""
    watch = WriterWatch(ready())
    clock = SuspendedClock(watch.world.clock)
    first = a_switch(watch.world, clock=clock)
    frozen = suspend(watch, point, clock, lambda: meanwhile(watch.world))
    with suppress(BootstrapError):
        first.run()
    assert frozen
    return watch


MOMENTS = [each for each in points() if each.changes]
PUTS = [each for each in MOMENTS if each.name == "PutResourcePolicy"]
COMMIT = next(each for each in reversed(MOMENTS) if each.step == "gate")


def check_cancelled(watch: WriterWatch, point: Point) -> None:
    when = f"asleep before {point}"
    state = check_nobody_loses(watch, when, tidy=False)
    assert state in (State.REPLICATING, State.SWITCHED), when
    if state is State.REPLICATING:
        assert watch.takes_writes() == (True, False), when
    second_operator(watch.world).run(take_over=True)
    check_switched(watch, when)


@pytest.mark.parametrize("point", PUTS, ids=str)
def test_a_policys_change_that_was_asleep_opens_nothing_after_a_cancel(point: Point) -> None:
    check_cancelled(asleep(point, cancels), point)


@pytest.mark.slow
@pytest.mark.matrix
@pytest.mark.parametrize("point", MOMENTS, ids=str)
def test_a_call_that_was_asleep_harms_no_cancel_and_no_switch_after_it(point: Point) -> None:
    check_cancelled(asleep(point, cancels), point)


@pytest.mark.slow
@pytest.mark.matrix
@pytest.mark.parametrize("point", MOMENTS, ids=str)
def test_a_call_that_was_asleep_harms_no_other_switch(point: Point) -> None:
    watch = asleep(point, switches)
    check_switched(watch, f"asleep before {point}")


def sleeping(point: Point, seconds: float) -> tuple[WriterWatch, Switch]:
    """A switch whose machine sleeps at this call, and no other process works."""
    watch = WriterWatch(ready())
    clock = SuspendedClock(watch.world.clock)
    suspend(watch, point, clock, lambda: watch.world.clock.advance(seconds))
    return watch, a_switch(watch.world, clock=clock)


def policy_put(step: str) -> Point:
    return next(each for each in PUTS if each.step == step)


@pytest.mark.parametrize("step", ["arm", "seal"])
def test_a_deny_that_was_put_too_late_is_taken_back(step: str) -> None:
    watch, run = sleeping(policy_put(step), HOUR)
    with pytest.raises(SwitchCancelledError, match=r"too late|too soon"):
        run.run()
    assert check_nobody_loses(watch, step) is State.REPLICATING


BEFORE_COMMIT = points()[points().index(COMMIT) - 1]
"""The journal's read, from which on nothing is waited for."""


def test_a_commit_rests_on_no_proof_from_before_a_sleep() -> None:
    assert BEFORE_COMMIT.name == "GetItem"
    watch, run = sleeping(BEFORE_COMMIT, 400)
    run.run()
    check_switched(watch, "asleep before the commit")
    committed_at, most = (
        attempt_of(watch.world).committed_at,
        PROOF_SECONDS + PROOF_SECONDS_OF_A_TABLE,
    )
    assert committed_at - run.group.first.memory.proved_at <= most
    assert committed_at - watch.world.times("put_probes")[-1] <= most, "no probe is of before it"


@pytest.mark.parametrize(("step", "member"), [("prepare", "armed"), ("gate", "closed")])
def test_a_change_of_the_settings_that_was_asleep_counts_from_when_it_was_made(
    step: str, member: str
) -> None:
    point = next(each for each in MOMENTS if (each.step, each.name) == (step, "UpdateItem"))
    watch = WriterWatch(ready())
    clock, woke = SuspendedClock(watch.world.clock), list[float]()

    def sleep() -> None:
        watch.world.clock.advance(400)
        woke.append(watch.world.clock())

    suspend(watch, point, clock, sleep)
    a_switch(watch.world, clock=clock).run()
    attempt = attempt_of(watch.world)
    noted = attempt.armed_at if member == "armed" else attempt.gate_at
    assert noted >= int(woke[0])


def test_a_switch_that_slept_over_its_timeout_is_cancelled() -> None:
    watch, run = sleeping(BEFORE_COMMIT, HOUR)
    with pytest.raises(SwitchCancelledError, match="not committed within"):
        run.run()
    assert check_nobody_loses(watch, "asleep over the timeout") is State.REPLICATING


def test_a_commit_that_arrives_after_the_cancel_changes_nothing() -> None:
    watch = WriterWatch(ready())
    run = a_switch(watch.world)
    store = run.group.first.store
    write_all, late = store.write_all, list[RowWrite]()

    def on_its_way(writes: Sequence[RowWrite]) -> bool:
        if writes[0].change.state is State.SWITCHED:
            late.extend(writes)
            raise AccountError(Side.TARGET, "no answer", fix="-")
        return write_all(writes)

    store.write_all = on_its_way  # type: ignore[method-assign]
    with pytest.raises(SwitchCancelledError):
        run.run()
    assert late
    assert not write_all(late)
    assert state_of(watch.world) is State.REPLICATING
    assert check_nobody_loses(watch, "a late commit") is State.REPLICATING


def test_what_a_sleeping_process_has_armed_does_not_stop_the_next_switch() -> None:
    (arm,) = (each for each in MOMENTS if each.step == "prepare" and each.name == "UpdateItem")
    watch = asleep(arm, cancels)
    assert "armed" in watch.world.ledger_settings()
    a_switch(watch.world, pid=300).run(take_over=True)
    check_switched(watch, str(arm))


def test_what_a_sleeping_process_has_armed_is_taken_off_by_a_cancel() -> None:
    (arm,) = (each for each in MOMENTS if each.step == "prepare" and each.name == "UpdateItem")
    watch = asleep(arm, cancels)
    a_switch(watch.world, pid=300).cancel(take_over=True)
    assert check_nobody_loses(watch, str(arm)) is State.REPLICATING
    with pytest.raises(BlockedError, match="No switch"):
        a_switch(watch.world, pid=301).cancel(take_over=True)


def test_a_rehearsal_of_a_sleeping_process_does_not_stop_the_next_switch() -> None:
    watch = asleep(policy_put("prepare"), cancels)
    assert watch.world.policies.statements(SOURCE_ARN)
    a_switch(watch.world, pid=300).run(take_over=True)
    check_switched(watch, "a rehearsal is left")


def test_a_rehearsal_of_a_sleeping_process_does_not_stop_the_next_cancel() -> None:
    watch = asleep(policy_put("prepare"), cancels)

    def interrupt(number: int, name: str, after: bool) -> None:
        if name == "PutResourcePolicy":
            watch.then = look_nowhere
            raise KeyboardInterrupt

    watch.then = interrupt
    with pytest.raises(SwitchCancelledError, match="interrupted"):
        a_switch(watch.world, pid=300).run(take_over=True)
    assert check_nobody_loses(watch, "a rehearsal is left") is State.REPLICATING
