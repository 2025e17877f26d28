"""One writer per table: the lease and its generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from bootstrap.core.durations import Timing
from bootstrap.core.errors import LeaseHeldError, LeaseLostError, Side, UnavailableError
from bootstrap.core.state import State
from bootstrap.journal.lease import LEASE_SECONDS, this_machine
from bootstrap.run.drive import drive
from bootstrap.status.snapshot import StatusSnapshot
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.killed_process import Process

pytestmark = pytest.mark.promise("C6")


def working(world: FakeAws, pid: int = 1, host: str = "laptop") -> Process:
    """Start a process and bring it to the middle of its run."""
    process = Process(world, pid=pid, host=host)
    process.start()
    process.until(lambda: bool(world.exports))
    return process


def test_a_second_run_says_who_holds_the_lease() -> None:
    world = FakeAws()
    working(world, pid=4711)
    with pytest.raises(LeaseHeldError, match="process 4711 on laptop") as refusal:
        Process(world, pid=2).go()
    assert refusal.value.exit_code == 1
    assert "--take-over" in refusal.value.fix


def test_a_holder_that_died_on_this_machine_is_replaced_at_once() -> None:
    world = FakeAws()
    working(world, pid=1)
    world.alive.discard(1)
    before = world.clock()
    Process(world, pid=2).start()
    assert world.clock() == before


def test_a_holder_on_another_machine_is_replaced_when_its_lease_has_expired() -> None:
    world = FakeAws()
    working(world, pid=1, host="elsewhere")
    world.alive.discard(1)
    with pytest.raises(LeaseHeldError):
        Process(world, pid=2).start()
    world.clock.advance(LEASE_SECONDS + 1)
    Process(world, pid=2).start()


def test_a_live_holder_is_replaced_only_with_take_over() -> None:
    world = FakeAws()
    first = working(world, pid=1)
    Process(world, pid=2).start(take_over=True)
    with pytest.raises(LeaseLostError):
        first.run.tick()


@pytest.mark.parametrize("silence", [LEASE_SECONDS + 1, 7_200])
def test_a_process_that_slept_past_its_lease_stops_before_its_next_call(silence: float) -> None:
    world = FakeAws()
    first = working(world, pid=1, host="elsewhere")
    world.clock.advance(silence)
    second = Process(world, pid=2)
    second.start()
    before = len(world.seen)
    with pytest.raises(LeaseLostError, match="process 2 on laptop"):
        first.run.context.source.destinations("orders")
    after = {seen.name for seen in world.seen[before:]}
    assert after <= {"UpdateItem", "GetItem"}, "only the lease was asked about"


def test_a_process_that_lost_its_lease_cannot_write_the_journal() -> None:
    world = FakeAws()
    first = working(world, pid=1)
    Process(world, pid=2).start(take_over=True)
    from bootstrap.journal.records import RecoveryRecord

    with pytest.raises(LeaseLostError):
        first.run.journal.put(RecoveryRecord(1.0), "too late")


def test_a_process_that_slept_past_its_lease_continues_if_no_other_took_it() -> None:
    world = FakeAws()
    first = working(world, pid=1)
    world.clock.advance(7_200)
    first.until(lambda: bool(world.imports))


@pytest.mark.slow
def test_the_lease_is_kept_through_a_wait_of_hours() -> None:
    world = FakeAws()
    world.export_seconds = 3 * 3_600
    first = Process(world, pid=1, host="elsewhere")
    refused: list[bool] = []

    def watch(number: int, name: str, after: bool) -> None:
        if name == "describe_export" and not after and len(refused) < 3 and number % 100 == 0:
            world.on_call = lambda number, name, after: None
            with pytest.raises(LeaseHeldError):
                Process(world, pid=2).start()
            refused.append(True)
            world.on_call = watch

    world.on_call = watch
    first.go()
    assert refused


def test_a_run_that_ends_releases_its_lease() -> None:
    world = FakeAws()
    Process(world, pid=1, host="elsewhere").go()
    Process(world, pid=2).start()


def test_a_repeated_claim_recognises_its_own_first_one() -> None:
    world = FakeAws()
    process = Process(world)
    real, lost = process.store.claim, []

    def claim(table: str, seen: int, holder: str, expires: float) -> bool:
        real(table, seen, holder, expires)
        lost.append(True)
        return real(table, seen, holder, expires)  # the SDK repeats the call, and meets itself

    process.store.claim = claim  # type: ignore[method-assign]
    process.start()
    assert lost


def test_a_process_claims_again_after_a_lost_answer() -> None:
    world = FakeAws()
    process = Process(world)
    lost: list[bool] = []
    claim = process.store.claim

    def never_answered(*given: Any) -> bool:
        claim(*given)
        if not lost:
            lost.append(True)
            raise UnavailableError(Side.TARGET, "no answer", fix="later")
        return True

    process.store.claim = never_answered  # type: ignore[method-assign, assignment]
    with pytest.raises(UnavailableError):
        process.start()
    process.store.claim = claim  # type: ignore[method-assign]
    process.start()
    process.until(lambda: bool(world.exports))


def test_this_process_is_alive_and_another_with_its_reused_id_is_not() -> None:
    import dataclasses

    machine = this_machine()
    assert machine.alive(machine.me)
    assert not machine.alive(dataclasses.replace(machine.me, born="1"))
    assert not machine.alive(dataclasses.replace(machine.me, pid=2**22 + 1))


def test_a_lease_lost_while_the_process_sleeps_ends_that_table_alone() -> None:
    lost = FakeAws()
    kept = FakeAws(lost.clock)
    first, other = working(lost, pid=1), working(kept, pid=1)
    thief = Process(lost, pid=2)

    def steal(shown: Sequence[StatusSnapshot]) -> None:
        if not thief.run.journal.generation:
            thief.start(take_over=True)

    failed = drive([first.run, other.run], lost.clock, Timing(), steal)
    assert [(run, type(error)) for run, error in failed] == [(first.run, LeaseLostError)]
    assert other.run.journal.row.state is State.REPLICATING


@pytest.mark.slow
def test_a_finished_table_releases_its_lease_while_others_continue() -> None:
    early = FakeAws()
    late = FakeAws(early.clock)
    late.export_seconds = 4 * 3600
    first, other = working(early, pid=1), working(late, pid=1)
    held: list[str] = []

    def watch(shown: Sequence[StatusSnapshot]) -> None:
        if shown[0].state is State.REPLICATING and shown[1].state is State.EXPORTING:
            with early.unwatched():
                row, _ = first.store.read("orders")
            assert row is not None
            held.append(row.holder)

    assert drive([first.run, other.run], early.clock, Timing(), watch) == []
    assert set(held) == {""}
