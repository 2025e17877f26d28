"""A bulk load: the table that it makes, its operations, and what may follow a failed one."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bootstrap.core.errors import EXIT_STILL_RUNNING, AccountError, BlockedError, BootstrapError
from bootstrap.core.facts import TableFacts
from bootstrap.core.outcome import Done
from bootstrap.core.run_options import Goal, RunOptions
from bootstrap.core.state import State
from bootstrap.core.table_tags import LOAD_TAG
from bootstrap.journal.load_records import BulkLoad, LoadTarget
from bootstrap.journal.records import Imported
from bootstrap.run.steps import bulk_load, import_
from tests.support.bootstrap.fake_aws import TARGET_ARN, FakeAws, outputs
from tests.support.bootstrap.killed_process import Process
from tests.support.fakes.errors import Killed

BULK = outputs(load="bulk")
FIRST = f"{TARGET_ARN}/bulk-operation/0001"


def run(world: FakeAws, pid: int, options: RunOptions | None = None, **load: Any) -> Process:
    process = Process(world, pid, chosen=outputs(load="bulk", **load), options=options)
    process.go()
    return process


def failure_of(world: FakeAws, pid: int = 1, options: RunOptions | None = None) -> BootstrapError:
    with pytest.raises(BootstrapError) as failure:
        run(world, pid, options)
    return failure.value


@pytest.mark.promise("C6")
def test_a_table_is_made_with_the_sources_local_indexes_and_loaded_from_the_exports_data() -> None:
    world = FakeAws()
    local = {
        "IndexName": "by-day",
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "day", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "ALL"},
    }
    day = {"AttributeName": "day", "AttributeType": "S"}
    world.source = dataclasses.replace(
        world.source, local_indexes=[local], attributes=[*world.source.attributes, day]
    )
    process = run(world, 1, performanceTier="ACCELERATED", maxWriteRequestUnits=2048)
    (made,) = (each.detail for each in world.seen if each.name == "create_table")
    assert made["LocalSecondaryIndexes"] == [local]
    (operation,) = world.bulk.operations.values()
    request = operation.request
    ((export, _),) = world.exports.values()
    assert request.prefix == f"{export.prefix}/AWSDynamoDB/0001/data/"
    assert (request.tier, request.max_write_request_units) == ("ACCELERATED", 2048)
    assert request.bucket_owner == "222222222222"
    assert not request.output_prefix.startswith(request.prefix)
    assert request.output_prefix.startswith(f"orders/{process.run.journal.run_id}/")
    assert world.imports == {}
    imported = process.run.journal.get(Imported)
    assert imported is not None
    assert (imported.items, imported.table_id, imported.refused) == (3, "created-1", 0)


@pytest.mark.promise("C3")
def test_the_consumer_is_enabled_only_after_the_load_has_ended() -> None:
    world = FakeAws()
    run(world, 1)
    assert world.order("create_table", "start_bulk", "enable_mapping") == [
        "create_table",
        "start_bulk",
        "enable_mapping",
    ]
    assert min(world.times("enable_mapping")) >= world.bulk.end(FIRST)


def test_the_target_is_warmed_before_the_load_begins() -> None:
    world = FakeAws()
    world.writes, world.ages = (lambda begin: 60 * 3_000.0), (lambda begin: 0.0)
    run(world, 1)
    order = world.order("create_table", "warm", "start_bulk")
    assert order[:3] == ["create_table", "warm", "start_bulk"]


@pytest.mark.promise("C6")
def test_a_table_that_this_run_did_not_make_is_never_loaded() -> None:
    world = FakeAws()
    world.target = TableFacts(TARGET_ARN, "theirs", "ACTIVE", 0, 0, False)
    with pytest.raises(BlockedError):
        run(world, 1)
    assert not world.times("start_bulk")


@pytest.mark.promise("C6")
def test_a_table_made_by_another_between_intention_and_call_is_not_taken() -> None:
    world = FakeAws()

    def watch(number: int, name: str, after: bool) -> None:
        if name == "create_table" and not after and world.target is None:
            world.target = TableFacts(
                TARGET_ARN, "theirs", "ACTIVE", 0, 0, False, created=world.clock()
            )

    world.on_call = watch
    with pytest.raises(BlockedError, match="did not make it"):
        run(world, 1)
    assert not world.times("start_bulk")
    assert world.target is not None and world.target.table_id == "theirs"


@pytest.mark.promise("C6")
def test_a_table_that_was_replaced_during_the_load_ends_the_run() -> None:
    world = FakeAws()

    def watch(number: int, name: str, after: bool) -> None:
        if name == "describe_bulk" and world.target is not None:
            world.target = dataclasses.replace(world.target, table_id="another")

    world.on_call = watch
    error = failure_of(world)
    assert "another table" in error.what and not error.resumable
    assert not world.times("enable_mapping")


def test_an_empty_export_is_complete_without_an_operation() -> None:
    world = FakeAws()
    world.exported_objects, world.exported_items = 0, 0
    process = run(world, 1)
    assert world.bulk.operations == {}
    imported = process.run.journal.get(Imported)
    assert imported is not None and imported.token


@pytest.mark.promise("C6")
def test_a_release_that_knows_imports_alone_takes_a_loaded_table_for_its_own() -> None:
    """Its rule, which is still that of an import: no token, no import yet."""
    world = FakeAws()
    process = run(world, 1)
    asked = len(world.seen)
    assert isinstance(import_.advance(process.run.context), Done)
    assert {each.name for each in world.seen[asked:]} <= {"describe_target"}


def test_a_table_is_made_with_the_tags_that_it_shall_have() -> None:
    world = FakeAws()
    world.source_tags = {"cost-centre": "42"}
    run(world, 1)
    (made,) = (each.detail for each in world.seen if each.name == "create_table")
    tags = {each["Key"]: each["Value"] for each in made["Tags"]}
    assert tags.pop(LOAD_TAG)
    assert tags == {"cost-centre": "42"}


@pytest.mark.promise("C3")
def test_an_operation_that_completes_short_of_the_manifest_is_a_failure() -> None:
    world = FakeAws()
    world.bulk.left_out["0001"] = 1
    error = failure_of(world)
    assert "another number of items" in error.what
    assert not world.times("enable_mapping")


def refusing(world: FakeAws | None = None) -> FakeAws:
    world = world or FakeAws()
    world.bulk.refused_items["0001"] = 2
    return world


def test_refused_items_are_named_by_their_keys_digests_and_the_choices_are_shown() -> None:
    error = failure_of(refusing())
    assert isinstance(error, AccountError)
    assert "abababab" in error.what and "ValidationException" in error.what
    assert "2 were refused" in error.what
    for option in ("--discard-failed-load", "--accept-load-errors"):
        assert option in error.fix
    assert "bulk-output" in error.fix


@pytest.mark.promise("C6")
def test_a_failed_load_is_repeated_from_the_same_export_into_the_same_table() -> None:
    world = refusing()
    failure_of(world)
    run(world, 2)
    assert len(world.exports) == 1 and len(world.created_tables) == 1
    first, second = (each.request for each in world.bulk.operations.values())
    assert first.prefix == second.prefix
    assert first.token != second.token and first.output_prefix != second.output_prefix


@pytest.mark.promise("C6")
def test_a_failed_load_may_be_discarded_and_the_table_made_anew() -> None:
    world = refusing()
    failure_of(world)
    run(world, 2, RunOptions(discard_failed_load=True))
    assert len(world.exports) == 1 and len(world.created_tables) == 2
    assert world.order("create_table", "drop") == ["create_table", "drop", "create_table"]
    tokens = {each.request.token for each in world.bulk.operations.values()}
    assert len(tokens) == 2


def test_items_that_a_load_refused_may_be_accepted_and_the_replica_is_then_degraded() -> None:
    world = refusing()
    failure_of(world)
    process = run(world, 2, RunOptions(accept_load_errors=True))
    imported = process.run.journal.get(Imported)
    assert imported is not None and imported.refused == 2
    assert process.run.journal.row.state is State.DEGRADED
    assert len(world.bulk.operations) == 1


def test_a_load_that_failed_as_a_whole_cannot_be_accepted() -> None:
    world = FakeAws()
    world.bulk.failures["0001"] = "AccessDenied"
    error = failure_of(world, 1, RunOptions(accept_load_errors=True))
    assert "--accept-load-errors" not in error.fix and "AccessDenied" in error.what
    run(world, 2, RunOptions(accept_load_errors=True))
    assert len(world.bulk.operations) == 2


@pytest.mark.promise("C6")
def test_an_operation_that_another_hand_cancelled_is_repeated_by_the_next_run() -> None:
    world = FakeAws()

    def watch(number: int, name: str, after: bool) -> None:
        if name == "describe_bulk" and after and FIRST in world.bulk.operations:
            world.bulk.cancel(FIRST)

    world.on_call = watch
    error = failure_of(world)
    assert "CANCELLED" in error.what
    world.on_call = lambda number, name, after: None
    run(world, 2)
    assert len(world.bulk.operations) == 2


@pytest.mark.promise("C6")
def test_more_objects_than_an_operation_takes_are_loaded_by_several_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk_load, "MOST_OBJECTS", 2)
    world = FakeAws()
    process = run(world, 1)
    begins = [(each.began, each.request.prefix) for each in world.bulk.operations.values()]
    assert len(begins) == 3
    ends = [world.bulk.end(arn) for arn in world.bulk.operations]
    assert all(begin >= end for (begin, _), end in zip(begins[1:], ends, strict=False))
    assert len({prefix for _, prefix in begins}) == 3
    imported = process.run.journal.get(Imported)
    assert imported is not None and imported.items == 3


def test_of_several_parts_only_the_one_that_failed_is_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk_load, "MOST_OBJECTS", 2)
    world = FakeAws()
    world.bulk.refused_items["0002"] = 1
    failure_of(world)
    run(world, 2)
    prefixes = [each.request.prefix[-1] for each in world.bulk.operations.values()]
    assert prefixes == ["0", "1", "1", "2"]


@pytest.mark.promise("C6")
def test_a_token_older_than_aws_keeps_it_is_not_repeated_before_a_look() -> None:
    world = FakeAws()
    process = Process(world, 1, chosen=BULK)
    process.start()
    process.until(lambda: bool(_load(process).token))
    process.run.stop()
    world.alive.discard(1)
    world.clock.advance(9 * 3_600)
    run(world, 2)
    (operation,) = world.bulk.operations.values()
    assert operation.request.token.endswith("-load-2")
    assert world.order("find_bulk", "start_bulk") == ["find_bulk", "start_bulk"]


def _load(process: Process) -> BulkLoad:
    return process.run.journal.get(BulkLoad) or BulkLoad()


def test_a_run_that_does_not_wait_ends_while_the_load_runs() -> None:
    world = FakeAws()
    with pytest.raises(BootstrapError) as error:
        run(world, 1, RunOptions(wait=False))  # the export first
    assert error.value.exit_code == EXIT_STILL_RUNNING
    world.clock.advance(3_600)
    with pytest.raises(BootstrapError) as error:
        run(world, 2, RunOptions(wait=False))
    assert error.value.exit_code == EXIT_STILL_RUNNING and "bulk load" in error.value.what
    assert len(world.bulk.operations) == 1


def test_progress_is_measured_by_the_bytes_of_the_input() -> None:
    world = FakeAws()
    process = run(world, 1)
    measures = [each.measure for each in process.shown if each.measure is not None]
    assert any((each.size_bytes, each.of_bytes) == (100, 300) for each in measures)


@pytest.mark.promise("C6")
def test_another_machine_resumes_a_load() -> None:
    world = FakeAws()
    process = Process(world, 1, chosen=BULK)
    process.start()
    process.until(lambda: bool(_load(process).arn))
    other = Process(world, 1, host="elsewhere", chosen=BULK)
    world.clock.advance(120)
    other.go()
    assert len(world.bulk.operations) == 1
    assert other.run.journal.row.state is State.REPLICATING


@pytest.mark.promise("C6")
def test_an_operation_that_is_not_described_yet_is_not_taken_for_failed() -> None:
    world = FakeAws()
    world.bulk.described_after = 45
    run(world, 1)
    assert len(world.times("start_bulk")) == 1


@pytest.mark.promise("C3")
def test_what_was_accepted_for_one_part_is_no_consent_to_what_a_later_part_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk_load, "MOST_OBJECTS", 2)
    world = FakeAws()
    world.bulk.refused_items["0001"] = 1
    world.bulk.left_out["0003"] = 1
    accept = RunOptions(accept_load_errors=True)
    error = failure_of(world, 1, accept)
    assert "another number of items" in error.what
    process = run(world, 2, accept)
    imported = process.run.journal.get(Imported)
    assert imported is not None and (imported.items, imported.refused) == (1, 2)


def test_the_pace_of_a_part_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_load, "MOST_OBJECTS", 2)
    world = FakeAws()
    world.bulk.failures["0002"] = "InternalError"
    failure_of(world)
    world.clock.advance(5 * 86_400)
    process = run(world, 2)
    measures = [each.measure for each in process.shown if each.measure is not None]
    loads = [each for each in measures if each.before_items]
    assert loads and all((each.since or 0) > world.clock() - 86_400 for each in loads)


# -- operations of any caller, and the consumer ----------------------------------------------------


@pytest.mark.promise("C2")
def test_the_consumer_stays_off_while_any_operation_on_the_table_runs() -> None:
    world = FakeAws()
    theirs: list[str] = []

    def watch(number: int, name: str, after: bool) -> None:
        if name == "protect" and not theirs:
            theirs.append(world.bulk.by_another(TARGET_ARN, world.clock()))

    world.on_call = watch
    run(world, 1)
    assert min(world.times("enable_mapping")) >= world.bulk.end(theirs[0])


@pytest.mark.promise("C10")
def test_the_consumer_stays_off_if_operations_cannot_be_listed() -> None:
    world = FakeAws()

    def watch(number: int, name: str, after: bool) -> None:
        if name == "protect":
            world.bulk.refused = True

    world.on_call = watch
    with pytest.raises(AccountError):
        run(world, 1)
    assert not world.times("enable_mapping")


@pytest.mark.promise("C2")
def test_resume_waits_for_an_operation_that_was_started_during_the_pause() -> None:
    world = FakeAws()
    run(world, 1)
    run(world, 2, RunOptions(goal=Goal.PAUSE))
    theirs = world.bulk.by_another(TARGET_ARN, world.clock())
    run(world, 3, RunOptions(goal=Goal.RESUME, overwrite_target=True))
    assert max(world.times("enable_mapping")) >= world.bulk.end(theirs)


@pytest.mark.promise("C2")
def test_no_load_begins_beside_an_operation_of_another_or_over_what_it_has_put() -> None:
    world = FakeAws()
    theirs: list[str] = []

    def watch(number: int, name: str, after: bool) -> None:
        if name == "create_table" and after:
            theirs.append(world.bulk.by_another(TARGET_ARN, world.clock(), "created-1"))

    world.on_call = watch
    error = failure_of(world)
    assert theirs[0] in error.what and not world.times("start_bulk")
    assert world.clock() >= world.bulk.end(theirs[0])
    world.on_call = lambda number, name, after: None
    failure_of(world, 2)
    run(world, 3, RunOptions(discard_failed_load=True))
    assert len(world.created_tables) == 2 and len(world.exports) == 1
    assert len(world.times("start_bulk")) == 1


@pytest.mark.promise("C6")
def test_an_operation_that_put_nothing_or_was_on_a_former_table_is_no_reason_to_stop() -> None:
    world = FakeAws()

    def watch(number: int, name: str, after: bool) -> None:
        if name == "create_table" and after:
            world.bulk.by_another(TARGET_ARN, world.clock(), "a-table-before")
            nothing = world.bulk.by_another(TARGET_ARN, world.clock(), "created-1")
            world.bulk.left_out[nothing.rsplit("/", 1)[-1]] = 1

    world.on_call = watch
    run(world, 1)
    assert len(world.times("start_bulk")) == 1


# -- abandoned -------------------------------------------------------------------------------------


def loading() -> FakeAws:
    """A world whose operator stopped the process while the load ran."""
    world = FakeAws()
    process = Process(world, 1, chosen=BULK)
    process.start()
    process.until(lambda: bool(_load(process).arn))
    process.run.stop()
    world.alive.discard(1)
    return world


@pytest.mark.promise("C6")
def test_abandon_cancels_a_running_load_and_waits_until_it_writes_no_more() -> None:
    world = loading()
    run(world, 2, RunOptions(goal=Goal.ABANDON, drop_target=True))
    assert world.times("cancel_bulk")
    assert min(world.times("remove_objects")) >= world.bulk.end(FIRST)
    assert min(world.times("drop")) >= world.bulk.end(FIRST)
    assert world.target is None


@pytest.mark.promise("C6")
@pytest.mark.parametrize("listed_after", [0.0, 60.0])
def test_abandon_finds_a_load_whose_answer_was_lost(listed_after: float) -> None:
    world = FakeAws()
    world.bulk.listed_after = listed_after
    process = Process(world, 1, chosen=BULK)
    process.start()

    def lose(number: int, name: str, after: bool) -> None:
        if name == "start_bulk" and after:
            raise Killed(name)

    world.on_call = lose
    with pytest.raises(Killed):
        process.until(lambda: False)
    world.on_call = lambda number, name, after: None
    world.alive.discard(1)
    run(world, 2, RunOptions(goal=Goal.ABANDON))
    assert world.times("cancel_bulk")


@pytest.mark.promise("C6")
def test_abandon_drops_a_table_whose_creation_was_not_answered_and_no_other() -> None:
    world = FakeAws()
    process = Process(world, 1, chosen=BULK)
    process.start()

    def intended() -> bool:
        made = process.run.journal.get(LoadTarget)
        return made is not None and bool(made.tag_value)

    process.until(intended)
    tag_value = (process.run.journal.get(LoadTarget) or LoadTarget()).tag_value
    world.target = TableFacts(TARGET_ARN, "mine", "ACTIVE", 0, 0, False)
    world.target_tags = {LOAD_TAG: tag_value}
    process.run.stop()
    world.alive.discard(1)
    run(world, 2, RunOptions(goal=Goal.ABANDON, drop_target=True))
    assert world.target is None


@pytest.mark.promise("C6")
def test_abandon_waits_for_an_operation_of_another_and_one_that_is_not_described_yet() -> None:
    world = loading()
    world.bulk.described_after = 100
    theirs = world.bulk.by_another(TARGET_ARN, world.clock(), "created-1")
    run(world, 2, RunOptions(goal=Goal.ABANDON))
    assert world.times("cancel_bulk")
    assert min(world.times("remove_objects")) >= max(world.bulk.end(FIRST), world.bulk.end(theirs))
    assert world.bulk.operations[theirs].cancelled_at is None


def test_a_stack_that_lost_the_right_to_bulk_loads_says_so() -> None:
    world = loading()
    with pytest.raises(BlockedError, match="load: import"):
        Process(world, 2, chosen=outputs()).go()


def test_an_import_that_an_older_stack_began_stays_an_import() -> None:
    world = FakeAws()
    process = Process(world, 1)
    process.start()
    process.until(lambda: bool(world.imports))
    process.run.stop()
    world.alive.discard(1)
    run(world, 2)
    assert len(world.imports) == 1 and world.bulk.operations == {}
