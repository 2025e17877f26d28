"""The command line: parses, and calls. Nothing is decided here."""

from __future__ import annotations

from typing import Any

import click

from bootstrap.app import operations
from bootstrap.cli import abandon, commands
from bootstrap.cli import explain as explain_commands
from bootstrap.cli import quarantine as quarantine_commands
from bootstrap.cli import verify as verify_commands
from bootstrap.cli.exit_codes import ended
from bootstrap.cli.options import chosen, common_options, gateways, guarded, process
from bootstrap.core.run_options import STOPS, RunOptions, TtlPolicy
from bootstrap.core.state import State


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Replicates a DynamoDB table into another AWS account.

    `plan` says what would be done, `run` does it, and `status` says at any time what comes next.

    Exit codes: 0 done, 1 blocked, 2 usage, 3 the source account's turn, 4 the target
    account's turn, 5 differences, 6 still running, 70 a bug.
    """


@main.command(short_help="Starts the replication, or goes on with it.")
@common_options
@click.option("--take-over", is_flag=True, help="Replace a run that is alive elsewhere.")
@click.option("--json", "as_lines", is_flag=True, help="Progress as a JSON object per line.")
@click.option(
    "--no-wait",
    is_flag=True,
    help="Do not wait for export, import and backlog, which go on by themselves: exit with 6.",
)
@click.option(
    "--until",
    type=click.Choice([str(state) for state in STOPS]),
    default=str(State.REPLICATING),
    show_default=True,
    help="Stop when this state is reached, before its work begins.",
)
@click.option(
    "--ttl",
    type=click.Choice([str(policy) for policy in TtlPolicy]),
    help="When the target expires items by itself. Default: as told before, or at-switch.",
)
@click.option(
    "--discard-failed-import",
    is_flag=True,
    help="Delete the table that an import left whose failure was told before, and import again.",
)
@click.option(
    "--accept-import-errors",
    is_flag=True,
    help="Go on without the items that an import left out: the replica is DEGRADED until "
    "`verify --repair` has put them in.",
)
def run(
    take_over: bool,
    as_lines: bool,
    no_wait: bool,
    until: str,
    ttl: str | None,
    discard_failed_import: bool,
    accept_import_errors: bool,
    debug: bool,
    **given: Any,
) -> None:
    """Starts the replication, or goes on with it, until the replica has caught up.

    Killed or interrupted at any moment, the same command goes on from where the world is.
    What has to be watched without a break is waited for even with --no-wait: the buffer, until
    the export has begun, which takes some six minutes.

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
            orders=RunOptions(
                until=State(until),
                wait=not no_wait,
                ttl=TtlPolicy(ttl) if ttl else None,
                discard_failed_import=discard_failed_import,
                accept_import_errors=accept_import_errors,
            ),
        )
        return ended(errors)

    guarded(work, debug, "The same command goes on from here.")


@main.command(short_help="Shows where it stands, and the next command.")
@common_options
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
@click.option("--watch", is_flag=True, help="Look again every ten seconds, until Ctrl-C.")
@click.option("--operator", is_flag=True, help="Assume the stack's roles that can change nothing.")
def status(as_json: bool, watch: bool, operator: bool, debug: bool, **given: Any) -> None:
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
            gateways(outputs.for_looking() if operator else outputs, this, given),
            this,
            command,
            as_json_text=as_json,
            watch=watch,
        )
        return 0

    guarded(work, debug)


for _command in (
    *commands.COMMANDS,
    *abandon.COMMANDS,
    *explain_commands.COMMANDS,
    *quarantine_commands.COMMANDS,
    *verify_commands.COMMANDS,
):
    main.add_command(_command)
