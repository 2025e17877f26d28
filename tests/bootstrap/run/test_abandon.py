"""`abandon`: what a run made goes as far as the operator says so, and another run may begin."""

from __future__ import annotations

import dataclasses

import pytest

from bootstrap.core.errors import BlockedError, BootstrapError, LeaseHeldError, StillRunningError
from bootstrap.core.run_options import Goal, RunOptions
from bootstrap.core.state import State
from bootstrap.journal.records import Abandoning, Earlier, Exported, Imported, RecoveryRecord
from bootstrap.plan.abandon_preview import undoing
from bootstrap.status.json_members import as_json
from replicator.watchdog.aws_readings import BOOK_KEY
from replicator.watchdog.probe_rounds import WatchdogState
from tests.support.bootstrap.fake_aws import COMMAND, LEDGER, FakeAws, outputs
from tests.support.bootstrap.kill_points import kill_at
from tests.support.bootstrap.killed_process import Process, replicated
from tests.support.bootstrap.pauses import paused
from tests.support.bootstrap.status import look
from tests.support.fakes.errors import Killed

pytestmark = pytest.mark.promise("C6")

ABANDON = RunOptions(goal=Goal.ABANDON)
WHOLLY = RunOptions(goal=Goal.ABANDON, drop_target=True, disable_source_pitr=True)
BEFORE = {"others/20260101T000000Z-abc/1/AWSDynamoDB/1", "orders/another run/1/AWSDynamoDB/1"}


def world_with_others() -> FakeAws:
    world = FakeAws()
    world.dynamodb.check_shapes = False  # the other tests do
    world.objects |= BEFORE
    return world


def abandoned(world: FakeAws, options: RunOptions = ABANDON, pid: int = 7) -> Process:
    process = Process(world, pid=pid, options=options)
    process.go()
    return process


def test_the_consumer_goes_off_the_snapshot_goes_and_the_journal_is_closed() -> None:
    world = replicated(world_with_others())
    process = abandoned(world)
    assert world.mapping_enabled_at is None
    assert world.objects == BEFORE
    assert process.run.journal.row.state is State.ABANDONED
    assert process.run.journal.get(Exported) is None
    assert as_json(look(world))["next"] == COMMAND.format("run")


def test_target_and_recovery_stay_unless_told_otherwise() -> None:
    world = replicated()
    world.seen.clear()
    abandoned(world)
    assert world.target is not None
    assert world.target.deletion_protection
    assert world.recovery_since is not None
    assert world.order("unprotect", "drop", "disable_source_backups") == []


def test_told_so_the_target_goes_after_the_consumer_and_recovery_goes_off() -> None:
    world = replicated()
    world.seen.clear()
    abandoned(world, WHOLLY)
    acts = ("set_expiry", "disable_mapping", "disable_source_backups", "unprotect", "drop")
    assert world.order(*acts) == list(acts)
    assert (world.target, world.recovery_since) == (None, None)


def test_the_target_can_be_dropped_later() -> None:
    world = replicated()
    abandoned(world)
    abandoned(world, WHOLLY, pid=8)
    assert (world.target, world.recovery_since) == (None, None)
    abandoned(world, WHOLLY, pid=9)


def test_a_table_that_this_run_did_not_import_is_never_deleted() -> None:
    world = replicated()
    assert world.target is not None
    world.target = dataclasses.replace(world.target, table_id="another's")
    with pytest.raises(BlockedError, match="not the one that this run imported"):
        abandoned(world, WHOLLY)
    assert world.mapping_enabled_at is not None, "nothing has been done"
    assert world.order("unprotect", "drop") == []


def test_a_table_that_takes_the_targets_place_meanwhile_is_not_deleted() -> None:
    world = replicated()

    def replace(number: int, name: str, after: bool) -> None:
        if name == "disable_mapping" and after and world.target is not None:
            world.target = dataclasses.replace(world.target, table_id="another's")

    world.on_call = replace
    with pytest.raises(BlockedError, match="not the one"):
        abandoned(world, WHOLLY)
    assert world.target is not None
    assert world.order("unprotect", "drop") == []


def test_recovery_that_was_on_before_is_not_switched_off() -> None:
    world = FakeAws()
    world.recovery_since = world.clock() - 86_400
    replicated(world)
    with pytest.raises(BlockedError, match="not switched on by this run"):
        abandoned(world, WHOLLY)
    assert world.recovery_since is not None
    assert world.mapping_enabled_at is not None


def test_there_is_nothing_to_abandon_before_a_run_has_begun() -> None:
    with pytest.raises(BlockedError, match="nothing to abandon"):
        abandoned(FakeAws())


def test_a_live_run_elsewhere_is_not_disturbed_unless_taken_over() -> None:
    world = replicated()
    other = Process(world, pid=1, host="elsewhere")
    other.start()
    with pytest.raises(LeaseHeldError, match="process 1 on elsewhere"):
        abandoned(world)
    process = Process(world, pid=8, options=ABANDON)
    process.go(take_over=True)
    assert process.run.journal.row.state is State.ABANDONED
    with pytest.raises(BootstrapError):
        other.run.tick()


@pytest.mark.parametrize("call", ["export", "import_table"])
def test_objects_stay_until_an_export_or_import_has_ended(call: str) -> None:
    """Also where the answer to its call was lost."""
    world = world_with_others()

    def kill(number: int, name: str, after: bool) -> None:
        if name == call and after:
            raise Killed(name)

    world.on_call = kill
    with pytest.raises(Killed):
        Process(world, pid=1).go()
    world.on_call = lambda number, name, after: None
    with pytest.raises(StillRunningError, match="AWS does not cancel"):
        abandoned(world, dataclasses.replace(WHOLLY, wait=False))
    assert world.objects > BEFORE
    shown = look(world)
    assert (shown.state, shown.next) == (
        State.ABANDONING,
        COMMAND.format("abandon") + " --yes",
    )
    with pytest.raises(BlockedError, match="was abandoned at"):
        Process(world, pid=3).go()
    process = abandoned(world)  # the answer of before holds
    assert process.run.journal.row.state is State.ABANDONED
    assert (world.objects, world.target) == (BEFORE, None)


