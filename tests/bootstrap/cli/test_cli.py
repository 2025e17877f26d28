"""The command line: what it refuses, what it prints, with which exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bootstrap.cli import main
from bootstrap.cli import run as run_module
from bootstrap.cli import status as status_module
from bootstrap.core.errors import BlockedError, BootstrapError
from bootstrap.core.stack_outputs import from_file
from bootstrap.core.suggestions import PROGRAM
from tests.docs import commands
from tests.support.bootstrap.fake_aws import OUTPUTS_JSON


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
    return CliRunner().invoke(main.main, arguments)


HELP = {each.command_path: each.command.get_help(each) for each in commands.contexts()}
GROUPS = (PROGRAM, f"{PROGRAM} quarantine")


@pytest.mark.parametrize("command", sorted(HELP.keys() - set(GROUPS)))
def test_each_command_has_help_with_an_example(command: str) -> None:
    assert re.search(rf"\n  Examples?:\n    {command} (.|\n)*?--\w+ ", HELP[command])


@pytest.mark.parametrize("command", ["run", "status", "plan"])
def test_help_is_shown_without_a_stack(command: str) -> None:
    shown = invoke(command, "-h")
    assert shown.exit_code == 0
    assert "Example" in shown.output


@pytest.mark.parametrize("group", [(), ("quarantine",)])
def test_what_a_command_does_is_told_whole_in_the_list_of_commands(group: tuple[str, ...]) -> None:
    listed = invoke(*group, "--help").output.split("Commands:\n")[1]
    assert "..." not in listed


def test_the_tool_of_an_operator_has_no_demo() -> None:
    assert invoke("demo").exit_code == 2
    assert "infra.local" not in invoke("--help").output


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
    ended = invoke("status", "--outputs", file, "--target-profile", "no-such-profile")
    assert ended.exit_code == 4
    assert "no-such-profile" in ended.output
    assert "Try: " in ended.output
    assert "Traceback" not in ended.output


def test_a_profile_that_does_not_exist_is_said_before_anything_is_looked_up(
    file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setattr("bootstrap.core.stack_outputs.from_stack", lambda _: from_file(Path(file)))
    ended = invoke("status", "--stack", "prod", "--source-profile", "no-such-profile")
    assert ended.exit_code == 3
    assert ended.output.startswith("There are no usable credentials for the source account in ")
    assert len(ended.output.splitlines()) == 2


def replace_run(monkeypatch: pytest.MonkeyPatch, outcome: Any) -> None:
    def run(*given: Any, **more: Any) -> list[BootstrapError]:
        if isinstance(outcome, BaseException):
            raise outcome
        errors: list[BootstrapError] = outcome
        return errors

    monkeypatch.setattr(run_module, "run_all", run)


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
    assert "it resumes from here" in ended.output


WITHOUT_A_READER = """
import sys
from bootstrap.cli.options import run_command

def work():
    while True:
        print("orders → orders-replica")

run_command(work)
"""


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_gets_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WITHOUT_A_READER], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 141


@pytest.mark.slow
def test_a_terminal_without_arrows_gets_no_traceback() -> None:
    program = WITHOUT_A_READER.replace("while True", "for _ in range(1)") + "\n"
    program = program.replace("run_command(work", "run_command(lambda: work() or 0")
    shown = subprocess.run(
        [
            sys.executable,
            "-c",
            program.replace("run_command(work", "run_command(lambda: work() or 0"),
        ],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert shown.stdout == b"orders ? orders-replica\n"


def test_a_bug_exits_70_and_shows_where(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_run(monkeypatch, ZeroDivisionError("of ours"))
    ended = invoke("run", "--outputs", file)
    assert ended.exit_code == 70
    assert "ZeroDivisionError" in ended.output


def test_the_next_command_repeats_the_options_that_were_given(
    file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[profile my\\ shop]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    seen: list[str] = []

    def status(selection: Any, clients: Any, process: Any, **more: Any) -> None:
        seen.append(selection.commands["orders"].format("run"))

    monkeypatch.setattr(status_module, "show_status", status)
    invoke("status", "--outputs", file, "--source-profile", "my shop")
    assert seen == [f"python -m bootstrap run --outputs {file} --source-profile 'my shop'"]
