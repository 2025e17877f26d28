"""`abandon`: shows what it will undo, asks, and undoes it."""

from __future__ import annotations

import dataclasses

import click

from bootstrap.app.command_options import CommandOptions, Selection, select
from bootstrap.app.factory import AwsClients
from bootstrap.app.process import this_process
from bootstrap.app.run_all import run_all
from bootstrap.cli.exit_codes import report
from bootstrap.cli.options import RESUMES, clients_of, common_options, confirm, run_command
from bootstrap.cli.run import AS_LINES, TAKE_OVER
from bootstrap.core.refusals import refuse_in
from bootstrap.core.run_options import Goal, RunOptions
from bootstrap.plan.abandon_preview import undoing


@click.command(short_help="Give up a run, and undo what it made.")
@common_options
@click.option(
    "--drop-target", is_flag=True, help="Also delete the target table, if this run made it."
)
@click.option(
    "--disable-source-pitr",
    is_flag=True,
    help="Also disable the source's point-in-time recovery, if a run enabled it.",
)
@click.option("--yes", is_flag=True, help="Do not ask for a confirmation.")
@TAKE_OVER
@AS_LINES
@click.option(
    "--no-wait",
    is_flag=True,
    help="Exit with 6 while an export or import runs, which AWS does not cancel, or a bulk load "
    "is being cancelled.",
)
def abandon(
    options: CommandOptions,
    drop_target: bool,
    disable_source_pitr: bool,
    yes: bool,
    take_over: bool,
    as_lines: bool,
    no_wait: bool,
) -> None:
    """Give up a run: disable the consumer, delete the exported objects, close the journal.

    Shows first what it will do and what it leaves, and asks. It cancels a running bulk load. It
    waits for a running export or import, which AWS cannot cancel. By default the target table and
    the source's point-in-time recovery stay. No option deletes a table that this tool did not make,
    or an adopted one. Safe to interrupt: run the same command again and it resumes. Afterwards
    `run` starts again with another snapshot, once the target table is gone, or an adopted one is
    empty.

    \b
    Example:
      python -m bootstrap abandon --stack prod --table orders --drop-target
    """
    run_options = RunOptions(
        goal=Goal.ABANDON,
        wait=not no_wait,
        drop_target=drop_target,
        disable_source_pitr=disable_source_pitr,
    )

    def work() -> int:
        selection, process = select(options), this_process()
        clients = clients_of(selection.outputs, process, options)
        begun = _preview(selection, clients, run_options, quietly=as_lines)
        if begun.tables and not yes:
            names = ", ".join(table.source_table for table in begun.tables)
            confirm(
                f"Abandon {names}?",
                attempted=f"Abandoning {names}",
                declined="Nothing was abandoned.",
                err=as_lines,
            )
        errors = run_all(
            begun, clients, process, run_options, take_over=take_over, as_lines=as_lines
        )
        return report(errors)

    run_command(work, options, RESUMES)


def _preview(
    selection: Selection, clients: AwsClients, run_options: RunOptions, *, quietly: bool
) -> Selection:
    """Print what will become of each table; return those that have a run."""
    store, begun = clients.journal(), []
    for table in selection.tables:
        row, _ = store.read(table.source_table)
        if row is None or not row.run_id:
            click.echo(f"{table.source_table}: nothing to abandon, no run has begun", err=quietly)
            continue
        refuse_in(row.state, Goal.ABANDON, table.source_table)
        begun.append(table)
        preview = undoing(
            table,
            row,
            clients.target(table.consumer_region).table(table.target_table),
            selection.outputs,
            drop_target=run_options.drop_target,
            disable_source_pitr=run_options.disable_source_pitr,
            may_open=selection.outputs.denies_other_writers(table),
        )
        click.echo(str(preview), err=quietly)
    return dataclasses.replace(selection, tables=begun)


COMMANDS: tuple[click.Command, ...] = (abandon,)
