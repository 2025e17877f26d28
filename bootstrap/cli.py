"""The command line: parses, and calls. Nothing is decided here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from bootstrap import operations
from bootstrap.errors import EXIT_INTERRUPTED
from bootstrap.invocation import chosen, common_options, gateways, guarded, process
from bootstrap.quarantine import commands as quarantine_commands


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Replicates a DynamoDB table into another AWS account.

    Exit codes: 0 done, 1 blocked, 2 usage, 3 the source account's turn, 4 the target
    account's turn, 70 a bug.
    """


@main.command()
@common_options
@click.option("--take-over", is_flag=True, help="Replace a run that is alive elsewhere.")
@click.option("--json", "as_lines", is_flag=True, help="Progress as a JSON object per line.")
def run(take_over: bool, as_lines: bool, debug: bool, **given: Any) -> None:
    """Starts the replication, or goes on with it, until the replica has caught up.

    Killed or interrupted at any moment, the same command goes on from where the world is.

    \b
    Example:
      python -m bootstrap run --stack prod --source-profile shop --target-profile replica
    """

    def work() -> int:
        outputs, tables, command = chosen(given)
        this = process()
        errors = operations.run(
            outputs,
            tables,
            gateways(outputs, this, given),
            this,
            command,
            take_over=take_over,
            as_lines=as_lines,
        )
        for error in errors:
            click.echo(str(error), err=True)
        return max((error.exit_code for error in errors), default=0)

    guarded(work, debug, "The same command goes on from here.")


@main.command()
@common_options
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
def status(as_json: bool, debug: bool, **given: Any) -> None:
    """Shows where the replication stands, and the next command. Changes nothing.

    \b
    Example:
      python -m bootstrap status --stack prod --table orders --json
    """

    def work() -> int:
        outputs, tables, command = chosen(given)
        this = process()
        operations.status(
            tables,
            gateways(outputs, this, given),
            this,
            command,
            as_json_text=as_json,
        )
        return 0

    guarded(work, debug)


@main.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def demo(arguments: tuple[str, ...]) -> None:
    """Shows the whole pipeline between two emulated accounts on this machine.

    Arguments are those of `python -m infra.local demo`.

    \b
    Example:
      python -m bootstrap demo --items 5000
    """
    command = [sys.executable, "-m", "infra.local", "demo", *arguments]
    try:
        done = subprocess.run(command, cwd=Path(__file__).resolve().parent.parent, check=False)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(done.returncode)


for _command in quarantine_commands.COMMANDS:
    main.add_command(_command)
