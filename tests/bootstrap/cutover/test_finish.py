"""The end of a switch: a day later, with nothing open and nothing written to the old source."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest

from bootstrap.core.errors import BlockedError, BootstrapError
from bootstrap.cutover.context import SwitchContext
from bootstrap.cutover.switch.finish import finish_table
from bootstrap.journal.switch_records import AfterSwitch, SwitchMode
from replicator.watchdog.aws_readings import LedgerRows
from tests.support.bootstrap.fake_aws import LEDGER, SOURCE_ARN, FakeAws
from tests.support.bootstrap.switch_faults import check_switched, denied, fail, ready
from tests.support.bootstrap.switch_world import WriterWatch, a_switch, attempt_of, look_nowhere

pytestmark = pytest.mark.promise("C9")
DAY = 86_400.0


@pytest.fixture
def world() -> FakeAws:
    """A world in which a switch ended a day ago."""
    world = ready()
    a_switch(world).run()
    world.clock.advance(DAY + 60)
    return world


def context(world: FakeAws, pid: int = 300) -> SwitchContext:
    return a_switch(world, pid=pid).group.first


def refused(world: FakeAws, match: str, change: Callable[[SwitchContext], SwitchContext]) -> str:
    with pytest.raises(BlockedError, match=match) as caught:
        finish_table(change(context(world)), open_source=False)
    assert [each.status for each in world.destinations] != ["DISABLED"]
    return caught.value.fix


def as_it_is(found: SwitchContext) -> SwitchContext:
    return found


def test_the_old_sources_changes_are_streamed_no_more_and_its_deny_stays(world: FakeAws) -> None:
    finish_table(context(world), open_source=False)
    assert [each.status for each in world.destinations] == ["DISABLED"]
    check_switched(WriterWatch(world), "finished")
    finish_table(context(world, pid=301), open_source=False)


def test_a_destination_of_others_stays_on(world: FakeAws) -> None:
    found = context(world)
    steps = dataclasses.replace(
        found.steps, table=dataclasses.replace(found.table, owns_destination=False)
    )
    others = dataclasses.replace(found, steps=steps, old_source=None)
    finish_table(others, open_source=False)
    assert [each.status for each in world.destination()] == ["ACTIVE"]
    after = others.journal.get(AfterSwitch)
    assert after is not None
    assert after.finished_at
    settings = LedgerRows(world.dynamodb, LEDGER).intent()
    assert settings.finished, "the watchdog sees by it that the old source may be written to"


def test_a_switch_that_an_older_version_finished_ends_the_watch_when_asked_again(
    world: FakeAws,
) -> None:
    finish_table(context(world), open_source=False)
    key = {"k": {"B": b"settings"}}
    row = world.dynamodb.get_item(TableName=LEDGER, Key=key)["Item"]
    del row["finished"]
    world.dynamodb.put_item(TableName=LEDGER, Item=row)
    finish_table(context(world, pid=301), open_source=True)
    assert LedgerRows(world.dynamodb, LEDGER).intent().finished


def test_the_old_source_opens_only_by_a_flag_of_its_own(world: FakeAws) -> None:
    finish_table(context(world), open_source=True)
    assert not world.policies.statements(SOURCE_ARN)
    finish_table(context(world, pid=301), open_source=True)


def test_a_statement_that_was_taken_off_by_hand_ends_open_source_too(world: FakeAws) -> None:
    world.policies.rewrite(SOURCE_ARN, lambda document: None)
    finish_table(context(world), open_source=True)
    assert not world.policies.statements(SOURCE_ARN)


def test_a_days_writes_have_to_have_been_seen() -> None:
    world = ready()
    a_switch(world).run()
    world.clock.advance(DAY - 600)
    refused(world, "For a day", as_it_is)


def test_a_source_that_was_written_since_keeps_its_stream(world: FakeAws) -> None:
    committed = attempt_of(world).committed_at
    world.writes = lambda begin: 2.0 if begin > committed + 7_200 else 0.0
    refused(world, "has been written to since", as_it_is)


@pytest.mark.parametrize("seconds", [-70, 0], ids=["before the commit", "in its minute"])
def test_writes_about_the_commit_count_too(world: FakeAws, seconds: float) -> None:
    moment = attempt_of(world).committed_at + seconds
    world.writes = lambda begin: 2.0 if begin <= moment < begin + 60 else 0.0
    refused(world, "has been written to since", as_it_is)


def test_an_item_that_failed_is_done_first() -> None:
    watch = WriterWatch(ready())
    number = watch.world.calls
    failed = fail(watch, "disable_mapping", number, denied, seconds=1e6)
    a_switch(watch.world).run()
    assert failed
    watch.then = look_nowhere
    watch.world.clock.advance(DAY + 60)
    fix = refused(watch.world, "mapping: disable_mapping is denied", as_it_is)
    assert "switch --fence" in fix
    a_switch(watch.world, pid=301).run()
    finish_table(context(watch.world, pid=302), open_source=False)


@pytest.mark.parametrize(("command", "open_ones"), [("", ""), ("move", "; exec: it has not run")])
def test_an_item_that_a_dead_process_left_is_done_first(command: str, open_ones: str) -> None:
    watch = WriterWatch(ready())
    run = a_switch(watch.world, exec_command=command)

    def die(number: int, name: str, after: bool) -> None:
        found = run.group.first.journal.get(AfterSwitch)
        if found is not None and "open-target" in found.done:
            raise SystemExit

    watch.then = die
    with pytest.raises(SystemExit):
        run.run()
    watch.then = look_nowhere
    watch.world.alive.clear()
    watch.world.clock.advance(DAY + 60)
    items = "primary; callers; mapping; capacity; target-expiry; source-expiry"
    fix = refused(watch.world, f"has open items: {items}{open_ones}", as_it_is)
    assert ("--exec as before" in fix) is bool(command)
    a_switch(watch.world, pid=301, exec_command=command).run()
    finish_table(context(watch.world, pid=302), open_source=False)


def test_what_is_not_switched_is_not_finished() -> None:
    refused(ready(), "only a switched one is finished", as_it_is)


def test_a_stack_without_the_role_is_told_so(world: FakeAws) -> None:
    fix = refused(world, "no role", lambda found: dataclasses.replace(found, old_source=None))
    assert "switch: true" in fix


def test_with_writes_stopped_there_is_nothing_to_open() -> None:
    world = ready()
    own = json.dumps({"Version": "2012-10-17", "Statement": []})
    a_switch(world, mode=SwitchMode.WRITES_STOPPED).run()
    world.clock.advance(DAY + 60)
    world.policies.set(SOURCE_ARN, own)
    with pytest.raises(BlockedError, match="put no Deny"):
        finish_table(context(world), open_source=True)
    finish_table(context(world, pid=301), open_source=False)
    assert world.policies.of(SOURCE_ARN).last == own


def test_an_error_leaves_the_leases_free(world: FakeAws) -> None:
    committed = attempt_of(world).committed_at
    world.writes = lambda begin: 2.0 if begin > committed + 7_200 else 0.0
    refused(world, "written", as_it_is)
    world.writes = lambda begin: 0.0
    try:
        finish_table(context(world, pid=301), open_source=False)
    except BootstrapError as error:
        pytest.fail(str(error))
