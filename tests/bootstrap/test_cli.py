"""The command line: what it refuses, what it prints, with which exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bootstrap import cli, operations
from bootstrap.errors import BlockedError, BootstrapError
from tests.bootstrap.world import OUTPUTS_JSON


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REPLICATION_TIME_SCALE", "AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(OUTPUTS_JSON))
    return str(path)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


@pytest.mark.parametrize(
    "command", ["run", "status", "pause", "resume", "plan", "parity", "abandon"]
)
def test_each_command_has_help_with_an_example(command: str) -> None:
    shown = invoke(command, "--help")
    assert shown.exit_code == 0
    assert f"python -m bootstrap {command} --stack" in shown.output


def test_the_demo_is_among_the_commands() -> None:
    assert "demo" in invoke("--help").output


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("status", "--stack", "a", "--outputs", "b"),
        ("status", "--outputs", "/nowhere/outputs.json"),
        ("run", "--nonsense"),
        ("nonsense",),
    ],
)
def test_a_wrong_command_line_exits_2_without_a_traceback(arguments: tuple[str, ...]) -> None:
    ended = invoke(*arguments)
    assert ended.exit_code == 2
    assert "Traceback" not in ended.output


def test_an_unknown_table_exits_2_and_names_the_known_ones(file: str) -> None:
    ended = invoke("status", "--outputs", file, "--table", "order")
    assert ended.exit_code == 2
    assert "Try: --table with one of: orders" in ended.output


def test_a_time_scale_on_aws_exits_2(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATION_TIME_SCALE", "0.01")
    ended = invoke("run", "--outputs", file)
    assert ended.exit_code == 2
    assert "Try: unset REPLICATION_TIME_SCALE" in ended.output


def test_a_profile_that_does_not_exist_is_the_accounts_turn(
    file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    ended = invoke("status", "--outputs", file, "--target-profile", "nobody")
    assert ended.exit_code == 4
    assert "nobody" in ended.output
    assert "Try: " in ended.output
    assert "Traceback" not in ended.output


def replace_run(monkeypatch: pytest.MonkeyPatch, outcome: Any) -> None:
    def run(*given: Any, **more: Any) -> list[BootstrapError]:
        if isinstance(outcome, BaseException):
            raise outcome
        errors: list[BootstrapError] = outcome
        return errors

    monkeypatch.setattr(operations, "run", run)


def test_the_exit_code_is_the_worst_of_all_tables(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [BlockedError("one", fix="this"), BlockedError("two", fix="that")]
    errors[1].exit_code = 4
    replace_run(monkeypatch, errors)
    ended = invoke("run", "--outputs", file)
    assert ended.exit_code == 4
    assert "one\nTry: this" in ended.output


def test_debug_shows_the_traceback_of_an_error(file: str) -> None:
    ended = invoke("status", "--outputs", file, "--table", "order", "--debug")
    assert "Traceback" in ended.output


def test_an_interrupted_run_says_how_to_go_on(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_run(monkeypatch, KeyboardInterrupt())
    ended = invoke("run", "--outputs", file)
    assert ended.exit_code == 130
    assert "goes on from here" in ended.output


def test_a_bug_exits_70_and_shows_where(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_run(monkeypatch, ZeroDivisionError("of ours"))
    ended = invoke("run", "--outputs", file)
    assert ended.exit_code == 70
    assert "ZeroDivisionError" in ended.output


def test_the_next_command_repeats_the_options_that_were_given(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def status(tables: Any, gateways: Any, process: Any, command: Any, **more: Any) -> None:
        seen.append(command["orders"].format("run"))

    monkeypatch.setattr(operations, "status", status)
    invoke("status", "--outputs", file, "--source-profile", "my shop")
    assert seen == [f"python -m bootstrap run --outputs {file} --source-profile 'my shop'"]
