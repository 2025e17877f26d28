"""An operator's shell on the local cloud, with the real Pulumi CLI: `make try-pulumi`.

It reads commands from a pipe as well.
"""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import click
import yaml
from rich.console import Console
from rich.text import Text

from infra.local import setup
from infra.local.__main__ import outcome
from infra.local.cloud import LocalCloud
from infra.local.serve import ORDERS, examples
from tests.pulumi_engine.cli import PulumiCli, PulumiCliError, find_cli
from tests.pulumi_engine.workspace import PROJECT, Workspace

STACK = "dev"
HANG_UP_SECONDS = 10.0
COMMANDS = (
    ("what would be created", "pulumi preview"),
    ("create it", "pulumi up"),
    ("replicate the table: snapshot, import, catch up", f"python -m bootstrap run --stack {STACK}"),
    ("see where it stands", f"python -m bootstrap status --stack {STACK}"),
    ("give it up, with the replica", f"python -m bootstrap abandon --stack {STACK} --drop-target"),
    ("let it be deleted", "pulumi config set protect false && pulumi up"),
    ("delete it", "pulumi destroy"),
)
"""Commands to type, in order, with their purpose."""


def run(directory: Path, console: Console) -> bool:
    """Start a cloud with a table, give the user a shell, and stop everything after it.

    Raises:
        The error that stopped it, after everything that it started has been stopped.
    """
    cli = _find_cli(console)
    with ExitStack() as stack:
        place = stack.enter_context(setup.locked_directory(directory.resolve()))
        shutil.rmtree(place / "workspace", ignore_errors=True)
        cloud = stack.enter_context(LocalCloud(place))
        dynamodb = cloud.client("dynamodb", cloud.source)
        setup.create_table(dynamodb, ORDERS)
        setup.seed(dynamodb, ORDERS.name, examples(), ORDERS.keys)
        workspace = Workspace(cli, cloud, place / "workspace", schedules=True)
        _begin_stack(workspace)
        _print_instructions(workspace, console)
        _hold_shell(workspace, cloud.check)
    console.print("The shell has ended, and everything that was started with it.")
    return True


def _find_cli(console: Console) -> PulumiCli:
    console.print("Looking for the Pulumi CLI. Where there is none, Go builds one, once…")
    try:
        return find_cli()
    except PulumiCliError as error:
        raise setup.SetupError(str(error)) from None


def _begin_stack(workspace: Workspace) -> None:
    """Write the stack's file, as an operator would, and initialize the stack."""
    source = workspace.cloud.source
    values = workspace.config(
        {"source": ORDERS.name, "target": f"{ORDERS.name}-replica"},
        # The shell's credentials without a profile are the source account's.
        operators={
            "source": ["account"],
            "target": ["account", f"arn:aws:iam::{source.account_id}:root"],
        },
    )
    content = {"config": {f"{PROJECT}:{key}": value for key, value in values.items()}}
    file = workspace.project / f"Pulumi.{STACK}.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    subprocess.run(
        ["pulumi", "stack", "init", STACK, "--non-interactive"],
        cwd=workspace.project,
        env=workspace.environment(),
        check=True,
        capture_output=True,
    )


def _print_instructions(workspace: Workspace, console: Console) -> None:
    where = setup.short(workspace.project)
    console.print()
    console.print(Text("A shell on two local accounts. It has no way to AWS.", style="bold green"))
    console.print(f"The stack's file is {where}/Pulumi.{STACK}.yaml: change it as you like.")
    for purpose, command in COMMANDS:
        console.print()
        console.print(Text(f"  # {purpose}", style="dim"))
        console.print(Text(f"  {command}", style="cyan"))
    console.print()
    console.print("`exit` stops everything; no data is kept.")


def _hold_shell(workspace: Workspace, check: Callable[[], None]) -> None:
    """Run bash until it ends, without the user's own start-up files: they may name credentials."""
    bash = shutil.which("bash")
    if bash is None:
        raise setup.SetupError("There is no bash on this machine.\nTry: install bash")
    start = workspace.folder / "shell"
    environment = workspace.environment()
    start.write_text(_start_up_file(environment))
    options = ["--noprofile", "--rcfile", str(start)]
    if sys.stdin.isatty():
        options.append("-i")
    shell = subprocess.Popen(
        [bash, *options],
        cwd=workspace.project,
        # A shell that reads a pipe has its start-up file from here.
        env={**environment, "BASH_ENV": str(start)},
    )
    try:
        shell.wait()
    finally:
        _end(shell)
    check()


def _start_up_file(environment: Mapping[str, str]) -> str:
    path = shlex.quote(environment["PATH"])
    return "\n".join(
        (
            "unset BASH_ENV",
            f"PATH={path}",
            r"PS1='(local accounts) \W \$ '",
            "HISTFILE=",
            # What is still at work would outlive the shell, and find no cloud.
            "trap 'kill -- $(jobs -p) 2>/dev/null; wait' EXIT",
            "",
        )
    )


def _end(shell: subprocess.Popen[bytes]) -> None:
    """End the shell and what it runs, if a signal has interrupted the wait for it."""
    if shell.poll() is not None:
        return
    shell.send_signal(signal.SIGHUP)  # bash passes it on to its jobs
    try:
        shell.wait(HANG_UP_SECONDS)
    except subprocess.TimeoutExpired:
        shell.kill()
        shell.wait()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/try-pulumi"),
    show_default=True,
    help="Folder for the project's copy, the stack's state and logs.",
)
def main(directory: Path) -> None:
    """Open a shell with the Pulumi CLI on the local cloud."""
    sys.exit(outcome(lambda console: run(directory, console), directory))


if __name__ == "__main__":
    main(prog_name="python -m tests.pulumi_engine.shell")
