"""The next command: whole as it is printed, fixes what can be fixed, and loses nothing."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bootstrap.cli import main
from bootstrap.cli import status as status_module
from bootstrap.core.errors import BlockedError, BootstrapError
from bootstrap.core.run_options import Goal, RunOptions
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.status.json_members import as_json
from bootstrap.status.page import page
from bootstrap.status.status import next_of_all
from tests.support.bootstrap.failures import failure_of
from tests.support.bootstrap.fake_aws import COMMAND, OUTPUTS_JSON, FakeAws
from tests.support.bootstrap.killed_process import Process, replicated
from tests.support.bootstrap.status import look

pytestmark = pytest.mark.promise("C6")

PARTLY, WHOLLY = "ItemValidationError", "S3AccessDenied"


def next_of(world: FakeAws) -> str | None:
    found: str | None = as_json(look(world))["next"]
    return found


def orders_of(command: str) -> RunOptions:
    """What a run does that is typed so; its options are those that `next` may have."""
    prefix = COMMAND.format("run")
    assert command.startswith(prefix)
    options = shlex.split(command.removeprefix(prefix))
    assert set(options) <= {"--discard-failed-load"}
    return RunOptions(discard_failed_load="--discard-failed-load" in options)


def type_next(world: FakeAws, pid: int) -> None:
    command = next_of(world)
    assert command is not None
    Process(world, pid=pid, options=orders_of(command)).go()


@pytest.mark.parametrize("why", [PARTLY, WHOLLY])
def test_after_a_failed_import_the_next_command_imports_again_and_loses_nothing(why: str) -> None:
    world = FakeAws()
    world.failures["import/0001"] = why
    failure_of(world)
    type_next(world, pid=2)
    assert as_json(look(world))["state"] == "REPLICATING"
    assert next_of(world) is None
    assert (len(world.exports), len(world.imports)) == (1, 2)


def test_an_import_that_has_failed_twice_is_not_paid_for_again_unasked() -> None:
    world = FakeAws()
    world.failures |= {"import/0001": PARTLY, "import/0002": PARTLY}
    failure_of(world)
    with pytest.raises(BootstrapError):
        type_next(world, pid=2)
    assert next_of(world) is None
    shown = as_json(look(world))
    assert COMMAND.format("run") + " --accept-load-errors" in shown["failure"]["try"]
    assert "next          manual decision needed, see Try above" in page(look(world))
    Process(world, pid=3, options=RunOptions(accept_load_errors=True)).go()
    assert (as_json(look(world))["state"], next_of(world)) == ("DEGRADED", None)


def test_an_export_that_has_failed_is_made_once_more_and_not_a_third_time_unasked() -> None:
    world = FakeAws()
    world.failures |= {"export/0001": "S3AccessDenied", "export/0002": "S3AccessDenied"}
    failure_of(world)
    assert next_of(world) == COMMAND.format("run")
    failure_of(world, pid=2)
    assert next_of(world) is None


def test_a_failed_import_whose_table_somebody_replaced_blocks_until_that_is_gone() -> None:
    world = FakeAws()
    world.failures["import/0001"] = PARTLY
    failure_of(world)
    assert world.target is not None
    world.target = dataclasses.replace(world.target, table_id="theirs")
    with pytest.raises(BlockedError, match="did not make it"):
        type_next(world, pid=2)
    world.target = None
    type_next(world, pid=3)
    assert as_json(look(world))["state"] == "REPLICATING"


def test_of_a_run_that_can_never_go_on_no_command_is_typed_blindly() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: process.run.journal.row.state is State.CONFIGURING)
    world.target = None
    with pytest.raises(BootstrapError):
        process.until(lambda: False)
    process.run.stop()
    shown = as_json(look(world))
    assert (shown["state"], shown["next"]) == ("FAILED", None)
    assert shown["failure"]["resumable"] is False
    assert COMMAND.format("abandon") in shown["failure"]["try"]


def test_while_another_process_works_the_next_command_is_to_look_again() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.exports))
    assert next_of(world) == COMMAND.format("status")


def test_of_several_tables_the_next_command_is_one_that_does_something() -> None:
    fresh, going, done = FakeAws(), FakeAws(), replicated()
    process = Process(going)
    process.start()
    process.until(lambda: bool(going.exports))
    looks = [look(world) for world in (done, going, fresh)]
    assert next_of_all(looks) == COMMAND.format("run")
    assert next_of_all(looks[:2]) == COMMAND.format("status")
    assert next_of_all(looks[:1]) is None


def test_a_blocked_plan_leaves_run_as_the_next_command() -> None:
    world = FakeAws()
    world.retention_hours = 24
    failure_of(world)
    assert next_of(world) == COMMAND.format("run")


def test_of_a_paused_table_the_next_command_is_a_decision() -> None:
    world = replicated()
    Process(world, pid=2, options=RunOptions(goal=Goal.PAUSE)).go()
    assert (as_json(look(world))["state"], next_of(world)) == (State.PAUSED, None)
    assert COMMAND.format("resume") in as_json(look(world))["decision"]


# -- whole as printed ----------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(OUTPUTS_JSON))
    return str(path)


def output_of(monkeypatch: pytest.MonkeyPatch, *arguments: str, **environment: str) -> str:
    """What a status that fails says."""

    def status(*given: Any, **more: Any) -> None:
        raise BlockedError("no", fix=suggest(Command("run", "--take-over")))

    monkeypatch.setattr(status_module, "show_status", status)
    return CliRunner().invoke(main.main, arguments, env=environment).output


def test_what_an_error_says_to_try_has_the_options_that_were_given(
    file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("[profile my\\ shop]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    given = ("--outputs", file, "--target-profile", "my shop", "--table", "orders")
    assert output_of(monkeypatch, "status", *given) == (
        f"no\nTry: python -m bootstrap run --outputs {file} --target-profile 'my shop' "
        "--table orders --take-over\n"
    )


def test_the_external_id_is_repeated_only_where_it_was_typed(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = output_of(monkeypatch, "status", "--outputs", file, REPLICATION_EXTERNAL_ID="s3cret")
    assert "s3cret" not in kept
    typed = output_of(monkeypatch, "status", "--outputs", file, "--external-id", "s3cret")
    assert "--external-id s3cret" in typed


def test_a_command_without_a_stack_is_told_its_own_line() -> None:
    said = CliRunner().invoke(main.main, ["pause"]).output
    assert "pause --stack NAME" in said.splitlines()[-1]
