"""An import that DynamoDB refuses, or that fails without a table: the same export goes in bulk."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bootstrap.core.errors import AccountError, BlockedError, Side, UnavailableError
from bootstrap.core.facts import TtlStatus
from bootstrap.core.run_options import RunOptions
from bootstrap.core.state import State
from bootstrap.journal.load_records import LoadTarget
from bootstrap.journal.records import Imported, Wanted
from bootstrap.run.steps.load import has_begun
from tests.support.bootstrap.fake_aws import FakeAws, outputs
from tests.support.bootstrap.killed_process import Process
from tests.support.bootstrap.plans import ADOPT, adoptable
from tests.support.remedies import commands_in, problem

SIZE = "the source data size exceeds the limit"
NUMBER = "Too many concurrent imports"
UNCLEAR = "Limit exceeded"
BY_BULK = "pulumi config set --path 'tables[0].load' bulk --stack local"


def refuse_imports(world: FakeAws, message: str, code: str = "LimitExceededException") -> None:
    kind = UnavailableError if code == "LimitExceededException" else AccountError

    def refuse(number: int, name: str, after: bool) -> None:
        if name == "import_table" and not after:
            raise kind(
                Side.TARGET, f"ImportTable failed with {code}: {message}", fix="-", code=code
            )

    world.on_call = refuse


def failing(world: FakeAws) -> AccountError:
    with pytest.raises(AccountError) as failure:
        Process(world, 1).go()
    return failure.value


@pytest.mark.promise("C6")
@pytest.mark.parametrize(
    ("message", "code"),
    [
        (SIZE, "LimitExceededException"),
        (UNCLEAR, "LimitExceededException"),
        (NUMBER, "LimitExceededException"),
        (SIZE, "ValidationException"),
    ],
)
def test_the_export_of_a_refused_import_is_loaded_by_a_bulk_put(message: str, code: str) -> None:
    world = FakeAws()
    refuse_imports(world, message, code)
    error = failing(world)
    assert message in error.what
    assert BY_BULK in error.fix and "pulumi up" in error.fix
    for words in commands_in(error.fix):
        assert problem(words) == "", " ".join(words)

    process = Process(world, 2, chosen=outputs(load="bulk"))
    process.go()
    assert process.run.journal.row.state is State.REPLICATING
    (operation,) = world.bulk.operations.values()
    assert len(world.exports) == 1 and not world.imports
    assert process.run.journal.run_id in operation.request.prefix


def test_only_what_may_pass_is_asked_for_again_by_the_same_run() -> None:
    for message, retried in ((SIZE, False), (NUMBER, True), (UNCLEAR, True)):
        world = FakeAws()
        refuse_imports(world, message)
        failing(world)
        assert (len(world.times("import_table")) > 1) == retried, message


@pytest.mark.promise("C6")
def test_a_refusal_that_passes_ends_in_one_import() -> None:
    world = FakeAws()
    refusals: list[str] = []

    def refuse(number: int, name: str, after: bool) -> None:
        if name == "import_table" and not after and len(refusals) < 3:
            refusals.append(name)
            raise UnavailableError(Side.TARGET, "failed", fix="-", code="LimitExceededException")

    world.on_call = refuse
    process = Process(world)
    process.go()
    imported = process.run.journal.get(Imported)
    assert len(refusals) == 3 and len(world.imports) == 1
    assert imported is not None and imported.done and not imported.no_table


@pytest.mark.promise("C6")
def test_an_import_whose_request_is_out_is_not_taken_for_a_refused_one() -> None:
    world = FakeAws()
    process = Process(world, 1)
    seen: list[bool] = []

    def look(number: int, name: str, after: bool) -> None:
        if name == "import_table" and not after:
            with world.unwatched():
                row, _ = process.store.read("orders")
            imported = row.record(Imported) if row is not None else None
            seen.append(imported is not None and imported.may_have_table)
            if len(seen) == 1:
                raise UnavailableError(
                    Side.TARGET, "failed", fix="-", code="LimitExceededException"
                )

    world.on_call = look
    process.go()
    assert seen == [True, True]


@pytest.mark.promise("C6")
def test_an_import_that_failed_without_a_table_may_be_followed_by_a_bulk_put() -> None:
    world = FakeAws()
    world.failures["import/0001"] = "ImportConflict"

    def leave_nothing(number: int, name: str, after: bool) -> None:
        if name == "describe_import" and world.imports:
            (began,) = (at for _, at in world.imports.values())
            if world.clock() >= began + world.import_seconds:
                world.target = None

    world.on_call = leave_nothing
    error = failing(world)
    assert BY_BULK in error.fix

    world.on_call = lambda number, name, after: None
    process = Process(world, 2, chosen=outputs(load="bulk"))
    process.go()
    assert len(world.exports) == 1 and len(world.imports) == 1
    assert process.run.journal.row.state is State.REPLICATING
    imported = process.run.journal.get(Imported)
    assert imported is not None and imported.done and not imported.arn


@pytest.mark.promise("C6")
def test_a_failed_import_that_left_a_table_is_not_followed_by_a_bulk_put() -> None:
    world = FakeAws()
    world.failures["import/0001"] = "ItemValidationError"
    error = failing(world)
    assert BY_BULK not in error.fix
    process = Process(world, 2, chosen=outputs(load="bulk"))
    process.start()
    assert has_begun(process.run.context)


def exported(world: FakeAws) -> None:
    Process(world, 1, options=RunOptions(until=State.IMPORTING)).go()


@pytest.mark.promise("C6")
def test_a_load_that_the_stack_has_changed_since_the_plan_is_planned_again() -> None:
    world = FakeAws()
    exported(world)
    process = Process(world, 2, chosen=outputs(load="bulk"))
    world.alive.add(process.pid)
    made = process.run.start()
    assert made is not None
    assert made.actions[0].step == "load"
    assert any("to few partitions at a time" in note for note in made.notes)
    process.go()
    assert process.run.journal.row.state is State.REPLICATING
    again = Process(world, 3, chosen=outputs(load="bulk"))
    assert again.run.start() is None


@pytest.mark.parametrize(
    ("change", "chosen", "said"),
    [
        (lambda world: None, {"load": "bulk", "maxWriteRequestUnits": 50_000}, "50,000"),
        (lambda world: None, ADOPT, "There is no table orders-replica"),
        (adoptable(), {"load": "bulk"}, "exists already"),
        (adoptable(keys=[{"AttributeName": "id", "KeyType": "HASH"}]), ADOPT, "The key of"),
    ],
)
def test_what_blocks_the_changed_load_is_said_before_anything_is_done(
    change: Callable[[FakeAws], None], chosen: dict[str, object], said: str
) -> None:
    world = FakeAws()
    exported(world)
    change(world)
    process = Process(world, 2, chosen=outputs(**chosen))
    with pytest.raises(BlockedError, match=said):
        process.start()
    assert process.run.journal.get(LoadTarget) is None
    assert not world.times("create_table") and not world.times("start_bulk")


@pytest.mark.promise("C6")
def test_a_table_that_is_adopted_after_the_export_keeps_its_owners_settings() -> None:
    world = FakeAws()
    world.source_tags = {"team": "shop"}
    exported(world)
    adoptable(table_class="STANDARD_INFREQUENT_ACCESS")(world)
    process = Process(world, 2, chosen=outputs(**ADOPT))
    process.go()
    wanted = process.run.journal.get(Wanted)
    assert wanted is not None
    assert (wanted.tags, wanted.table_class) == ("{}", "STANDARD_INFREQUENT_ACCESS")


def test_the_stacks_change_is_refused_while_time_to_live_is_on() -> None:
    world = FakeAws()
    exported(world)
    adoptable()(world)
    world.expiries["orders-replica"] = TtlStatus(True, "until")
    with pytest.raises(BlockedError, match="Time to live"):
        Process(world, 2, chosen=outputs(**ADOPT)).start()
