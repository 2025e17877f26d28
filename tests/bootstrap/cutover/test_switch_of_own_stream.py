"""A switch of a table whose buffer is its own stream: an own reader proves what probes cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bootstrap.core.errors import BootstrapError, SwitchCancelledError
from bootstrap.core.state import State
from bootstrap.cutover.switch.switch import Switch
from bootstrap.journal.switch_records import AfterSwitch, GateGap, SwitchMode, SwitchStep
from replicator.probes import PROTOCOL
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.fake_table_stream import OPEN, OTHER, FakeTableStream
from tests.support.bootstrap.switch_world import (
    WriterWatch,
    a_switch,
    attempt_of,
    ready_to_switch,
    with_own_stream,
)

pytestmark = pytest.mark.promise("C9", "C10")


@pytest.fixture(scope="module")
def replica() -> FakeAws:
    return with_own_stream(ready_to_switch())


@pytest.fixture
def watch(replica: FakeAws) -> WriterWatch:
    return WriterWatch(replica.copied())


def stream_of(watch: WriterWatch) -> FakeTableStream:
    found = watch.world.own_stream
    assert found is not None
    return found


def state(run: Switch) -> State:
    return run.group.first.journal.row.state


def test_the_consumer_is_off_before_the_commit_and_stays_off(watch: WriterWatch) -> None:
    world = watch.world
    run = a_switch(world)
    run.run()
    assert state(run) is State.SWITCHED
    assert watch.takes_writes() == (False, True)
    assert not watch.both_open
    assert not stream_of(watch).mapping_on
    attempt = attempt_of(world)
    (off,) = world.times("disable_mapping")
    assert attempt.gate_at <= off < attempt.committed_at - 60
    for name in ("put_probes", "open_shards", "oldest_unreplicated"):
        assert not [at for at in world.times(name) if at >= attempt.begun]
    assert not [at for at in world.times("enable_mapping") if at >= attempt.begun]
    after = run.group.first.journal.get(AfterSwitch)
    assert after is not None and not after.failed


def test_writes_stopped_needs_nothing_of_the_source_but_its_stream(watch: WriterWatch) -> None:
    run = a_switch(watch.world, mode=SwitchMode.WRITES_STOPPED)
    run.run()
    assert state(run) is State.SWITCHED
    attempt = attempt_of(watch.world)
    assert attempt.committed_at >= attempt.armed_at + 150


def busy(watch: WriterWatch) -> None:
    """An application that writes for as long as the source takes writes."""
    written = [0.0]

    def write(number: int, name: str, after: bool) -> None:
        now = watch.world.clock()
        if now - written[0] >= 5 and watch.takes_writes()[0]:
            written[0] = now
            stream_of(watch).write(now)

    watch.then = write


def test_all_that_the_source_took_is_applied_before_the_commit(watch: WriterWatch) -> None:
    busy(watch)
    a_switch(watch.world).run()
    stream = stream_of(watch)
    assert len(stream.applied) > 50
    assert not stream.waiting() and not stream.held_back
    attempt = attempt_of(watch.world)
    assert attempt.committed_at - attempt.closes < 300


def test_without_a_row_of_this_attempt_the_functions_time_limit_is_waited_for(
    watch: WriterWatch,
) -> None:
    """A stream without changes says nothing about the code that runs."""
    a_switch(watch.world).run()
    (off,) = watch.world.times("disable_mapping")
    assert attempt_of(watch.world).committed_at >= off + 20 + 120


def test_with_a_row_of_this_attempt_the_wait_is_that_of_short_invocations(
    watch: WriterWatch,
) -> None:
    busy(watch)
    a_switch(watch.world).run()
    (off,) = watch.world.times("disable_mapping")
    assert off + 60 <= attempt_of(watch.world).committed_at < off + 20 + 120


def test_a_row_of_one_shard_does_not_shorten_the_wait_for_what_began_before_arming_on_another(
    watch: WriterWatch,
) -> None:
    """An invocation of the other shard may have the function's time limit of before."""
    written: list[float] = []

    def write(number: int, name: str, after: bool) -> None:
        if not written and "armed" in watch.world.ledger_settings():
            written.append(watch.world.clock())
            stream_of(watch).write(watch.world.clock())

    watch.then = write
    a_switch(watch.world, mode=SwitchMode.WRITES_STOPPED).run()
    (off,) = watch.world.times("disable_mapping")
    attempt = attempt_of(watch.world)
    assert written and attempt.committed_at < off + 20 + 120, "the row made the wait shorter"
    assert attempt.committed_at >= attempt.armed_at + 120 + 30


