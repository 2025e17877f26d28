"""`abandon`: says what it will do, asks, and does it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from bootstrap.app import operations
from bootstrap.app.operations import Gateways
from bootstrap.cli.exit_codes import ended
from bootstrap.cli.options import chosen, common_options, gateways, guarded, process
from bootstrap.core.errors import BlockedError, UsageError
from bootstrap.core.run_options import Goal, RunOptions
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.plan.abandon_preview import undoing


@click.command(short_help="Gives a run up, and undoes what it made.")
@common_options
@click.option(
    "--drop-target", is_flag=True, help="Delete the target table, too, if this run imported it."
)
@click.option(
    "--disable-source-pitr",
    is_flag=True,
    help="Switch the source's point-in-time recovery off, too, if a run switched it on.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--take-over", is_flag=True, help="Replace a run that is alive elsewhere.")
@click.option("--json", "as_lines", is_flag=True, help="Progress as a JSON object per line.")
@click.option(
    "--no-wait",
    is_flag=True,
    help="Do not wait for an export or import, which AWS does not cancel: exit with 6.",
)
def abandon(
    drop_target: bool,
    disable_source_pitr: bool,
    yes: bool,
    take_over: bool,
    as_lines: bool,
    no_wait: bool,
    debug: bool,
    **given: Any,
) -> None:
    """Gives a run up: the consumer off, what was exported deleted, the journal closed.

    Says first what it will do and what it leaves, and asks. An export or import that runs is
    waited for: AWS cancels neither. The target table and the source's point-in-time recovery
    stay unless told otherwise, and are not touched where no run of this tool made them. Killed
    at any moment, the same command goes on. Afterwards `run` begins anew, with another
    snapshot, once the target table is gone.

    \b
    Example:
      python -m bootstrap abandon --stack prod --table orders --drop-target
    """

    def work() -> int:
        outputs, tables, command = chosen(given)
        this = process()
        made = gateways(outputs, this, given)
        orders = RunOptions(
            course=Goal.ABANDON,
            wait=not no_wait,
            drop_target=drop_target,
            disable_source_pitr=disable_source_pitr,
        )
        begun = _told(outputs, tables, made, orders, quietly=as_lines)
        if begun and not yes:
            _ask(begun, quietly=as_lines)
        errors = operations.run(
            outputs,
            begun,
            made,
            this,
            command,
            take_over=take_over,
            as_lines=as_lines,
            orders=orders,
        )
        return ended(errors)

    guarded(work, debug, "The same command goes on from here.")


def _told(
    outputs: Outputs,
    tables: Sequence[TableOutputs],
    made: Gateways,
    orders: RunOptions,
    *,
    quietly: bool,
) -> list[TableOutputs]:
    """The tables that have a run, each with what will become of it said."""
    store, begun = made.journal(), []
    for table in tables:
        row, _ = store.read(table.source_table)
        if row is None or not row.run_id:
            click.echo(f"{table.source_table}: nothing to abandon, no run has begun", err=quietly)
            continue
        begun.append(table)
        told = undoing(
            table,
            row,
            made.target(table.consumer_region).table(table.target_table),
            outputs.snapshot_bucket,
            drop_target=orders.drop_target,
            disable_source_pitr=orders.disable_source_pitr,
        )
        click.echo(str(told), err=quietly)
    return begun


def _can_answer() -> bool:
    return sys.stdin.isatty()


def _ask(tables: Sequence[TableOutputs], *, quietly: bool) -> None:
    if not _can_answer():
        raise UsageError(
            "Abandoning a run is asked about, and nobody can answer here.",
            fix="the same with --yes",
        )
    names = ", ".join(table.source_table for table in tables)
    try:
        agreed = click.confirm(f"Abandon {names}?", err=quietly)
    except click.Abort:
        agreed = False
    if not agreed:
        raise BlockedError("Nothing was abandoned.", fix="the same, and answer y")


COMMANDS: tuple[click.Command, ...] = (abandon,)
