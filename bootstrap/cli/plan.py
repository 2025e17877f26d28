"""`plan` and `parity`: shows what a run would do, and which settings have drifted."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import time

import click

from bootstrap.app.account_clients import AccountClients
from bootstrap.app.command_options import CommandOptions, select
from bootstrap.app.factory import AwsClients
from bootstrap.app.process import Process, this_process
from bootstrap.app.show_plan import show_parity, show_plans
from bootstrap.app.stack_check import StackCheck
from bootstrap.cli.options import (
    SKIP_CROSS_ACCOUNT_CHECK,
    checked_stack,
    clients_of,
    common_options,
    run_command,
)
from bootstrap.core.errors import UsageError
from bootstrap.core.suggestions import PROGRAM
from bootstrap.plan import price_list, replication
from bootstrap.plan.replication import Replication

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")


@click.command(short_help="Show what `run` would do, and what blocks it.")
@common_options
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Pulumi.STACK.yaml of a stack that is not deployed yet, instead of --stack.",
)
@click.option(
    "--prices",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Your own prices for the estimate (YAML, `name: US dollars`). Default: list prices.",
)
@SKIP_CROSS_ACCOUNT_CHECK
@AS_JSON
def plan(
    options: CommandOptions,
    config: Path | None,
    prices: Path | None,
    skip_cross_account_check: bool,
    as_json: bool,
) -> None:
    """Show what `run` would do, what blocks it, how long it takes and what it costs.

    Changes nothing. Exits with 1 if something blocks, and names the fix. For a deployed stack it
    also checks that the snapshot can cross the accounts: it writes a small object into the snapshot
    bucket, and deletes it.

    \b
    Examples:
      python -m bootstrap plan --stack prod --table orders
      python -m bootstrap plan --config Pulumi.prod.yaml
    """

    def work() -> int:
        process = this_process()
        tables, clients, found = _planned(options, config, process)
        deployed = clients if isinstance(clients, AwsClients) else None
        return show_plans(
            tables,
            clients,
            process,
            cross_account_check=deployed.cross_account_check()
            if deployed and not skip_cross_account_check
            else None,
            found=found,
            now=time(),
            as_json=as_json,
            prices=price_list.read(prices) if prices else price_list.PriceList(),
        )

    run_command(work, options)


def _planned(
    options: CommandOptions, config: Path | None, process: Process
) -> tuple[Sequence[Replication], AccountClients, StackCheck | None]:
    """Return the tables to plan, of a deployed stack or a stack file, and clients for them."""
    if config is None:
        selection = select(options)
        tables = [replication.of_outputs(selection.outputs, table) for table in selection.tables]
        deployed = clients_of(selection.outputs, process, options)
        return tables, deployed, checked_stack(options, selection.outputs, deployed)
    if options.stack or options.outputs:
        raise UsageError(
            "--config is for a stack that is not deployed, --stack and --outputs for one that is.",
            fix=f"{PROGRAM} plan {shlex.join(['--config', str(config)])}",
        )
    stack = replication.of_file(config)
    with_profiles = replace(
        options,
        source_profile=options.source_profile or stack.source_profile,
        target_profile=options.target_profile or stack.target_profile,
    )
    clients = AccountClients(stack.source, stack.target, process, with_profiles)
    return stack.chosen(options.table), clients, None


@click.command(short_help="Compare the settings of source and target.")
@common_options
@AS_JSON
def parity(options: CommandOptions, as_json: bool) -> None:
    """Compare the settings of source and target. Changes nothing.

    Exits with 1 if the target has drifted from what it should have while it replicates. An
    adopted table's own settings (docs/operate.md) do not count as drift.

    \b
    Example:
      python -m bootstrap parity --stack prod --table orders
    """

    def work() -> int:
        chosen, process = select(options), this_process()
        clients = clients_of(chosen.outputs, process, options)
        return show_parity(chosen, clients, process, now=time(), as_json=as_json)

    run_command(work, options)


COMMANDS: tuple[click.Command, ...] = (plan, parity)
