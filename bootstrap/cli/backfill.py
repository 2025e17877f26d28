"""`backfill`: closes a known gap in the changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from bootstrap.app.command_options import CommandOptions, select
from bootstrap.app.factory import AwsClients
from bootstrap.app.process import this_process
from bootstrap.cli.options import RESUMES, clients_of, common_options, run_command
from bootstrap.cli.verify import DIRECTORY, EXIT_DIFFERENCES, one_of, page, result_json, say
from bootstrap.core.errors import UsageError
from bootstrap.core.formatting import number
from bootstrap.core.refusals import BACKFILL
from bootstrap.core.stack_outputs import TableOutputs
from bootstrap.verify.backfill import OUTCOMES, Backfill
from bootstrap.verify.context import VerifyOptions
from bootstrap.verify.verify import Verification


@click.command(short_help="Close a known gap in the changes.")
@common_options
@click.option("--from", "begin", metavar="TIME", help="Begin of the gap, ISO 8601 with a zone.")
@click.option("--to", "end", metavar="TIME", help="End of the gap, ISO 8601 with a zone.")
@click.option("--from-export", metavar="ARN", help="Apply this full export of the source instead.")
@click.option(
    "--spool",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory for the digests of the verification at the end. Default: build/verify/TABLE.",
)
@click.option(
    "--take-over", is_flag=True, help="Replace a backfill that another process is working on."
)
@click.option("--json", "as_json_text", is_flag=True, help="Print the result as JSON.")
def backfill(
    options: CommandOptions,
    begin: str | None,
    end: str | None,
    from_export: str | None,
    spool: Path | None,
    take_over: bool,
    as_json_text: bool,
) -> None:
    """Close a known gap in the changes: streaming was off, or records were lost.

    DynamoDB exports what was written to the source from --from to --to, in consecutive windows of
    15 minutes to 24 hours. The last write of each key is applied with the time of that write, so
    what is newer in the target stays. The source's point-in-time recovery has to reach back to the
    beginning. Where a write lies within two seconds of the last one applied, and they differ, the
    target stays as it is: the write is kept in quarantine as `ambiguous-order`, and the
    verification settles it.

    --from-export applies a whole export with its time less two minutes. It repairs no delete.

    Ends by verifying the table, always with new exports: those of an interrupted verification may
    be older than the gap. Safe to interrupt: run the same command again and it resumes. After an
    interruption in the verification, `verify` resumes with its exports.

    \b
    Example:
      python -m bootstrap backfill --stack prod --table orders \\
        --from 2026-03-01T10:00Z --to 2026-03-01T16:30Z
    """

    def work() -> int:
        selection = select(options)
        gap = _gap(selection.tables, begin, end, from_export)
        table = selection.tables[0]
        clients = clients_of(selection.outputs, this_process(), options)
        # The exports of an interrupted verification may be older than the gap, and prove nothing.
        verify_options = VerifyOptions(spool=spool or DIRECTORY / table.source_table, fresh=True)
        verification = Verification(clients.verify_context(table, say), verify_options)
        verification.refuse_unready(BACKFILL)
        counts = gap.close(clients, table, take_over)
        if not as_json_text:
            words = ", ".join(f"{number(count)} {what}" for what, count in counts.items())
            click.echo(f"{table.source_table}: backfilled: {words}")
        found = verification.run()
        if as_json_text:
            name = table.source_table
            value = {"table": name, "backfill": counts, "verification": result_json(found)}
            click.echo(json.dumps(value, indent=2))
        else:
            click.echo(page(table.source_table, found))
        return EXIT_DIFFERENCES if found.verified.differences else 0

    run_command(work, options, RESUMES)


@dataclass(frozen=True)
class _Gap:
    """The changes to apply: made in [begin, end), in epoch seconds, or those of a whole export."""

    begin: float = 0
    end: float = 0
    export: str = ""

    def close(self, clients: AwsClients, table: TableOutputs, take_over: bool) -> dict[str, int]:
        """Apply them; return how many lines ended in which way."""
        filling = Backfill(clients.backfill_context(table, say))
        if self.export:
            filling.full(self.export, take_over)
        else:
            filling.gap(self.begin, self.end, take_over)
        return {what: filling.counts[what] for what in OUTCOMES}


def _gap(
    tables: Sequence[TableOutputs], begin: str | None, end: str | None, from_export: str | None
) -> _Gap:
    if len(tables) > 1:
        raise UsageError("A backfill is of one table.", fix=one_of(tables))
    if (begin is None) != (end is None) or (begin is None) == (from_export is None):
        raise UsageError(
            "Specify what to backfill: either --from and --to, or --from-export.",
            fix="--from TIME --to TIME, or --from-export ARN",
        )
    if from_export is not None:
        return _Gap(export=from_export)
    return _Gap(_instant("--from", begin), _instant("--to", end))


def _instant(option: str, text: str | None) -> float:
    try:
        moment = datetime.fromisoformat(text or "")
        if moment.tzinfo is None:
            raise ValueError
    except ValueError:
        raise UsageError(
            f"{option} {text} is not a time with a zone.", fix=f"{option} 2026-03-01T10:00:00Z"
        ) from None
    return moment.timestamp()


COMMANDS: tuple[click.Command, ...] = (backfill,)
