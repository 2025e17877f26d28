"""The options of `run`: where to stop, what not to wait for, what to do about a bad import."""

from __future__ import annotations

import dataclasses

import pytest

from bootstrap.core.errors import AccountError, BlockedError, StillRunningError
from bootstrap.core.facts import ImportFacts
from bootstrap.core.run_options import STOPS, RunOptions
from bootstrap.core.state import State
from bootstrap.journal.records import Imported
from bootstrap.journal.verification_records import Verified
from bootstrap.status.json_members import as_json
from tests.support.bootstrap.fake_accounts import FakeTarget
from tests.support.bootstrap.fake_aws import COMMAND, FakeAws
from tests.support.bootstrap.killed_process import Process, journal_verified
from tests.support.bootstrap.status import look

pytestmark = pytest.mark.promise("C6")

NO_WAIT = RunOptions(wait=False)


def test_no_wait_ends_where_aws_works_by_itself_and_the_same_command_gets_there_at_last() -> None:
    world = FakeAws()
    world.backlog_seconds = 7_200
    waited: list[str] = []
    for pid in range(1, 200):
        try:
            Process(world, pid=pid, options=NO_WAIT).go()
            break
        except StillRunningError as error:
            assert error.exit_code == 6
            what = error.what.split("waiting for ")[1].split(",")[0]
            waited += [what] if waited[-1:] != [what] else []
        world.clock.advance(300)
    assert waited == [
        "the export",
        "the import",
        "the consumer to work through the stream (probes)",
    ]
    assert len(world.exports) == len(world.imports) == 1


def test_a_round_of_probes_put_by_an_earlier_process_is_not_put_again() -> None:
    world = FakeAws()
    world.backlog_seconds = 3_000
    for pid in range(1, 100):
        world.clock.advance(100)
        try:
            Process(world, pid=pid, options=NO_WAIT).go()
            break
        except StillRunningError:
            continue
    rounds = len(world.times("put_probes"))
    # One for the backlog, which took too long to speak of the present, and one for the present.
    assert rounds == 2


def test_no_wait_still_watches_the_buffer_until_the_export_has_begun() -> None:
    world = FakeAws()
    with pytest.raises(StillRunningError):
        Process(world, options=NO_WAIT).go()
    ((request, began),) = world.exports.values()
    assert began >= request.export_time + world.restorable_lag


@pytest.mark.parametrize("stop", STOPS)
def test_until_stops_when_the_state_is_reached_and_before_its_work(stop: State) -> None:
    world = FakeAws()
    process = Process(world, options=RunOptions(until=stop))
    process.go()
    assert process.run.journal.row.state is stop
    done = [bool(world.exports), bool(world.imports), bool(world.times("protect"))]
    assert done == [stop is not STOPS[0], stop in STOPS[2:], stop in STOPS[3:]]
    assert bool(world.times("put_probes")) is (stop is State.REPLICATING)
    Process(world, pid=2).go()
    assert len(world.exports) == len(world.imports) == 1


@pytest.mark.parametrize("stop", STOPS[:-1])
def test_until_a_state_that_lies_behind_changes_nothing(stop: State) -> None:
    world = FakeAws()
    Process(world).go()
    again = Process(world, pid=2, options=RunOptions(until=stop))
    again.go()
    assert again.run.journal.row.state is State.REPLICATING


def failed_import(code: str = "ItemValidationError") -> FakeAws:
    world = FakeAws()
    world.failures["import/0001"] = code
    with pytest.raises(AccountError):
        Process(world).go()
    return world


def failure_of(world: FakeAws, options: RunOptions) -> AccountError:
    with pytest.raises(AccountError) as caught:
        Process(world, pid=2, options=options).go()
    return caught.value


def test_a_partly_failed_import_says_where_the_refused_items_are_named() -> None:
    failure = failure_of(failed_import(), RunOptions())
    assert "2 were refused" in failure.what
    assert "log group /aws-dynamodb/imports, stream 0001/error" in failure.fix
    assert "--discard-failed-load" in failure.fix
    assert "--accept-load-errors" in failure.fix


def test_accepted_import_errors_make_a_replica_that_is_degraded_and_says_so() -> None:
    world = failed_import()
    process = Process(world, pid=2, options=RunOptions(accept_load_errors=True))
    process.go()
    assert process.run.journal.row.state is State.DEGRADED
    imported = process.run.journal.get(Imported)
    assert imported is not None
    assert imported.refused == 2
    (shown,) = process.shown[-1:]
    assert "2 items short" in shown.warnings[0]
    assert len(world.imports) == 1
    again = Process(world, pid=3)
    again.go()
    assert again.run.journal.row.state is State.DEGRADED, "the next run does not forget it"


def short_import() -> FakeAws:
    world = FakeAws()
    world.left_out["import/0001"] = 1
    return world