def cancelled(watch: WriterWatch, run: Switch, match: str) -> None:
    with pytest.raises(SwitchCancelledError, match=match):
        run.run()
    assert state(run) is State.REPLICATING
    assert watch.takes_writes()[1] is False
    assert not watch.both_open
    assert stream_of(watch).mapping_on, "the consumer is on again"
    assert "closed" not in watch.world.ledger_settings()


def once_off(watch: WriterWatch, work: object) -> list[float]:
    """Do something once the consumer is off."""
    done: list[float] = []

    def look(number: int, name: str, after: bool) -> None:
        world = watch.world
        if name == "disable_mapping" and after and not done:
            done.append(world.clock())
            assert callable(work)
            work()

    watch.then = look
    return done


def test_a_change_behind_the_drain_takes_the_switch_back_and_is_applied(
    watch: WriterWatch,
) -> None:
    world, stream = watch.world, stream_of(watch)
    done = once_off(watch, lambda: stream.write(world.clock()))
    cancelled(watch, a_switch(world), "1 changes of table orders entered its stream")
    assert done
    world.clock.advance(60)
    with world.unwatched():
        stream.consume(world)
    assert stream.applied[-1].created == int(done[0])
    assert not stream.held_back, "the gate was open when it came through"


def test_a_change_in_a_shard_that_opened_meanwhile_takes_it_back(watch: WriterWatch) -> None:
    world, stream = watch.world, stream_of(watch)

    def split_and_write() -> None:
        stream.split(OPEN, "shardId-3")
        stream.write(world.clock(), "shardId-3")

    once_off(watch, split_and_write)
    cancelled(watch, a_switch(world), "1 changes of table orders")


def test_a_closed_shard_that_the_drain_has_read_to_its_end_is_not_read_again(
    watch: WriterWatch,
) -> None:
    world, stream = watch.world, stream_of(watch)
    stream.split(OPEN, "shardId-3")
    a_switch(world).run()
    assert attempt_of(world).committed_at
    (off,) = world.times("disable_mapping")
    behind = [each for each in world.seen if each.name == "stream_iterator" and each.at > off]
    assert len(behind) == 2, "the other open shard, and the child"


def test_a_change_that_comes_between_the_drain_and_the_closed_gate_takes_it_back(
    watch: WriterWatch,
) -> None:
    """The consumer may have applied it, or held it back: the drain did not see it."""
    world, run = watch.world, a_switch(watch.world)

    def look(number: int, name: str, after: bool) -> None:
        if run.progress().step == SwitchStep.SEAL and not done:
            done.append(world.clock())
            stream_of(watch).write(world.clock())

    done: list[float] = []
    watch.then = look
    cancelled(watch, run, "entered its stream after the drain|arrived after the drain")
    assert done


def test_deletions_by_time_to_live_behind_the_drain_are_counted_and_left(
    watch: WriterWatch,
) -> None:
    world, stream = watch.world, stream_of(watch)
    done = once_off(watch, lambda: stream.write(world.clock(), expired=True))
    run = a_switch(world)
    run.run()
    assert done
    assert state(run) is State.SWITCHED
    assert attempt_of(world).left_to_ttl == 1


def test_a_deletion_that_the_consumer_has_left_out_is_counted_once(watch: WriterWatch) -> None:
    world, run = watch.world, a_switch(watch.world)

    def look(number: int, name: str, after: bool) -> None:
        if "closed" in world.ledger_settings() and not done:
            done.append(world.clock())
            # It is consumed at once, behind the gate and before the mapping is off.
            stream_of(watch).write(world.clock() - 5, expired=True, delay=0)

    done: list[float] = []
    watch.then = look
    run.run()
    assert done and len(stream_of(watch).held_back) == 1
    assert attempt_of(world).left_to_ttl == 1


