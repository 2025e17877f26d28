"""A switch among others: late writes, policies of their owners, old code, and Ctrl-C."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from bootstrap.core.errors import BootstrapError, ExecFailedError, SwitchCancelledError
from bootstrap.core.state import State
from bootstrap.core.write_deny import canonical, project_statements
from bootstrap.cutover.switch.switch import Switch
from bootstrap.journal.switch_records import (
    AfterSwitch,
    GateGap,
    Switching,
    SwitchMode,
    SwitchStep,
    TargetDeny,
)
from replicator.lane_rows import index_key
from replicator.late_write_rows import LateWritesRow
from tests.support.bootstrap.fake_aws import LEDGER, SOURCE_ARN, TARGET_ARN, FakeAws
from tests.support.bootstrap.killed_process import Process
from tests.support.bootstrap.switch_faults import (
    SuspendedClock,
    check_nobody_loses,
    check_switched,
    firsts,
    ready,
)
from tests.support.bootstrap.switch_world import WriterWatch, a_switch, attempt_of, look_nowhere

pytestmark = pytest.mark.promise("C9")
STEPS = [each for each in SwitchStep if each is not SwitchStep.COMMIT]


def once_in(watch: WriterWatch, run: Switch, step: str, work: Callable[[], object]) -> list[float]:
    """Do something at the first call of a step. Return when it was done."""
    done: list[float] = []

    def look(number: int, name: str, after: bool) -> None:
        if run.progress().step == step and attempt_step(run) == step and not done:
            done.append(watch.world.clock())
            with watch.world.unwatched():
                work()

    watch.then = look
    return done


def attempt_step(run: Switch) -> str:
    """The step that the journal has."""
    journal = run.group.first.journal
    return run.group.attempt.step if journal.row.state is State.SWITCHING else ""


def cancelled(run: Switch, match: str | None = None) -> SwitchCancelledError:
    with pytest.raises(SwitchCancelledError, match=match) as caught:
        run.run()
    assert caught.value.exit_code == 7
    return caught.value


def record_of(world: FakeAws, kind: Any) -> Any:
    with world.unwatched():
        row, _ = Process(world, pid=95).store.read("orders")
    assert row is not None
    return row.record(kind)


# -- late writes -------------------------------------------------------------------------------


def note(world: FakeAws, *, changes: int = 0, newest: float = 0, deletions: int = 0) -> None:
    """Note late writes as the consumer does."""
    row = LateWritesRow(
        nonce=attempt_of(world).nonce,
        shard_id="shard-0",
        at=world.clock.now_micros(),
        changes=changes,
        newest=round(newest * 1e6),
        deletions=deletions,
    )
    index = {"k": {"B": index_key(row.at)}, "shards": {"SS": ["shard-0"]}}
    with world.unwatched():
        world.dynamodb.put_item(TableName=LEDGER, Item=index)
        world.dynamodb.put_item(TableName=LEDGER, Item=row.to_item())


def test_a_late_write_moves_the_mark_and_is_drained() -> None:
    watch = WriterWatch(ready())
    world, run = watch.world, a_switch(watch.world)

    def late() -> None:
        marks.append(mark_of(world))
        note(world, changes=1, newest=marks[0] + 20)

    marks: list[int] = []
    done = once_in(watch, run, SwitchStep.DRAIN, late)
    run.run()
    check_switched(watch, "a late write")
    assert done
    assert attempt_of(world).mark > marks[0] + 20
    assert mark_of(world) == attempt_of(world).mark
    drained = [each for each in world.times("put_probes") if each > attempt_of(world).mark]
    assert drained, "the drain begins anew behind the moved mark"


def mark_of(world: FakeAws) -> int:
    """The mark in the settings, in epoch seconds."""
    return int(world.ledger_settings()["mark"]["N"]) // 1_000_000


def test_a_write_at_the_mark_moves_nothing() -> None:
    watch = WriterWatch(ready())
    world, run = watch.world, a_switch(watch.world)
    done = once_in(
        watch, run, SwitchStep.DRAIN, lambda: note(world, changes=1, newest=attempt_of(world).mark)
    )
    run.run()
    check_switched(watch, "a write at the mark")
    assert done
    attempt = attempt_of(world)
    assert attempt.mark == attempt.closes + 60


def test_writes_that_never_end_cancel_a_switch_at_its_timeout() -> None:
    watch = WriterWatch(ready())
    world, run = watch.world, a_switch(watch.world)

    def always(number: int, name: str, after: bool) -> None:
        if attempt_step(run) == SwitchStep.DRAIN and name == "BatchGetItem" and not after:
            note(world, changes=number, newest=world.clock())

    watch.then = always
    cancelled(run, "not committed within")
    watch.then = look_nowhere
    assert check_nobody_loses(watch, "late writes") is State.REPLICATING
    attempt = attempt_of(world)
    assert attempt.cancelled_at - attempt.closes < attempt.timeout + 60


def test_a_change_that_meets_the_closed_gate_cancels() -> None:
    watch = WriterWatch(ready())
    world, run = watch.world, a_switch(watch.world)
    done = once_in(
        watch, run, SwitchStep.GATE, lambda: note(world, changes=1, newest=world.clock())
    )
    error = cancelled(run, "arrived after the drain")
    assert done
    assert "quarantine list" in error.fix
    assert check_nobody_loses(watch, "in the gate") is State.REPLICATING


def test_deletions_behind_the_gate_are_counted_and_left_to_time_to_live() -> None:
    watch = WriterWatch(ready())
    run = a_switch(watch.world)
    once_in(watch, run, SwitchStep.GATE, lambda: note(watch.world, deletions=3))
    run.run()
    check_switched(watch, "deletions by time to live")
    assert attempt_of(watch.world).left_to_ttl == 3


def test_a_cancel_notes_the_deletions_that_the_gate_left_out() -> None:
    watch = WriterWatch(ready())
    run = a_switch(watch.world, check_command="check", run_command=lambda *_: 1)
    once_in(watch, run, SwitchStep.GATE, lambda: note(watch.world, deletions=3))
    cancelled(run, "exit code 1")
    gap = record_of(watch.world, GateGap)
    assert gap.deletions == 3
    assert gap.begin <= attempt_of(watch.world).gate_at <= gap.end
    assert check_nobody_loses(watch, "deletions") is State.REPLICATING


@pytest.mark.promise("C7")
def test_a_gate_that_closed_without_a_record_of_it_leaves_a_gap_too() -> None:
    watch = WriterWatch(ready())
    run = a_switch(watch.world)

    def interrupt(number: int, name: str, after: bool) -> None:
        settings = watch.world.ledger_settings()
        if after and name == "UpdateItem" and "closed" in settings and not gap_noted:
            gap_noted.append(number)
            note(watch.world, deletions=2)
            raise KeyboardInterrupt

    gap_noted: list[int] = []
    watch.then = interrupt
    cancelled(run, "interrupted")
    assert attempt_of(watch.world).gate_at == 0
    assert record_of(watch.world, GateGap).deletions == 2


# -- policies ----------------------------------------------------------------------------------

THEIRS: Mapping[str, Any] = {
    "Sid": "Theirs",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::333333333333:root"},
    "Action": "dynamodb:GetItem",
    "Resource": "*",
}


def take_off(document: str | None) -> str | None:
    """Another owner takes all of ours off."""
    return None


def keep_only_theirs(document: str | None) -> str | None:
    return json.dumps({"Version": "2012-10-17", "Statement": THEIRS})


def add_theirs(document: str | None) -> str | None:
    policy = json.loads(document) if document else {"Version": "2012-10-17", "Statement": []}
    found = policy["Statement"]
    statements = [found] if isinstance(found, dict) else found
    return json.dumps({**policy, "Statement": [THEIRS, *statements]})


def weaken(document: str | None) -> str | None:
    """Another owner excepts a role of theirs from each Deny."""
    if document is None:
        return None
    policy = json.loads(document)
    excepted = {"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::111111111111:role/x"}}
    for each in policy["Statement"]:
        if each["Effect"] == "Deny":
            each["Condition"] = {**each.get("Condition", {}), **excepted}
    return json.dumps(policy)


REWRITES = (take_off, keep_only_theirs, add_theirs, weaken)


@pytest.mark.slow
@pytest.mark.matrix
@pytest.mark.parametrize("rewrite", REWRITES, ids=lambda each: each.__name__)
@pytest.mark.parametrize("arn", [SOURCE_ARN, TARGET_ARN], ids=["source", "target"])
@pytest.mark.parametrize("step", STEPS)
def test_a_policy_that_another_owner_rewrites_ends_no_switch_half(
    step: str, arn: str, rewrite: Callable[[str | None], str | None]
) -> None:
    watch = WriterWatch(ready())
    run = a_switch(watch.world)
    done = once_in(watch, run, step, lambda: watch.world.policies.rewrite(arn, rewrite))
    error = None
    try:
        run.run()
    except BootstrapError as raised:
        error = raised
    assert done
    watch.then = look_nowhere
    # Whom the owner lets in is not this switch's doing.
    opened = [each for each in watch.both_open if rewrite is add_theirs]
    when = f"{rewrite.__name__} in {step}: {error}"
    assert not opened, when
    watch.both_open.clear()
    state = check_nobody_loses(watch, when)
    if error is None:
        check_switched(watch, when)
    else:
        assert isinstance(error, SwitchCancelledError), when
        assert state is State.REPLICATING, when
    if rewrite in (add_theirs, keep_only_theirs):
        assert THEIRS in watch.world.policies.statements(arn), when
    if rewrite is add_theirs:
        assert error is None, when


@pytest.mark.parametrize(("step", "arn"), [("gate", SOURCE_ARN), ("drain", TARGET_ARN)])
def test_a_deny_that_another_owner_took_off_cancels(step: str, arn: str) -> None:
    watch = WriterWatch(ready())
    run = a_switch(watch.world)
    once_in(watch, run, step, lambda: watch.world.policies.rewrite(arn, take_off))
    cancelled(run, "another caller")
    watch.both_open.clear()  # by the owner's hand
    assert check_nobody_loses(watch, step) is State.REPLICATING


@pytest.mark.promise("C10")
def test_a_target_that_lost_its_deny_in_a_switch_is_verified_anew() -> None:
    watch = WriterWatch(ready())
    run = a_switch(watch.world)
    before = record_of(watch.world, TargetDeny).at
    once_in(watch, run, "drain", lambda: watch.world.policies.rewrite(TARGET_ARN, take_off))
    cancelled(run)
    assert record_of(watch.world, TargetDeny).at > before
    with pytest.raises(BootstrapError, match="verified-since-deny"):
        a_switch(watch.world, pid=101).run()


@pytest.mark.parametrize("ends", ["switched", "cancelled"])
@pytest.mark.parametrize("single", [True, False], ids=["one object", "a list"])
def test_the_users_own_policy_stays(single: bool, ends: str) -> None:
    world = ready()
    own = {"Version": "2012-10-17", "Id": "own", "Statement": THEIRS if single else [THEIRS]}
    target = {**own, "Statement": [THEIRS, *world.policies.statements(TARGET_ARN)]}
    world.policies.set(SOURCE_ARN, json.dumps(own))
    world.policies.rewrite(TARGET_ARN, lambda _: json.dumps(target))
    world.clock.advance(600)
    watch = WriterWatch(world)
    run = a_switch(world, check_command="check", run_command=lambda *_: int(ends == "cancelled"))
    if ends == "cancelled":
        cancelled(run)
    else:
        run.run()
    check_nobody_loses(watch, ends)
    for arn in (SOURCE_ARN, TARGET_ARN):
        document = world.policies.of(arn).last
        assert document is not None
        policy = json.loads(document)
        mine = list(project_statements(document).values())
        policy["Statement"] = [each for each in policy["Statement"] if each not in mine]
        assert canonical(policy) == canonical(own)


# -- commands ----------------------------------------------------------------------------------


def test_a_check_that_hangs_is_cancelled_at_the_timeout() -> None:
    watch = WriterWatch(ready())
    world = watch.world

    def hangs(command: str, variables: Mapping[str, str], meanwhile: Callable[[], None]) -> int:
        while True:
            world.clock.sleep(5)
            meanwhile()

    run = a_switch(world, check_command="check", run_command=hangs)
    cancelled(run, "waited for --check-cmd")
    assert check_nobody_loses(watch, "a check that hangs") is State.REPLICATING


def test_a_failed_exec_is_switched_and_runs_again() -> None:
    watch = WriterWatch(ready())
    codes, ran = [3, 0], list[Mapping[str, str]]()

    def command(text: str, variables: Mapping[str, str], meanwhile: Callable[[], None]) -> int:
        assert text == "move"
        ran.append(variables)
        return codes[len(ran) - 1]

    with pytest.raises(ExecFailedError) as caught:
        a_switch(watch.world, exec_command="move", run_command=command).run()
    assert caught.value.exit_code == 8
    check_switched(watch, "--exec failed")
    assert record_of(watch.world, AfterSwitch).failed == ("exec: it ended with exit code 3",)
    a_switch(watch.world, pid=101, exec_command="move", run_command=command).run()
    assert not record_of(watch.world, AfterSwitch).failed
    assert ran[0] == ran[1]
    a_switch(watch.world, pid=102, exec_command="move", run_command=command).run()
    assert len(ran) == 2, "what has succeeded does not run again"


@pytest.mark.parametrize("step", [SwitchStep.PREPARE, SwitchStep.DRAIN, SwitchStep.GATE])
def test_a_bug_takes_a_switch_back_too(step: str) -> None:
    watch = WriterWatch(ready())
    run = a_switch(watch.world)

    def bug() -> None:
        watch.then = look_nowhere
        raise ZeroDivisionError

    once_in(watch, run, step, bug)
    with pytest.raises(ZeroDivisionError):
        run.run()
    assert check_nobody_loses(watch, step) is State.REPLICATING


# -- consumer, metrics, clocks, Ctrl-C ---------------------------------------------------------


def never_refused(watch: WriterWatch) -> bool:
    return not watch.refused and watch.refused_since is None


def test_old_code_of_the_consumer_closes_nothing() -> None:
    watch = WriterWatch(ready())
    watch.world.protocol = 0
    cancelled(a_switch(watch.world), "earlier version")
    assert check_nobody_loses(watch, "old code") is State.REPLICATING
    assert never_refused(watch)


def test_a_lag_over_the_limit_closes_nothing() -> None:
    watch = WriterWatch(ready())
    watch.world.through = lambda put_at: put_at + 45
    cancelled(a_switch(watch.world, max_lag=30), "--max-lag")
    assert check_nobody_loses(watch, "lag") is State.REPLICATING
    assert never_refused(watch)


def test_a_last_minute_with_writes_and_no_age_is_waited_for_until_the_timeout() -> None:
    watch = WriterWatch(ready())
    world, run = watch.world, a_switch(watch.world)
    world.writes = lambda begin: 5.0 if begin < closing(run) else 0.0
    cancelled(run, "AgeOfOldestUnreplicatedRecord")
    assert check_nobody_loses(watch, "no datapoint") is State.REPLICATING


def closing(run: Switch) -> float:
    """When the source closes; in the far future while that is not planned."""
    journal = run.group.first.journal
    planned = run.group.attempt.closes if journal.row.state is State.SWITCHING else 0
    return planned or 1e12


def test_a_busy_tables_last_minute_is_handed_over_by_its_age() -> None:
    watch = WriterWatch(ready())
    world, run = watch.world, a_switch(watch.world)
    world.writes = lambda begin: 5.0 if begin < closing(run) else 0.0
    world.ages = lambda begin: 40.0 if begin < closing(run) else None
    run.run()
    check_switched(watch, "a busy table")


def test_a_source_that_takes_writes_behind_its_deny_cancels() -> None:
    watch = WriterWatch(ready())
    world, run = watch.world, a_switch(watch.world)
    world.writes = lambda begin: 1.0 if begin > closing(run) + 60 else 0.0
    cancelled(run, "took writes after it had been closed")
    assert check_nobody_loses(watch, "a leak") is State.REPLICATING


@pytest.mark.parametrize("skew", [-120.0, 120.0])
def test_the_operators_clock_may_be_wrong(skew: float) -> None:
    watch = WriterWatch(ready())
    clock = SuspendedClock(watch.world.clock)
    clock.slept = skew
    a_switch(watch.world, clock=clock).run()
    check_switched(watch, f"a clock that is {skew:.0f} s off")


@pytest.mark.slow
@pytest.mark.matrix
@pytest.mark.parametrize("point", firsts(), ids=str)
def test_ctrl_c_takes_back_or_leaves_a_command(point: Any) -> None:
    watch = WriterWatch(ready())

    def interrupt(number: int, name: str, after: bool) -> None:
        if (number, after) == (point.number, True):
            raise KeyboardInterrupt

    watch.then = interrupt
    run = a_switch(watch.world)
    try:
        run.run()
    except SwitchCancelledError:
        assert check_nobody_loses(watch, str(point)) is State.REPLICATING
        return
    except KeyboardInterrupt:
        state = check_nobody_loses(watch, str(point))
        assert state in (State.REPLICATING, State.SWITCHED), str(point)
    a_switch(watch.world, pid=101).run()
    check_switched(watch, str(point))


def test_with_writes_stopped_the_gate_waits_for_invocations_of_before() -> None:
    watch = WriterWatch(ready())
    a_switch(watch.world, mode=SwitchMode.WRITES_STOPPED).run()
    attempt = attempt_of(watch.world)
    assert attempt.committed_at >= attempt.armed_at + 150
    assert attempt.committed_at >= attempt.gate_at + 60
    assert not watch.world.policies.of(SOURCE_ARN).changes


def test_with_writes_stopped_a_dead_fence_is_left_to_its_own_command() -> None:
    watch = WriterWatch(ready())
    run = a_switch(watch.world)

    def die(number: int, name: str, after: bool) -> None:
        if attempt_step(run) == SwitchStep.GATE:
            raise SystemExit

    watch.then = die
    with pytest.raises(SystemExit):
        run.run()
    watch.then = look_nowhere
    watch.world.alive.clear()
    with pytest.raises(BootstrapError, match="--fence has begun") as caught:
        a_switch(watch.world, pid=101, mode=SwitchMode.WRITES_STOPPED).run()
    assert "switch --cancel" in caught.value.fix
    a_switch(watch.world, pid=102).cancel()
    assert check_nobody_loses(watch, "a dead fence") is State.REPLICATING


def test_a_cancel_opens_the_source_last() -> None:
    """A process that sleeps meets a target's Deny of another name before the source opens."""
    watch = WriterWatch(ready())
    world = watch.world
    run = a_switch(world, check_command="check", run_command=lambda *_: 1)
    before, opened = record_of(world, TargetDeny).nonce, list[dict[str, Any]]()

    def look(number: int, name: str, after: bool) -> None:
        if is_cancelling(run) and not project_statements(world.policies.of(SOURCE_ARN).last):
            opened.append(world.ledger_settings())
            assert set(project_statements(world.policies.of(TARGET_ARN).last)).isdisjoint({before})

    watch.then = look
    cancelled(run)
    assert opened
    assert all("closed" not in settings for settings in opened)


def is_cancelling(run: Switch) -> bool:
    found = run.group.first.journal.get(Switching)
    return found is not None and found.cancelled
