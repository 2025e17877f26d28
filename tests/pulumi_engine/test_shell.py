"""What an operator types, from the first preview to the end, in the shell of `make try-pulumi`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pulumi_engine.cli import REPOSITORY, PulumiCli
from tests.pulumi_engine.shell import COMMANDS

pytestmark = pytest.mark.slow

ASKS = re.compile(r"pulumi (?:up|destroy)|python -m bootstrap abandon .*")
"""Commands that ask before they act: the journey answers with --yes."""
OF_OTHERS = {
    "AWS_PROFILE": "production",
    "AWS_SESSION_TOKEN": "hush",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/",
    "PULUMI_ACCESS_TOKEN": "pul-hush",
    "PULUMI_BACKEND_URL": "s3://somewhere",
    "BASH_ENV": "/nonexistent/start",
}


class Shell:
    """One shell of `make try-pulumi` that read its commands from a pipe."""

    def __init__(self, folder: Path, commands: list[str]) -> None:
        script = "".join(f"echo '--- {n}'\n{each}\necho \"=== $?\"\n" for n, each in
                         enumerate(commands))  # fmt: skip
        self.commands = commands
        ran = subprocess.run(
            [sys.executable, "-m", "tests.pulumi_engine.shell", "--directory", str(folder)],
            cwd=REPOSITORY,
            env={**os.environ, **OF_OTHERS},
            input=script,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=900,
        )
        self.status, self.said = ran.returncode, ran.stdout
        found = re.findall(r"^--- \d+\n(.*?)^=== (\d+)$", self.said, re.DOTALL | re.MULTILINE)
        assert len(found) == len(commands), self.said
        self.answers = [(text, int(status)) for text, status in found]

    def answer(self, command: str, nth: int = 0) -> tuple[str, int]:
        """Return what a command printed, and its exit status."""
        where = [n for n, each in enumerate(self.commands) if each == command]
        return self.answers[where[nth]]


def answered(command: str) -> str:
    """Return a command that does not ask."""
    return " && ".join(
        f"{part} --yes" if ASKS.fullmatch(part) else part for part in command.split(" && ")
    )


PREVIEW, UP, RUN, STATUS, ABANDON, UNPROTECT, DESTROY = (answered(each) for _, each in COMMANDS)
OUTPUTS = "pulumi stack output --json"


@pytest.fixture(scope="module")
def shell(cli: PulumiCli, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell in which everything was typed that the instructions name, and more."""
    typed = [PREVIEW, UP, OUTPUTS, UP, RUN, STATUS, UP, DESTROY, ABANDON, UNPROTECT, DESTROY]
    return Shell(tmp_path_factory.mktemp("shell"), typed)


def test_every_command_ends_well_but_for_the_destroy_of_a_protected_stack(shell: Shell) -> None:
    failed = [
        (command, text)
        for command, (text, status) in zip(shell.commands, shell.answers, strict=True)
        if status
    ]
    assert [command for command, _ in failed] == [DESTROY], failed
    assert shell.status == 0


def test_what_the_cli_prints_has_no_traceback_and_no_warning(shell: Shell) -> None:
    assert "Traceback" not in shell.said
    assert "warning:" not in shell.said, shell.said


def test_a_second_up_changes_nothing_not_even_after_the_bootstrap_has_run(shell: Shell) -> None:
    made = re.search(r"\+ (\d+) created", shell.answer(UP, 0)[0])
    assert made, shell.answer(UP, 0)[0]
    for nth in (1, 2):
        text = shell.answer(UP, nth)[0]
        assert re.search(r"(\d+) unchanged", text), text
        assert not re.search(r"created|updated|deleted|replaced", text), text


def test_the_bootstrap_reads_the_outputs_of_the_stack_that_it_is_told(shell: Shell) -> None:
    outputs = json.loads(shell.answer(OUTPUTS)[0])
    assert [table["sourceTable"] for table in outputs["tables"]] == ["orders"]
    assert "orders → orders-replica: REPLICATING" in shell.answer(RUN)[0]
    assert outputs["tables"][0]["streamName"].startswith("replicate-orders-buffer-stream")
    assert "REPLICATING" in shell.answer(STATUS)[0]


def test_a_protected_stack_is_not_destroyed_and_an_unprotected_one_is(shell: Shell) -> None:
    assert "because it is protected" in shell.answer(DESTROY, 0)[0]
    assert re.search(r"- \d+ deleted", shell.answer(DESTROY, 1)[0])


def test_the_shell_has_no_credentials_and_no_backend_but_the_local_ones(
    cli: PulumiCli, tmp_path: Path
) -> None:
    elsewhere = "AWS_ENDPOINT_URL=https://dynamodb.eu-west-1.amazonaws.com pulumi preview"
    commands = ["env", "pulumi whoami -v", elsewhere, "sleep 1000 & echo $!"]
    shell = Shell(tmp_path, commands)
    names = dict(line.partition("=")[::2] for line in shell.answer("env")[0].splitlines())
    assert "hush" not in shell.said
    assert names.keys() & {"AWS_PROFILE", "AWS_SESSION_TOKEN", "BASH_ENV"} == set()
    assert names["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "PULUMI_HOME"):
        assert names[name].startswith(str(tmp_path))
    assert f"file://{tmp_path}" in shell.answer("pulumi whoami -v")[0]
    text, status = shell.answer(elsewhere)
    assert status != 0
    assert "serves only the local cloud" in text
    # What was still at work has ended with the shell.
    with pytest.raises(ProcessLookupError):
        os.kill(int(shell.answer(commands[-1])[0]), 0)
