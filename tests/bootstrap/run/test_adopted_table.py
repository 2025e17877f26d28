"""A table of the user's own: adopted only if it is fit and empty, and never deleted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from bootstrap.core.errors import BlockedError
from bootstrap.core.facts import KeyFacts, TtlStatus
from bootstrap.core.run_options import Goal, RunOptions
from bootstrap.core.state import State
from bootstrap.journal.load_records import BulkLoad, LoadTarget
from bootstrap.plan.abandon_preview import undoing
from replicator.stream import Destination
from tests.support.bootstrap.fake_aws import TARGET_ARN, FakeAws, outputs
from tests.support.bootstrap.killed_process import Process
from tests.support.bootstrap.plans import ADOPT, adoptable

ADOPTED = outputs(**ADOPT)
Change = Callable[[FakeAws], None]


def world_with_a_table() -> FakeAws:
    world = FakeAws()
    adoptable()(world)
    return world


def run(world: FakeAws, pid: int = 1, options: RunOptions | None = None) -> Process:
    process = Process(world, pid, chosen=ADOPTED, options=options)
    process.go()
    return process


@pytest.mark.promise("C6")
def test_an_empty_table_of_the_users_is_loaded_and_its_id_is_journaled() -> None:
    world = world_with_a_table()
    process = run(world)
    made = process.run.journal.get(LoadTarget)
    assert made is not None and (made.adopted, made.table_id) == (True, "theirs")
    assert process.run.journal.row.state is State.REPLICATING
    assert not world.times("create_table")
    assert len(world.bulk.operations) == 1


def _during_the_export(world: FakeAws, change: Change) -> None:
    """The plan found a fit table, and this comes later."""

    def watch(number: int, name: str, after: bool) -> None:
        if name == "export" and after:
            change(world)

    world.on_call = watch


def _item(world: FakeAws) -> None:
    world.target_items = [{"pk": {"S": "a"}}]


def _expiry(world: FakeAws) -> None:
    world.expiries["orders-replica"] = TtlStatus(True, "until")


def _stream(world: FakeAws) -> None:
    assert world.target is not None
    world.target = dataclasses.replace(world.target, stream_view="NEW_IMAGE")


def _destination(world: FakeAws) -> None:
    world.target_destinations = [Destination("arn:theirs", "ACTIVE", "MILLISECOND")]


def _other_key(world: FakeAws) -> None:
    assert world.target is not None
    keys = [{"AttributeName": "id", "KeyType": "HASH"}]
    world.target = dataclasses.replace(world.target, keys=keys)


def _encrypted(world: FakeAws) -> None:
    assert world.target is not None
    world.target = dataclasses.replace(world.target, encryption="KMS", key_arn="arn:other")


def _deleting(world: FakeAws) -> None:
    assert world.target is not None
    world.target = dataclasses.replace(world.target, status="DELETING")


def _replica(world: FakeAws) -> None:
    assert world.target is not None
    world.target = dataclasses.replace(world.target, replicas=("us-east-1",))


def _gone(world: FakeAws) -> None:
    world.target = None


@pytest.mark.promise("C6")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_item, "has items"),
        (_expiry, "Time to live of orders-replica is on"),
        (_stream, "DynamoDB stream"),
        (_destination, "arn:theirs"),
        (_other_key, "The key of orders-replica is"),
        (_replica, "global table"),
        (_deleting, "is DELETING"),
        (_gone, "There is no table"),
    ],
)
def test_a_table_that_became_unfit_since_the_plan_is_not_loaded(change: Change, said: str) -> None:
    world = world_with_a_table()
    _during_the_export(world, change)
    with pytest.raises(BlockedError, match=said):
        run(world)
    assert world.bulk.operations == {}


@pytest.mark.promise("C6")
def test_a_table_that_became_encrypted_with_another_key_than_the_roles_is_not_loaded() -> None:
    ours = "arn:aws:kms:eu-west-1:222222222222:key/ours"
    chosen = outputs(**ADOPT, targetKeyArn=ours)
    world = FakeAws()
    world.keys = {ours: KeyFacts(ours, "Enabled", None)}
    adoptable(encryption="KMS", key_arn=ours)(world)
    _during_the_export(world, _encrypted)
    with pytest.raises(BlockedError, match="encrypted with arn:other, and targetKeyArn is"):
        Process(world, 1, chosen=chosen).go()
    assert world.bulk.operations == {}


@pytest.mark.parametrize("change", [_stream, _destination])
def test_the_option_that_confirms_a_reader_is_named(change: Change) -> None:
    world = world_with_a_table()
    _during_the_export(world, change)
    with pytest.raises(BlockedError, match="run --accept-target-stream"):
        run(world)


@pytest.mark.parametrize("change", [_stream, _destination])
def test_a_table_with_a_stream_is_loaded_once_the_operator_confirms_its_readers(
    change: Change,
) -> None:
    world = world_with_a_table()
    _during_the_export(world, change)
    run(world, options=RunOptions(accept_target_stream=True))
    assert len(world.bulk.operations) == 1


@pytest.mark.promise("C6")
def test_the_table_is_scanned_only_after_every_bulk_load_into_it_has_ended() -> None:
    world = world_with_a_table()
    theirs: list[str] = []
    _during_the_export(
        world, lambda world: theirs.append(world.bulk.by_another(TARGET_ARN, world.clock()))
    )
    with pytest.raises(BlockedError, match="has items"):
        run(world)
    assert max(world.times("scan_target")) >= world.bulk.end(theirs[0])


@pytest.mark.promise("C6")
@pytest.mark.parametrize("failed", [False, True])
def test_a_bulk_load_of_another_since_the_adoption_stops_the_load_until_the_table_is_empty(
    failed: bool,
) -> None:
    world = world_with_a_table()
    theirs: list[str] = []
    if failed:
        world.bulk.failures["0001"] = "InternalError"
        with pytest.raises(Exception, match="InternalError"):
            run(world)
        theirs.append(world.bulk.by_another(TARGET_ARN, world.clock(), "theirs"))
        world.target_items = [{"pk": {"S": "a"}}]
    else:

        def watch(number: int, name: str, after: bool) -> None:
            if name == "scan_target" and after and world.exports and not theirs:
                theirs.append(world.bulk.by_another(TARGET_ARN, world.clock(), "theirs"))

        world.on_call = watch
    with pytest.raises(BlockedError, match="not empty") as failure:
        run(world, 2)
    assert theirs[0] in failure.value.what
    assert len(world.times("start_bulk")) == failed
    world.target_items = []
    world.bulk.emptied = True
    process = run(world, 3)
    assert process.run.journal.row.state is State.REPLICATING
    assert len(world.times("start_bulk")) == 1 + failed


@pytest.mark.promise("C6")
def test_a_table_that_was_made_anew_during_the_load_is_refused() -> None:
    world = world_with_a_table()

    def watch(number: int, name: str, after: bool) -> None:
        if name == "describe_bulk" and world.target is not None:
            world.target = dataclasses.replace(world.target, table_id="another")

    world.on_call = watch
    with pytest.raises(Exception, match="another table"):
        run(world)
    assert not world.times("enable_mapping")


@pytest.mark.promise("C6")
def test_a_failed_load_never_deletes_the_table_whatever_the_options() -> None:
    world = world_with_a_table()
    world.bulk.failures["0001"] = "InternalError"
    with pytest.raises(Exception, match="InternalError") as failure:
        run(world)
    assert "--discard-failed-load" not in str(failure.value)
    run(world, 2, RunOptions(discard_failed_load=True))
    assert not world.times("drop") and len(world.bulk.operations) == 2


@pytest.mark.promise("C6")
@pytest.mark.parametrize(
    ("change", "said"),
    [(_expiry, "ime to live"), (_stream, "DynamoDB stream"), (_replica, "global table")],
)
def test_a_load_is_not_repeated_into_a_table_that_became_unfit_since_the_adoption(
    change: Change, said: str
) -> None:
    world = world_with_a_table()
    world.bulk.failures["0001"] = "InternalError"
    with pytest.raises(Exception, match="InternalError"):
        run(world)
    change(world)
    with pytest.raises(BlockedError, match=said):
        run(world, 2)
    assert len(world.bulk.operations) == 1


def loading() -> FakeAws:
    world = world_with_a_table()
    process = Process(world, 1, chosen=ADOPTED)
    process.start()

    def begun() -> bool:
        load = process.run.journal.get(BulkLoad)
        return load is not None and bool(load.arn)

    process.until(begun)
    process.run.stop()
    world.alive.discard(1)
    return world


@pytest.mark.promise("C6")
def test_abandon_refuses_to_drop_an_adopted_table_and_without_the_option_leaves_it() -> None:
    world = loading()
    with pytest.raises(BlockedError, match="your own"):
        run(world, 2, RunOptions(goal=Goal.ABANDON, drop_target=True))
    assert not world.times("cancel_bulk")
    run(world, 3, RunOptions(goal=Goal.ABANDON))
    assert world.times("cancel_bulk") and not world.times("drop")
    assert world.target is not None


@pytest.mark.promise("C6")
def test_a_loaded_table_is_neither_dropped_by_abandon_nor_by_that_of_a_later_run() -> None:
    world = world_with_a_table()
    run(world)
    run(world, 2, RunOptions(goal=Goal.ABANDON))
    with pytest.raises(BlockedError):
        run(world, 3, RunOptions(goal=Goal.ABANDON, drop_target=True))
    assert world.target is not None and not world.times("drop")


def test_the_preview_says_that_the_load_is_cancelled_and_the_table_stays() -> None:
    world = loading()
    with world.unwatched():
        row, _ = Process(world, 9, chosen=ADOPTED).store.read("orders")
    assert row is not None
    (table,) = ADOPTED.tables
    said = undoing(table, row, world.target, ADOPTED, drop_target=False, disable_source_pitr=False)
    assert any("cancel the bulk load" in each for each in said.does)
    (kept,) = (each for each in said.leaves if "your own" in each)
    assert "aws dynamodb delete-table --table-name orders-replica --region eu-west-1" in kept
    assert not any("--drop-target" in each for each in said.leaves)
