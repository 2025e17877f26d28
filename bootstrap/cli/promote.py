"""`promote`: a disaster's command, which makes the target the primary without the source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bootstrap.app.command_options import CommandOptions, Selection, select
from bootstrap.app.factory import AwsClients
from bootstrap.app.process import this_process
from bootstrap.app.promote_tables import look_at, promote_tables, write_report
from bootstrap.cli.duration_option import DurationType
from bootstrap.cli.exit_codes import report
from bootstrap.cli.options import clients_of, common_options, confirm, run_command
from bootstrap.core.errors import AccountError, BootstrapError, Side, UsageError
from bootstrap.core.suggestions import Command, suggest
from bootstrap.cutover.promotion.promote import PromotionResult
from bootstrap.cutover.promotion.report import STILL_ALIVE, page

CONTINUES = "Run `promote --yes` again: where it has begun, it continues."


class DrainType(DurationType):
    """A duration, or 0."""

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> float:
        if value in ("0", "0s"):
            return 0.0
        return super().convert(value, parameter, context)


@click.command(short_help="In a disaster: make the target the primary, without the source.")
@common_options
@click.option("--yes", is_flag=True, help="Do not ask for a confirmation.")
@click.option(
    "--drain",
    metavar="DURATION",
    type=DrainType(),
    default="2m",
    show_default=True,
    help="Wait for up to this long for changes that are on their way. 0: do not wait.",
)
@click.option(
    "--take-over", is_flag=True, help="Replace a process that works on the table and is alive."
)
@click.option("--json", "as_json", is_flag=True, help="Print each table's report as JSON.")
@click.option(
    "--report",
    "report_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for one table's report; its page for a ticket is written beside it, as .md. "
    "Default: build/promote/TABLE-TIME.json.",
)
def promote(
    options: CommandOptions,
    yes: bool,
    drain: float,
    take_over: bool,
    as_json: bool,
    report_file: Path | None,
) -> None:
    """In a disaster: make the target the primary, without any call to the source account.

    For a planned move use `switch`, which loses nothing. This command loses what has not arrived:
    it shows what is known of that, and nothing leads back. The source may still be taking writes;
    nothing here can stop that.

    It waits for changes on their way (--drain), closes the consumer's gate in the target's Region,
    waits 150 seconds until no invocation of the consumer can be running that does not know, and
    then lets writers into the target, which takes AWS some minutes more. Whatever fails after that
    is listed as open, such as an event source mapping in a Region that does not answer: run the
    same command again later. It works from every state in which the target has a complete copy. A
    switch that was under way is void.

    Where the Pulumi state cannot be reached, use --outputs with a file written before.

    Exit codes: 0: the target takes writes, even if something else is open; 1: refused; 4: the
    target is promoted and still refuses its writers, or the target account did not answer. With
    several tables, the worst.

    \b
    Examples:
      python -m bootstrap promote --outputs outputs.json --table orders
      python -m bootstrap promote --outputs outputs.json --yes --drain 30s
    """

    def work() -> int:
        selection, process = select(options), this_process()
        if report_file is not None and len(selection.tables) > 1:
            raise UsageError(
                "--report is for the report of one table.", fix="add --table, or leave it out"
            )
        clients = clients_of(selection.outputs, process, options)
        if not yes:
            _ask(selection, clients, err=as_json)
        errors: list[BootstrapError] = []
        for ended in promote_tables(selection, clients, process, drain=drain, take_over=take_over):
            if isinstance(ended, BootstrapError):
                errors.append(ended)
                continue
            _show(ended, report_file, as_json)
            if not ended.takes_writes:
                errors.append(_still_refuses(ended))
        return report(errors)

    run_command(work, options, CONTINUES)


def _ask(selection: Selection, clients: AwsClients, *, err: bool) -> None:
    """Show what is known of each table, and ask.

    Raises:
        BlockedError: every table is refused, or the answer is no.
    """
    names, refusals = [], []
    for name, found in look_at(selection, clients):
        if isinstance(found, BootstrapError):
            refusals.append(found)
            click.echo(str(found), err=True)
            continue
        names.append(name)
        click.echo(f"{name}: what its target has", err=err)
        for fact in found:
            click.echo(f"  - {fact}", err=err)
    if not names:
        raise refusals[0]
    click.echo(STILL_ALIVE, err=err)
    confirm(
        f"Promote {', '.join(names)} without the source?",
        attempted=f"Promoting {', '.join(names)}",
        declined="Nothing was promoted.",
        err=err,
    )


def _show(result: PromotionResult, file: Path | None, as_json: bool) -> None:
    click.echo(json.dumps(result.report) if as_json else page(result.report))
    try:
        paths = write_report(result, file)
    except OSError as error:
        click.echo(f"{result.table}: the report could not be written: {error}", err=True)
        return
    click.echo(f"{result.table}: report in {paths[0]} and {paths[1]}", err=True)


def _still_refuses(result: PromotionResult) -> AccountError:
    reasons = [error for item, error in result.open if item.name.startswith("target-")]
    return AccountError(
        Side.TARGET,
        f"Table {result.table} is promoted, and its target may still refuse its writers.",
        fix=reasons[0].fix if reasons else suggest(Command("promote", "--yes")),
    )


COMMANDS: tuple[click.Command, ...] = (promote,)
