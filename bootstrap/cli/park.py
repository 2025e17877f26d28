"""`park` and `unpark`: records that the consumer quarantines without reading them."""

from __future__ import annotations

import click

from bootstrap.app.command_options import CommandOptions
from bootstrap.cli import quarantine
from bootstrap.cli.options import common_options, run_command
from bootstrap.core.errors import UsageError
from bootstrap.core.refusals import PARK
from bootstrap.core.suggestions import Command, suggest
from bootstrap.quarantine import parks
from bootstrap.quarantine.context import QuarantineContext


@click.command(short_help="Quarantine a record without reading it.")
@common_options
@click.argument("shard", required=False)
@click.argument("sequence", required=False)
@click.option("--list", "list_parks", is_flag=True, help="List the parked records.")
def park(
    options: CommandOptions, shard: str | None, sequence: str | None, list_parks: bool
) -> None:
    """Make the consumer quarantine one record whole, without reading it.

    For a record that crashes the function (out of memory, out of time): Lambda would retry it until
    the stream forgets it, and its shard would wait. Once a batch is down to that record, the log
    names it before the consumer reads it: `A batch of one record`, with shardId and
    sequenceNumber. The consumer follows a park within 30 seconds. The record is then in quarantine
    as `parked`.

    Where a table's buffer is its own stream, name the sequence number alone: there the consumer
    does not know the shard.

    \b
    Examples:
      python -m bootstrap park --stack prod shardId-000000000002 \\
        49578734086442259037497492980620233840400173390482112546
      python -m bootstrap park --list --stack prod
    """

    def work() -> int:
        if list_parks:
            if shard is not None:
                raise UsageError("--list takes no SHARD.", fix=suggest(Command("park", "--list")))
            for context in quarantine.contexts_of(options):
                _print_parks(context)
            return 0
        context = quarantine.only_context(options)
        place = _place(context, shard, sequence, "park")
        context.refuse(PARK)
        context.ledger.park(place)
        click.echo(f"{context.table.source_table}: parked {place}. {parks.TAKES_EFFECT}")
        click.echo("Then: quarantine list shows it as `parked`; unpark it once it does.")
        return 0

    run_command(work, options)


@click.command(short_help="Cancel a park.")
@common_options
@click.argument("shard")
@click.argument("sequence", required=False)
def unpark(options: CommandOptions, shard: str, sequence: str | None) -> None:
    """Cancel a park. A record that is already in quarantine stays there.

    \b
    Example:
      python -m bootstrap unpark --stack prod shardId-000000000002 \\
        49578734086442259037497492980620233840400173390482112546
    """

    def work() -> int:
        context = quarantine.only_context(options)
        place = _place(context, shard, sequence, "unpark")
        if place not in context.ledger.parks():
            raise UsageError(
                f"{place} is not parked.",
                fix=suggest(Command("park", "--list"), ", which shows what is"),
            )
        context.ledger.unpark(place)
        click.echo(f"{context.table.source_table}: unparked {place}. {parks.TAKES_EFFECT}")
        return 0

    run_command(work, options)


def _place(
    context: QuarantineContext, shard: str | None, sequence: str | None, command: str
) -> str:
    if context.table.reads_table_stream:
        if shard is None or sequence is not None:
            raise UsageError(
                f"To {command} a record of {context.table.source_table}, name its sequence number "
                "alone: its buffer is its own stream, whose events name no shard.",
                fix=suggest(Command(command, "SEQUENCE"), ", or ", Command("park", "--list")),
            )
        return parks.format_park_by_number(shard)
    if shard is None or sequence is None:
        raise UsageError(
            f"To {command} a record, name its shard and its sequence number.",
            fix=suggest(Command(command, "SHARD SEQUENCE"), ", or ", Command("park", "--list")),
        )
    return parks.format_park(shard, sequence)


def _print_parks(context: QuarantineContext) -> None:
    name, found = context.table.source_table, sorted(context.ledger.parks())
    click.echo(f"{name}: {len(found)} parked" if found else f"{name}: nothing is parked")
    for place in found:
        click.echo(f"  {place.replace(':', ' ')}")


COMMANDS: tuple[click.Command, ...] = (park, unpark)