def test_an_import_that_ends_well_with_fewer_items_than_its_export_is_not_taken_for_whole() -> None:
    world = short_import()
    failure = failure_of(world, RunOptions())
    assert "another number of items" in failure.what
    assert "2 of 3 items were imported, 0 were refused. The export holds 3." in failure.what
    assert "--discard-failed-load" in failure.fix
    assert world.mapping_enabled_at is None
    process = Process(world, pid=3, options=RunOptions(discard_failed_load=True))
    process.go()
    assert process.run.journal.row.state is State.REPLICATING
    assert (len(world.exports), len(world.imports)) == (1, 2)


def test_a_short_import_that_is_accepted_is_degraded_until_a_verification_has_mended_it() -> None:
    world = short_import()
    failure_of(world, RunOptions())
    process = Process(world, pid=3, options=RunOptions(accept_load_errors=True))
    process.go()
    assert process.run.journal.row.state is State.DEGRADED
    (warning,) = as_json(look(world))["warnings"]
    assert "1 items short of its export" in warning
    assert COMMAND.format("verify") + " --repair" in warning

    def state_after(found: Verified) -> State:
        journal_verified(world, found)
        again = Process(world, pid=4)
        again.go()
        return again.run.journal.row.state

    now = world.clock()
    counts = {"source_items": 3, "target_items": 2, "equal": 2, "changed_since": 0, "extra": 0}
    counts |= {"missing": 1, "different": 0, "foreign": 0}
    seen = Verified("r", now, now, now, 1.0, **counts)
    assert state_after(seen) is State.DEGRADED, "seen, and not repaired"
    sample = dataclasses.replace(seen, sample=0.5, repaired=1)
    assert state_after(sample) is State.DEGRADED, "a sample says nothing of the other keys"
    before = dataclasses.replace(seen, repaired=1, complete_until=1.0)
    assert state_after(before) is State.DEGRADED, "of another replica"
    mended = dataclasses.replace(seen, repaired=1, complete_until=now - 120)
    assert state_after(mended) is State.REPLICATING
    assert not as_json(look(world))["warnings"]


def test_an_import_that_failed_entirely_cannot_be_accepted() -> None:
    failure = failure_of(failed_import("S3AccessDenied"), RunOptions(accept_load_errors=True))
    assert "S3AccessDenied" in failure.what
    assert "--accept-load-errors" not in failure.fix


def test_the_table_of_a_failed_import_is_deleted_only_when_told_and_then_imported_again() -> None:
    world = failed_import()
    failure_of(world, RunOptions())
    assert not world.times("drop")
    Process(world, pid=3, options=RunOptions(discard_failed_load=True)).go()
    assert len(world.times("drop")) == 1
    assert (len(world.exports), len(world.imports)) == (1, 2)


def test_an_import_that_fails_again_under_the_same_orders_is_told_before_a_third_is_paid_for() -> (
    None
):
    world = failed_import()
    world.failures["import/0002"] = "ItemValidationError"
    failure_of(world, RunOptions(discard_failed_load=True))
    assert len(world.imports) == 2


def test_a_table_that_is_not_the_failed_imports_is_never_deleted() -> None:
    world = failed_import()
    assert world.target is not None
    world.target = dataclasses.replace(world.target, table_id="theirs")
    with pytest.raises(BlockedError, match="did not make it") as refusal:
        Process(world, pid=2, options=RunOptions(discard_failed_load=True)).go()
    assert not world.times("drop")
    assert "--discard-failed-load" not in refusal.value.fix


def test_a_table_of_an_import_that_names_none_is_never_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """C6: a name alone may be another table's by now."""
    world = failed_import()
    describe = FakeTarget.describe_import

    def nameless(self: FakeTarget, arn: str) -> ImportFacts | None:
        facts = describe(self, arn)
        return facts and dataclasses.replace(facts, table_id="")

    monkeypatch.setattr(FakeTarget, "describe_import", nameless)
    with pytest.raises(BlockedError, match="did not make it"):
        Process(world, pid=2, options=RunOptions(discard_failed_load=True)).go()
    assert not world.times("drop")


def test_the_second_export_says_why_the_first_one_failed() -> None:
    world = FakeAws()
    world.failures["export/0001"] = "S3NoSuchBucket"
    with pytest.raises(AccountError, match="S3NoSuchBucket"):
        Process(world).go()
    process = Process(world, pid=2)
    process.go()
    first, second = (request for request, _ in world.exports.values())
    assert first.token != second.token
    with world.unwatched():
        events = process.store.history("orders", process.run.journal.run_id)
    assert any("the export failed (S3NoSuchBucket)" in event.text for event in events)


def test_a_consumer_that_someone_switched_on_during_the_import_is_noted_not_switched_on() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.imports))
    world.mapping_enabled_at = world.clock()
    process.until(lambda: process.run.journal.row.state is State.REPLICATING)
    assert not world.times("enable_mapping")
    with world.unwatched():
        events = process.store.history("orders", process.run.journal.run_id)
    assert "the consumer was found switched on" in [event.text for event in events]