def test_a_run_afterwards_is_blocked_by_the_target_and_names_it() -> None:
    world = replicated()
    abandoned(world)
    with pytest.raises(BlockedError, match="orders-replica exists already"):
        Process(world, pid=8).go()
    assert look(world).state is State.ABANDONED


def test_a_run_afterwards_takes_another_snapshot_and_replicates() -> None:
    world = replicated()
    first = next(iter(world.exports.values()))[0]
    floor = world.ledger_settings()["floor"]
    abandoned(world, WHOLLY)
    assert not world.expiries[LEDGER].enabled, "entries that another run builds on"
    assert world.ledger_settings()["paused"] == {"BOOL": True}
    world.clock.advance(40 * 86_400)
    world.seen.clear()
    process = Process(world, pid=8)
    process.go()
    second = list(world.exports.values())[1][0]
    assert first.prefix.split("/")[1] != second.prefix.split("/")[1] == process.run.journal.run_id
    assert first.token != second.token
    assert process.run.journal.row.state is State.REPLICATING
    assert world.order("enable_mapping", "set_expiry") == ["enable_mapping", "set_expiry"]
    assert world.expiries[LEDGER].enabled
    settings = world.ledger_settings()
    assert settings["paused"] == {"BOOL": False}
    assert settings["expire"] == {"BOOL": True}
    assert settings["floor"] == floor, "never raised"
    assert process.run.journal.get(Earlier) is None
    assert process.run.journal.get(RecoveryRecord) is not None


def test_recovery_that_an_earlier_run_switched_on_can_still_be_switched_off() -> None:
    world = replicated()
    abandoned(world, RunOptions(goal=Goal.ABANDON, drop_target=True))
    world.clock.advance(7_200)
    Process(world, pid=8).go()
    world.clock.advance(7_200)
    abandoned(world, WHOLLY)
    assert (world.target, world.recovery_since) == (None, None)


def test_the_watchdog_forgets_the_table_that_is_gone_and_nothing_else() -> None:
    world = replicated()
    book = WatchdogState(through=1.0, lag=0.5, tables={"source": "source-1", "target": "target-1"})
    key = {"k": {"B": BOOK_KEY}}
    with world.unwatched():
        world.dynamodb.put_item(TableName=LEDGER, Item={**key, "book": {"S": book.as_text()}})
    abandoned(world, WHOLLY)
    with world.unwatched():
        item = world.dynamodb.get_item(TableName=LEDGER, Key=key)["Item"]
    left = WatchdogState.from_text(item["book"]["S"])
    assert left == dataclasses.replace(book, tables={"source": "source-1"})


def test_a_paused_table_can_be_abandoned() -> None:
    world = paused()
    assert abandoned(world).run.journal.row.state is State.ABANDONED
    assert not world.expiries[LEDGER].enabled


def test_a_mapping_that_is_gone_keeps_nobody_from_abandoning() -> None:
    world = replicated()
    world.mapping_exists = False
    assert abandoned(world).run.journal.row.state is State.ABANDONED


@pytest.mark.slow
def test_killed_at_any_call_the_same_command_ends_it() -> None:
    prepared = replicated(world_with_others())
    world = prepared.copied()
    world.seen.clear()
    Process(world, pid=50, options=WHOLLY).go()
    names = [each.name for each in world.seen]
    telling: dict[tuple[object, ...], tuple[int, bool]] = {}
    for number in range(len(names)):
        for after in (False, True):
            telling.setdefault((after, *names[max(0, number - 1) : number + 2]), (number, after))
    for number, after in telling.values():
        world = prepared.copied()
        kill_at(world, world.calls + number + 1, after)
        with pytest.raises(Killed):
            Process(world, pid=50, options=WHOLLY).go()
        world.on_call = lambda call, name, done: None
        when = f"killed {'after' if after else 'before'} call {number} ({names[number]})"
        if world.mapping_enabled_at is None:
            assert not world.expiries[LEDGER].enabled, when
        else:
            assert (world.objects > BEFORE, world.target is not None) == (True, True), when
        process = abandoned(world, WHOLLY, pid=51)
        assert process.run.journal.row.state is State.ABANDONED, when
        assert process.run.journal.get(Abandoning) is None, when
        assert process.run.journal.get(Imported) is None, when
        assert (world.objects, world.target) == (BEFORE, None), when
        assert (world.recovery_since, world.mapping_enabled_at) == (None, None), when


def test_what_will_be_done_and_what_is_left_is_said_first() -> None:
    world = replicated()
    process = Process(world, pid=9)
    row, _ = process.store.read("orders")
    assert row is not None
    (table,) = outputs().tables

    def preview(drop: bool, disable: bool) -> str:
        return str(
            undoing(
                table,
                row,
                world.target,
                outputs(),
                drop_target=drop,
                disable_source_pitr=disable,
            )
        )

    does, leaves = preview(False, False).split("and leave")
    assert f"s3://snapshots/orders/{row.run_id}/" in does
    assert "orders-replica" not in does
    assert "the target table orders-replica (--drop-target" in leaves
    assert "--disable-source-pitr" in leaves
    assert "the streaming destination" in leaves
    does, leaves = preview(True, True).split("and leave")
    assert "delete the target table orders-replica" in does
    assert "point-in-time recovery of the source table orders off" in does
    assert "orders-replica" not in leaves