def test_a_late_write_moves_the_mark(watch: WriterWatch) -> None:
    world, run = watch.world, a_switch(watch.world)

    def look(number: int, name: str, after: bool) -> None:
        if run.progress().step == SwitchStep.DRAIN and not done:
            done.append(attempt_of(world).mark)
            stream_of(watch).write(done[0] + 20)

    done: list[int] = []
    watch.then = look
    run.run()
    assert attempt_of(world).mark > done[0] + 20
    assert not stream_of(watch).waiting()


def test_old_code_is_refused_before_anything_is_closed(watch: WriterWatch) -> None:
    world, stream = watch.world, stream_of(watch)
    stream.protocol = 0
    busy(watch)
    cancelled(watch, a_switch(world), "code of an earlier version")
    assert attempt_of(world).closes == 0


def test_a_consumer_that_is_switched_on_by_another_hand_takes_it_back(watch: WriterWatch) -> None:
    world = watch.world

    def look(number: int, name: str, after: bool) -> None:
        off = world.times("disable_mapping")
        if off and world.clock() > off[0] + 60 and not done:
            done.append(world.clock())
            stream_of(watch).enable_mapping()

    done: list[float] = []
    watch.then = look
    cancelled(watch, a_switch(world), "another hand has changed it")
    assert done


def test_a_lagging_consumer_is_waited_for_before_anything_is_closed(watch: WriterWatch) -> None:
    world, stream = watch.world, stream_of(watch)
    world.consumer_works = False
    stream.write(world.clock())
    began = world.clock()

    def look(number: int, name: str, after: bool) -> None:
        world.consumer_works = world.clock() > began + 100

    watch.then = look
    cancelled(watch, a_switch(world), "more than --max-lag allows")
    assert attempt_of(world).closes == 0


def test_a_second_switch_after_a_death_behind_the_gate_ends_switched(watch: WriterWatch) -> None:
    """The gate and the mapping are as the dead process left them."""
    from tests.support.fakes.errors import Killed

    world = watch.world

    def die(number: int, name: str, after: bool) -> None:
        if dead or (name == "disable_mapping" and after):
            dead.append(name)
            raise Killed(name)

    dead: list[str] = []
    watch.then = die
    with pytest.raises(Killed):
        a_switch(world).run()
    world.alive.discard(100)
    watch.then = lambda number, name, after: None
    world.clock.advance(120)
    again = a_switch(world, pid=101)
    again.run()
    assert state(again) is State.SWITCHED
    (off, _) = world.times("disable_mapping")
    taken_back = [at for at in world.times("enable_mapping") if at > off]
    assert taken_back, "the first attempt was taken back as a whole"
    assert not watch.both_open


def test_a_cancel_notes_the_gap_of_deletions_that_the_gate_left_out(watch: WriterWatch) -> None:
    world, run = watch.world, a_switch(watch.world)

    def look(number: int, name: str, after: bool) -> None:
        if "closed" in world.ledger_settings() and not done:
            done.append(world.clock())
            stream_of(watch).write(world.clock() - 5, expired=True, delay=0)
            stream_of(watch).write(world.clock() + 30)

    done: list[float] = []
    watch.then = look
    cancelled(watch, run, "after the drain")
    gap = run.group.first.journal.get(GateGap)
    assert gap is not None and replace(gap, begin=0, end=0).deletions == 1


def test_the_code_that_ran_last_counts_and_not_the_rows_of_quiet_shards(
    watch: WriterWatch,
) -> None:
    stream, world = stream_of(watch), watch.world
    stream.protocol = 0
    for shard in (OPEN, OTHER):
        stream.write(world.clock(), shard)
    world.clock.advance(60)
    with pytest.raises(BootstrapError, match="code of an earlier version"):
        a_switch(world).run()
    stream.protocol = PROTOCOL
    world.clock.advance(60)
    stream.write(world.clock())
    world.clock.advance(60)
    run = a_switch(world)
    run.run()
    assert state(run) is State.SWITCHED
