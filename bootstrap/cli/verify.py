"""`verify` and `backfill`: parses, calls and tells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from bootstrap.app.verify_factory import VerifyFactory
from bootstrap.cli.options import chosen, common_options, guarded, process
from bootstrap.core.errors import UsageError
from bootstrap.core.formatting import instant, number
from bootstrap.core.stack_outputs import TableOutputs
from bootstrap.core.suggestions import telling
from bootstrap.journal.verification_records import as_json
from bootstrap.verify.backfill import OUTCOMES, Backfill
from bootstrap.verify.context import VerifyOptions
from bootstrap.verify.verify import Verification, VerifyResult

EXIT_DIFFERENCES = 5
DIRECTORY = Path("build/verify")


@click.command(short_help="Proves source and target equal, item by item.")
@common_options
@click.option("--source-export", metavar="ARN", help="A full export of the source that is there.")
@click.option("--target-export", metavar="ARN", help="A later one of the target.")
@click.option(
    "--enable-target-pitr",
    "enable_target_recovery",
    is_flag=True,
    help="Switch the target's point-in-time recovery on for this, and off again.",
)
@click.option(
    "--sample",
    metavar="FRACTION",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    help="Compare this share of the keys, the same on both sides. Default: all.",
)
@click.option(
    "--until-judged",
    metavar="FRACTION",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Repeat with later exports until this share of the keys is judged.",
)
@click.option(
    "--spool",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where digests are kept, 40 bytes per item and side. Default: build/verify/TABLE.",
)
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the keys that differ are written. Default: beside the spool.",
)
@click.option("--show-values", is_flag=True, help="Write the items into the report, too.")
@click.option(
    "--read-source", is_flag=True, help="Read single keys that were changed since from the source."
)
@click.option("--repair", is_flag=True, help="Mend what differs, through the consumer's guard.")
@click.option("--dry-run", is_flag=True, help="With --repair: only show what differs.")
@click.option("--yes", is_flag=True, help="With --repair: also more than 1,000 keys.")
@click.option("--workers", type=click.IntRange(1), help="Processes. Default: cores, up to 4.")
@click.option("--fresh", is_flag=True, help="Take new exports where a verification was stopped.")
@click.option("--take-over", is_flag=True, help="Replace a verification that is alive elsewhere.")
@click.option("--json", "as_json_text", is_flag=True, help="The result for machines.")
def verify(
    spool: Path | None, report: Path | None, as_json_text: bool, debug: bool, **given: Any
) -> None:
    """Proves source and target equal, item by item, while writes go on.

    Both tables are exported by DynamoDB, which costs no capacity; no item of the source is
    read. What differs is judged by the ledger: a key that was changed after the source's
    export cannot be judged by it, and is counted apart. What is reported as a difference
    is one; what somebody else than the consumer wrote is named as foreign. An export
    that is not what its manifest says is an error, never equal.

    --read-source judges those keys too, by consistent reads of the source and the target,
    one key at a time: one read unit per 4 KB. The stack has to allow it, with
    `operators: {readItems: true}`.

    --repair applies the source's item, or its absence, where they differ: with the version
    of the export's time less two minutes, so that any change since stays. More than 1,000
    keys are only shown unless --yes is given.

    Killed at any moment, the same command goes on with the same exports and spool.

    It says "equal" only where every key was compared and judged and none differs. In --json,
    `equal` is true then, false where keys differ (also where they are mended now), and null where
    nobody knows: in a sample, or while keys are not judged.

    Exits with 5 when it found differences, and did not mend all of them; otherwise with 0, though
    keys, or even all of them, could not be judged: that is no failure, and a later one or
    --until-judged judges more. What needs proof has to look at `equal`.

    \b
    Examples:
      python -m bootstrap verify --stack prod
      python -m bootstrap verify --stack prod --sample 0.01 --json
      python -m bootstrap verify --stack prod --table orders --repair
    """

    def work() -> int:
        outputs, tables, command = chosen(given)
        if (given["dry_run"] or given["yes"]) and not given["repair"]:
            raise UsageError("--dry-run and --yes say how to repair.", fix="--repair with them")
        if (given["source_export"] is None) != (given["target_export"] is None):
            raise UsageError(
                "Exports that are there are named in pairs.",
                fix="both --source-export ARN and --target-export ARN",
            )
        if len(tables) > 1 and (spool or report or given["source_export"]):
            raise UsageError(
                "The stack has several tables, and a spool, a report and exports belong to one.",
                fix=_one_of(tables),
            )
        desks = VerifyFactory(outputs, process(), given, lambda text: click.echo(text, err=True))
        results = []
        for table in tables:
            options = VerifyOptions(
                spool=spool or DIRECTORY / table.source_table,
                report=report,
                **{name: given[name] for name in _PASSED_ON},
            )
            with telling(command[table.source_table]):
                found = Verification(desks.desk(table), options).run()
            results.append(found)
            if not as_json_text:
                click.echo(page(table.source_table, found))
        if as_json_text:
            values = [
                {"table": table.source_table, **result_json(found)}
                for table, found in zip(tables, results, strict=True)
            ]
            value = values[0] if len(values) == 1 else {"tables": values}
            click.echo(json.dumps(value, indent=2))
        differ = any(found.verified.differences > found.verified.repaired for found in results)
        return EXIT_DIFFERENCES if differ else 0

    guarded(work, debug, "The same command goes on from here.")


def _one_of(tables: Sequence[TableOutputs]) -> str:
    return f"--table with one of: {', '.join(table.source_table for table in tables)}"


_PASSED_ON = (
    "source_export",
    "target_export",
    "enable_target_recovery",
    "sample",
    "until_judged",
    "show_values",
    "workers",
    "fresh",
    "take_over",
    "read_source",
    "repair",
    "dry_run",
    "yes",
)


def page(table: str, found: VerifyResult) -> str:
    """The result for people."""
    done = found.verified
    share = "" if done.sample >= 1 else f", a sample of {done.sample:.2%} of the keys"
    rows = [
        ("source", f"as of {instant(done.source_time)}, {number(done.source_items)} items{share}"),
        ("target", f"as of {instant(done.target_time)}, {number(done.target_items)} items"),
        ("equal", f"{number(done.equal)} keys"),
        (
            "changed since",
            f"{number(done.changed_since)} keys, not judged by these exports "
            f"({done.percentage} are)",
        ),
        ("missing", f"{number(done.missing)} in the target"),
        ("extra", f"{number(done.extra)} in the target"),
        ("different", f"{number(done.different)}"),
        ("foreign", f"{number(done.foreign)} written to the target by somebody else"),
    ]
    if found.read:
        rows.insert(3, ("read", f"{number(found.read)} keys, one by one from the source"))
    if found.dry_run:
        rows.append(("repaired", "none: this is what --repair --yes would mend"))
    elif done.repaired:
        rows.append(("repaired", f"{number(done.repaired)} of {number(done.differences)}"))
    if done.differences:
        rows.append(("report", f"{found.report} (keys and the attributes that differ)"))
    lines = [f"{table}: {done.verdict}", *(f"  {name:14} {text}" for name, text in rows)]
    return "\n".join(lines)


def result_json(found: VerifyResult) -> dict[str, Any]:
    """The result for machines."""
    done = found.verified
    return {
        **as_json(done, done.at),
        "rounds": found.rounds,
        "dryRun": found.dry_run,
        "read": found.read,
        "report": str(found.report) if done.differences else None,
    }


@click.command(short_help="Closes a known gap in the changes.")
@common_options
@click.option("--from", "begin", metavar="TIME", help="Begin of the gap, ISO 8601 with a zone.")
@click.option("--to", "end", metavar="TIME", help="Its end.")
@click.option("--from-export", metavar="ARN", help="Apply this full export of the source instead.")
@click.option(
    "--spool",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="For the verification at the end: as for verify.",
)
@click.option("--take-over", is_flag=True, help="Replace a backfill that is alive elsewhere.")
@click.option("--json", "as_json_text", is_flag=True, help="The result for machines.")
def backfill(
    begin: str | None,
    end: str | None,
    from_export: str | None,
    spool: Path | None,
    take_over: bool,
    as_json_text: bool,
    debug: bool,
    **given: Any,
) -> None:
    """Closes a known gap in the changes: streaming was off, or records were lost.

    DynamoDB exports what was written to the source from --from to --to, in windows of 15
    minutes to 24 hours one after the other, and every key's last write goes through the
    consumer's guard with the time of that write: what is newer in the target stays. The
    source's point-in-time recovery has to reach back to the beginning. Where a write lies
    within two seconds of the last one applied, and they differ, neither wins: it is kept in
    quarantine as `ambiguous-order`, and the verification settles it.

    --from-export applies a whole export with its time less two minutes. It mends no delete.

    Ends by verifying the table, always by exports of its own: those of a verification that was
    stopped may be of before the gap. Killed at any moment, the same command goes on. Killed only
    while it verifies, `verify` goes on with its exports.

    \b
    Example:
      python -m bootstrap backfill --stack prod --table orders \\
        --from 2026-03-01T10:00Z --to 2026-03-01T16:30Z
    """

    def work() -> int:
        outputs, tables, _ = chosen(given)
        if len(tables) > 1:
            raise UsageError("A gap is one table's.", fix=_one_of(tables))
        if (begin is None) != (end is None) or (begin is None) == (from_export is None):
            raise UsageError(
                "What to apply is said by either a time or an export.",
                fix="--from TIME --to TIME, or --from-export ARN",
            )
        desks = VerifyFactory(outputs, process(), given, lambda text: click.echo(text, err=True))
        name = tables[0].source_table
        # What a stopped verification has exported may be of before the gap: that proves nothing.
        options = VerifyOptions(spool=spool or DIRECTORY / name, fresh=True)
        verification = Verification(desks.desk(tables[0]), options)
        verification.refuse_unready()
        filling = Backfill(desks.filling(tables[0]))
        if from_export is not None:
            filling.full(from_export, take_over)
        else:
            filling.gap(_instant("--from", begin), _instant("--to", end), take_over)
        counts = {what: filling.counts[what] for what in OUTCOMES}
        if not as_json_text:
            words = ", ".join(f"{number(count)} {what}" for what, count in counts.items())
            click.echo(f"{name}: backfilled: {words}")
        found = verification.run()
        if as_json_text:
            value = {"table": name, "backfill": counts, "verification": result_json(found)}
            click.echo(json.dumps(value, indent=2))
        else:
            click.echo(page(name, found))
        return EXIT_DIFFERENCES if found.verified.differences else 0

    guarded(work, debug, "The same command goes on from here.")


def _instant(option: str, text: str | None) -> float:
    try:
        moment = datetime.fromisoformat(text or "")
        if moment.tzinfo is None:
            raise ValueError
    except ValueError:
        raise UsageError(
            f"{option} {text} is no time with a zone.", fix=f"{option} 2026-03-01T10:00:00Z"
        ) from None
    return moment.timestamp()


COMMANDS: tuple[click.Command, ...] = (verify, backfill)
