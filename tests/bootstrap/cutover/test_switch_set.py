"""Several tables of a switch: one record for all, and one commit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from bootstrap.core.errors import (
    BlockedError,
    LeaseLostError,
    SwitchCancelledError,
)
from bootstrap.core.state import State
from bootstrap.cutover.switch.switch import Switch
from bootstrap.cutover.switch.table_set import MOST_TABLES, SwitchSet
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.switch_faults import CHANGES, settle
from tests.support.bootstrap.switch_pair import PairWatch, pair_switch, ready_pair, states
from tests.support.bootstrap.switch_world import look_nowhere, with_own_stream
from tests.support.fakes.errors import Killed

pytestmark = pytest.mark.promise("C9")
SWITCHED, REPLICATING = {(False, True)}, {(True, False)}


def check(watch: PairWatch, expected: State, when: str = "") -> None:
    """Check that both tables ended in the same way."""
    settle(watch.world)
    assert not watch.both_open, f"{when}: {watch.both_open[:3]}"
    assert states(watch.world) == {expected}, when
    open_ones = SWITCHED if expected is State.SWITCHED else REPLICATING
    assert watch.takes_writes_each() == open_ones, when


def commits(world: FakeAws) -> list[int]:
    """How many rows each transaction brought into the state SWITCHED."""
    found = [
        sum({"S": State.SWITCHED} in each["ExpressionAttributeValues"].values() for each in updates)
        for seen in world.seen
        if seen.name == "TransactWriteItems"
        for updates in [[a["Update"] for a in seen.detail["TransactItems"] if "Update" in a]]
    ]
    return [each for each in found if each]


def test_two_tables_are_switched_by_one_transaction() -> None:
    watch = PairWatch(ready_pair())
    pair_switch(watch.world).run()
    check(watch, State.SWITCHED)
    assert commits(watch.world)[0] == 2


def test_tables_of_both_kinds_of_buffer_are_switched_together() -> None:
    watch = PairWatch(with_own_stream(ready_pair(), alone=False))
    world = watch.world
    begun = len(world.seen)
    pair_switch(world).run()
    check(watch, State.SWITCHED)
    assert commits(world)[0] == 2
    names = {each.name for each in world.seen[begun:]}
    assert {"put_probes", "read_stream", "oldest_unreplicated"} <= names
    assert world.own_stream is not None and not world.own_stream.mapping_on
    assert world.mapping_enabled_at is None, "the other's goes off behind the commit"


def test_a_change_of_one_kind_takes_a_table_of_the_other_back() -> None:
    watch = PairWatch(with_own_stream(ready_pair(), alone=False))
    world, stream = watch.world, watch.world.own_stream
    assert stream is not None

    def write(number: int, name: str, after: bool) -> None:
        if name == "disable_mapping" and after and not done:
            done.append(stream.write(world.clock()))

    done: list[object] = []
    watch.then = write
    with pytest.raises(SwitchCancelledError, match="entered its stream"):
        pair_switch(world).run()
    check(watch, State.REPLICATING)
    assert stream.mapping_on and world.mapping_enabled_at is not None


def test_a_table_that_fails_takes_the_other_back() -> None:
    watch = PairWatch(ready_pair())
    run = pair_switch(watch.world, check_command="check", run_command=lambda *_: 1)
    with pytest.raises(SwitchCancelledError):
        run.run()
    check(watch, State.REPLICATING)


def test_a_lost_lease_of_one_table_commits_none() -> None:
    watch = PairWatch(ready_pair())
    run = pair_switch(watch.world)

    def take_over(number: int, name: str, after: bool) -> None:
        detail = str(watch.world.seen[-1].detail)
        if name == "TransactWriteItems" and not after and "committed: the target" in detail:
            watch.then = look_nowhere
            with watch.world.unwatched():
                other = pair_switch(watch.world, pid=200, host="server", names=("customers",))
                other.group.first.leases[0].acquire(take_over=True)

    watch.then = take_over
    with pytest.raises(LeaseLostError):
        run.run()
    assert states(watch.world) == {State.SWITCHING}
    pair_switch(watch.world, pid=201, host="server").cancel(take_over=True)
    check(watch, State.REPLICATING)


def test_one_table_of_a_set_is_not_cancelled_alone() -> None:
    world = ready_pair()
    killed(PairWatch(world), lambda number, name, after: "PutResourcePolicy" in name and after)
    with pytest.raises(BlockedError, match="one of all of them or none"):
        pair_switch(world, pid=101, names=("customers",)).run()
    pair_switch(world, pid=102).cancel()
    assert states(world) == {State.REPLICATING}


def test_a_transactions_limit_is_that_of_a_set() -> None:
    (context,) = pair_switch(ready_pair(), names=("orders",)).group
    SwitchSet([context] * MOST_TABLES)
    with pytest.raises(BlockedError, match="one commit"):
        SwitchSet([context] * (MOST_TABLES + 1))


def killed(watch: PairWatch, dies: Callable[[int, str, bool], bool]) -> Switch:
    """A switch of both that has died at a call."""
    dead: list[int] = []

    def die(number: int, name: str, after: bool) -> None:
        if dead or dies(number, name, after):
            dead.append(number)
            raise Killed(name)

    watch.then = die
    run = pair_switch(watch.world)
    with suppress(Killed):
        run.run()
    assert dead
    watch.then = look_nowhere
    watch.world.alive.clear()
    return run


def moments() -> list[int]:
    """The calls of a cancel of both, and of what came before, that change something."""
    watch, found = PairWatch(ready_pair()), list[int]()

    def note(number: int, name: str, after: bool) -> None:
        if after and name in CHANGES:
            found.append(number)

    watch.then = note
    run = pair_switch(watch.world, check_command="check", run_command=lambda *_: 1)
    with suppress(SwitchCancelledError):
        run.run()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_cancel_that_dies_is_repeated_for_all_tables(after: bool) -> None:
    for number in moments()[-8:]:
        watch = PairWatch(ready_pair())
        dead: list[int] = []

        def die(
            call: int, name: str, after_it: bool, number: int = number, dead: list[int] = dead
        ) -> None:
            if dead or (call, after_it) == (number, after):
                dead.append(call)
                raise Killed(name)

        watch.then = die
        run = pair_switch(watch.world, check_command="check", run_command=lambda *_: 1)
        with suppress(Killed, SwitchCancelledError):
            run.run()
        assert dead
        watch.then = look_nowhere
        watch.world.alive.clear()
        when = f"{'after' if after else 'before'} call {number}"
        assert states(watch.world) in ({State.SWITCHING}, {State.REPLICATING}), when
        if states(watch.world) == {State.SWITCHING}:
            pair_switch(watch.world, pid=101).cancel()
        check(watch, State.REPLICATING, when)
        pair_switch(watch.world, pid=102).run()
        check(watch, State.SWITCHED, when)
