"""The commands beside `run` and `status`: parses, and calls. Nothing is decided here."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from time import time
from typing import Any

import click

from bootstrap.app import operations, show_plan
from bootstrap.cli.exit_codes import ended
from bootstrap.cli.options import chosen, common_options, gateways, guarded, process
from bootstrap.core.errors import UsageError
from bootstrap.core.run_options import Goal, RunOptions
from bootstrap.core.suggestions import PROGRAM
from bootstrap.plan import price_list, replication
from bootstrap.plan.replication import Replication

TAKE_OVER = click.option("--take-over", is_flag=True, help="Replace a run that is alive elsewhere.")
AS_LINES = click.option(
    "--json", "as_lines", is_flag=True, help="Progress as a JSON object per line."
)


def _drive(given: dict[str, Any], orders: RunOptions, take_over: bool, as_lines: bool) -> int:
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
        orders=orders,
    )
    return ended(errors)


@click.command(short_help="Switches the consumer off: nothing is lost.")
@common_options
@TAKE_OVER
@AS_LINES
def pause(take_over: bool, as_lines: bool, debug: bool, **given: Any) -> None:
    """Switches the consumer off. Nothing is lost: what changes waits in the stream.

    The ledger keeps its entries from then on, whatever their age. `status` says how long the
    stream covers the pause.

    \b
    Example:
      python -m bootstrap pause --stack prod --table orders
    """
    guarded(
        lambda: _drive(given, RunOptions(course=Goal.PAUSE), take_over, as_lines),
        debug,
        "The same command goes on from here.",
    )


@click.command(short_help="Ends a pause.")
@common_options
@TAKE_OVER
@AS_LINES
@click.option(
    "--no-wait", is_flag=True, help="Do not wait until what waited is applied: exit with 6."
)
def resume(take_over: bool, as_lines: bool, no_wait: bool, debug: bool, **given: Any) -> None:
    """Ends a pause: the consumer on, and waits until the replica has caught up.

    Ledger entries expire again only then.

    \b
    Example:
      python -m bootstrap resume --stack prod --table orders
    """
    orders = RunOptions(course=Goal.RESUME, wait=not no_wait)
    guarded(
        lambda: _drive(given, orders, take_over, as_lines),
        debug,
        "The same command goes on from here.",
    )


def _planned(
    given: dict[str, Any], config: Path | None, this: operations.Process
) -> tuple[Sequence[Replication], operations.AccountClients]:
    """Return the tables to plan and the clients for them, from a deployed stack or a stack file."""
    if config is None:
        outputs, tables, _ = chosen(given)
        found = [replication.of_outputs(outputs, table) for table in tables]
        return found, gateways(outputs, this, given)
    if given["stack"] or given["outputs"]:
        raise UsageError(
            "--config describes a stack that is not deployed; --stack and --outputs, one that is.",
            fix=f"{PROGRAM} plan {shlex.join(['--config', str(config)])}",
        )
    stack = replication.of_file(config)
    return stack.chosen(given["table"]), operations.AccountClients(
        stack.source,
        stack.target,
        this.timing,
        source_profile=given["source_profile"] or stack.source_profile,
        target_profile=given["target_profile"] or stack.target_profile,
        external_id=given["external_id"],
    )


@click.command(short_help="Shows what `run` would do, and what blocks it.")
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
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
def plan(
    config: Path | None, prices: Path | None, as_json: bool, debug: bool, **given: Any
) -> None:
    """Shows what `run` would do, what blocks it, how long it takes and what it costs.

    Changes nothing. Exits with 1 if something blocks, and says what removes it.

    \b
    Examples:
      python -m bootstrap plan --stack prod --table orders
      python -m bootstrap plan --config Pulumi.prod.yaml
    """

    def work() -> int:
        this = process()
        tables, clients = _planned(given, config, this)
        return show_plan.show_plans(
            tables,
            clients,
            this,
            now=time(),
            as_json=as_json,
            prices=price_list.read(prices) if prices else price_list.PriceList(),
        )

    guarded(work, debug)


@click.command(short_help="Compares the settings of source and target.")
@common_options
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
def parity(as_json: bool, debug: bool, **given: Any) -> None:
    """Compares the settings of source and target. Changes nothing.

    Exits with 1 if the target has drifted from what it is to have while it replicates.

    \b
    Example:
      python -m bootstrap parity --stack prod --table orders
    """

    def work() -> int:
        outputs, tables, _ = chosen(given)
        this = process()
        return show_plan.show_parity(
            outputs, tables, gateways(outputs, this, given), this, now=time(), as_json=as_json
        )

    guarded(work, debug)


COMMANDS = (plan, pause, resume, parity)
