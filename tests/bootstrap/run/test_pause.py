"""`pause` and `resume`: the ledger keeps its entries for as long as changes wait."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bootstrap.core.errors import BlockedError, StillRunningError
from bootstrap.core.facts import TtlStatus
from bootstrap.core.run_options import Goal, RunOptions
from bootstrap.core.state import State
from bootstrap.journal.records import Paused
from bootstrap.status.json_members import as_json
from bootstrap.status.page import page
from tests.support.bootstrap.fake_aws import COMMAND, LEDGER, FakeAws
from tests.support.bootstrap.kill_points import kill_at
from tests.support.bootstrap.killed_process import Process, replicated
from tests.support.bootstrap.pauses import PAUSE, RESUME, paused
from tests.support.bootstrap.status import look
from tests.support.fakes.errors import Killed

pytestmark = pytest.mark.promise("C2", "C3")

HOUR = 3_600.0


def resume(world: FakeAws, pid: int = 3, options: RunOptions = RESUME) -> Process:
    process = Process(world, pid=pid, options=options)
    process.go()
    return process


def test_the_ledger_keeps_its_entries_before_the_consumer_stops() -> None:
    world = paused()
    assert world.order("set_expiry", "disable_mapping") == ["set_expiry", "disable_mapping"]
    assert not world.expiries[LEDGER].enabled
    assert world.mapping_enabled_at is None
    assert world.ledger_settings()["paused"] == {"BOOL": True}


@pytest.mark.slow
def test_entries_expire_again_only_after_everything_that_waited_was_applied() -> None:
    world = paused()
    world.clock.advance(5 * HOUR)
    world.seen.clear()
    world.backlog_seconds = 4_000
    process = resume(world)
    assert world.expiries[LEDGER].enabled
    switched_on, through = world.times("set_expiry"), world.mapping_enabled_at
    assert through is not None
    assert switched_on[0] >= through + 4_000
    assert world.ledger_settings()["paused"] == {"BOOL": False}
    assert process.run.journal.row.state is State.REPLICATING
    assert process.run.journal.get(Paused) is None


def test_the_watchdog_is_told_before_the_mapping_is_switched_on_that_it_should_be_on() -> None:
    world = paused()
    world.clock.advance(2 * HOUR)
    process = Process(world, pid=3, options=RESUME)
    process.start()
    process.until(lambda: bool(world.times("enable_mapping")[1:]))
    assert world.ledger_settings()["paused"] == {"BOOL": False}


def test_a_paused_table_is_not_resumed_by_run() -> None:
    world = paused()
    with pytest.raises(BlockedError, match="paused since") as caught:
        Process(world, pid=3).go()
    assert "python -m bootstrap resume" in caught.value.fix
    assert world.mapping_enabled_at is None


def test_where_the_ledgers_expiry_cannot_be_switched_off_yet_the_consumer_goes_on() -> None:
    world = replicated()
    world.expiry_changed[LEDGER] = world.clock()
    with pytest.raises(BlockedError, match="The consumer has not been stopped"):
        Process(world, pid=2, options=PAUSE).go()
    assert world.mapping_enabled_at is not None
    assert as_json(look(world))["next"] == COMMAND.format("pause")
    world.clock.advance(HOUR)
    Process(world, pid=3, options=PAUSE).go()
    assert world.mapping_enabled_at is None


def test_a_short_pause_waits_for_aws_to_let_entries_expire_again() -> None:
    world = paused()
    began = world.clock()
    resume(world)
    assert world.expiries[LEDGER].enabled
    assert world.clock() >= began + HOUR - 120


def test_nobody_has_to_wait_for_that_hour() -> None:
    world = paused()
    with pytest.raises(StillRunningError):
        resume(world, options=RunOptions(goal=Goal.RESUME, wait=False))
    assert world.mapping_enabled_at is not None
    world.clock.advance(2 * HOUR)
    resume(world, pid=4)
    assert world.expiries[LEDGER] == TtlStatus(True, "x")


def test_there_is_nothing_to_pause_before_the_consumer_is_on() -> None:
    world = FakeAws()
    with pytest.raises(BlockedError, match="nothing to pause"):
        Process(world, options=PAUSE).go()


def test_pause_needs_nothing_of_the_source_account() -> None:
    world = replicated()
    world.seen.clear()
    Process(world, pid=2, options=PAUSE).go()
    names = {each.name for each in world.seen}
    assert names <= {
        *("GetItem", "UpdateItem", "TransactWriteItems", "Query", "mapping"),
        *("target_expiry", "set_expiry", "disable_mapping"),
    }


def test_status_says_paused_how_long_the_stream_covers_it_and_how_to_go_on() -> None:
    world = paused()
    world.clock.advance(24 * HOUR)
    shown = look(world)
    value = as_json(shown)
    assert value["state"] == "PAUSED"
    assert value["next"] is None
    assert COMMAND.format("resume") in value["decision"]
    assert value["warnings"] == []
    assert "the stream keeps the waiting changes until" in page(shown)
    assert "(363 d" in page(shown)
    world.clock.advance(365 * 24 * HOUR)
    assert "longer than the stream keeps changes" in page(look(world))


def test_a_pause_whose_consumer_somebody_switched_on_by_hand_ends_for_the_detectors_too() -> None:
    world = paused()
    world.mapping_enabled_at = world.clock()
    resume(world)
    assert world.ledger_settings()["paused"] == {"BOOL": False}


def test_resuming_what_never_ran_begins_nothing() -> None:
    world = FakeAws()
    with pytest.raises(BlockedError, match="no pause to end"):
        resume(world)
    assert not world.times("export")


def test_resuming_what_is_not_paused_measures_it_once_more() -> None:
    world = replicated()
    assert resume(world).run.journal.row.state is State.REPLICATING


def calls_of(options: RunOptions, world: FakeAws) -> list[str]:
    world.seen.clear()
    Process(world, pid=50, options=options).go()
    return [each.name for each in world.seen]


def busy() -> FakeAws:
    world = FakeAws()
    world.dynamodb.check_shapes = False  # the other tests do
    return replicated(world)


def waiting() -> FakeAws:
    world = FakeAws()
    world.dynamodb.check_shapes = False
    paused(world)
    world.clock.advance(2 * HOUR)
    return world


@pytest.mark.parametrize(
    ("options", "prepare", "end"),
    [
        pytest.param(PAUSE, busy, State.PAUSED, id="pause", marks=pytest.mark.slow),
        pytest.param(RESUME, waiting, State.REPLICATING, id="resume", marks=pytest.mark.slow),
    ],
)
def test_killed_at_any_call_the_same_command_ends_it(
    options: RunOptions, prepare: Callable[[], FakeAws], end: State
) -> None:
    prepared = prepare()
    names = calls_of(options, prepared.copied())
    telling: dict[tuple[object, ...], tuple[int, bool]] = {}
    for number in range(len(names)):
        for after in (False, True):
            telling.setdefault((after, *names[max(0, number - 1) : number + 2]), (number, after))
    for number, after in telling.values():
        world = prepared.copied()
        kill_at(world, world.calls + number + 1, after)
        with pytest.raises(Killed):
            Process(world, pid=50, options=options).go()
        world.on_call = lambda call, name, done: None
        if world.mapping_enabled_at is None:
            assert not world.expiries[LEDGER].enabled, "entries expire while changes wait"
        process = Process(world, pid=51, options=options)
        process.go()
        when = f"killed {'after' if after else 'before'} call {number} ({names[number]})"
        assert process.run.journal.row.state is end, when
        assert world.expiries[LEDGER].enabled is (end is State.REPLICATING), when
