"""`status`: the state of each table, and the next command."""

from __future__ import annotations

import click

from bootstrap.app.command_options import CommandOptions, select
from bootstrap.app.process import this_process
from bootstrap.app.show_status import show_status
from bootstrap.cli.options import checked_stack, clients_of, common_options, run_command


@click.command(short_help="Show the state, and the next command.")
@common_options
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--watch", is_flag=True, help="Refresh every 10 seconds, until Ctrl-C.")
@click.option(
    "--operator", is_flag=True, help="Assume the stack's read-only roles, which can change nothing."
)
def status(options: CommandOptions, as_json: bool, watch: bool, operator: bool) -> None:
    """Show the state of the replication, and the next command. Changes nothing.

    \b
    Example:
      python -m bootstrap status --stack prod --table orders --json
    """

    def work() -> int:
        selection, process = select(options), this_process()
        outputs = selection.outputs.for_looking() if operator else selection.outputs
        clients = clients_of(outputs, process, options)
        found = checked_stack(options, outputs, clients)
        show_status(selection, clients, process, found=found, as_json_text=as_json, watch=watch)
        return 0

    run_command(work, options)


COMMANDS: tuple[click.Command, ...] = (status,)
