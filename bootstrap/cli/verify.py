"""`verify`: proves source and target equal, item by item."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from bootstrap.app.command_options import CommandOptions, select
from bootstrap.app.process import this_process
from bootstrap.cli.engine_options import EngineOptions, engine_options
from bootstrap.cli.options import RESUMES, clients_of, common_options, run_command
from bootstrap.core.errors import UsageError, errors_about
from bootstrap.core.facts import TableFacts
from bootstrap.core.formatting import instant, number
from bootstrap.core.poller import Poller
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.journal.verification_records import JobRunRecord, as_json, row_name
from bootstrap.plan.price_list import PriceList
from bootstrap.plan.prices import Prices
from bootstrap.plan.verification_estimate import VerificationEstimate, estimate_verification
from bootstrap.verify.compare.workers import default_workers
from bootstrap.verify.context import VerifyContext, VerifyOptions
from bootstrap.verify.engines.choice import job_of
from bootstrap.verify.engines.glue import NoRunError, cancel_run
from bootstrap.verify.verify import Verification, VerifyResult
from infra.verification_names import USUAL_WORKERS

EXIT_DIFFERENCES = 5
DIRECTORY = Path("build/verify")


@click.command(short_help="Prove source and target equal, item by item.")
@common_options
@click.option(
    "--source-export",
    metavar="ARN",
    help="An existing full export of the source. Default: a new one.",
)
@click.option(
    "--target-export",
    metavar="ARN",
    help="An existing, later one of the target. Default: a new one.",
)
@click.option(
    "--enable-target-pitr",
    "enable_target_recovery",
    is_flag=True,
    help="Enable the target's point-in-time recovery for the export, and disable it again.",
)
@click.option(
    "--sample",
    metavar="FRACTION",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    help="Compare this share of the keys (above 0, up to 1), the same on both sides. Default: 1.",
)
@click.option(
    "--until-judged",
    metavar="FRACTION",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Repeat with later exports until this share of the keys (0 to 1) is judged. Default: 0.",
)
@click.option(
    "--spool",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory for digests, 40 bytes per item and side. Default: build/verify/TABLE.",
)
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the keys that differ. Default: beside the spool.",
)
@click.option("--show-values", is_flag=True, help="Also write the items into the report.")
@click.option(
    "--read-source",
    is_flag=True,
    help="Read single keys that changed since the export from the source.",
)
@click.option(
    "--repair", is_flag=True, help="Repair what differs. A newer change is never overwritten."
)
@click.option("--dry-run", is_flag=True, help="With --repair: only show what would be repaired.")
@click.option("--yes", is_flag=True, help="With --repair: also repair more than 1,000 keys.")
@engine_options
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Number of processes. Default: the number of cores, up to 4; with Spark, all of them.",
)
@click.option(
    "--fresh",
    is_flag=True,
    help="Take new exports instead of resuming an interrupted verification.",
)
@click.option(
    "--take-over", is_flag=True, help="Replace a verification that another process is working on."
)
@click.option("--json", "as_json_text", is_flag=True, help="Print the result as JSON.")
def verify(
    options: CommandOptions,
    source_export: str | None,
    target_export: str | None,
    enable_target_recovery: bool,
    sample: float,
    until_judged: float,
    spool: Path | None,
    report: Path | None,
    show_values: bool,
    read_source: bool,
    repair: bool,
    dry_run: bool,
    yes: bool,
    engine_choice: EngineOptions,
    workers: int | None,
    fresh: bool,
    take_over: bool,
    as_json_text: bool,
) -> None:
    """Prove source and target equal, item by item, while writes continue.

    DynamoDB exports both tables, which costs no capacity; no item of the source is read. The
    ledger judges what differs: a key that changed after the source's export cannot be judged by
    that export, and is counted apart. What is reported as a difference is one; an item that
    another writer than the consumer wrote is reported as foreign. An export that does not match
    its manifest is an error, never equal.

    --read-source judges those keys too, by consistent reads of the source and the target, one key
    at a time: one read unit per 4 KB. The stack has to allow it, with
    `operators: {readItems: true}`.

    --repair applies the source's item, or its absence, where they differ: with the export's time
    less two minutes as its version, so that any later change stays. More than 1,000 keys are only
    shown unless --yes is given.

    --engine spark compares with Spark, which requirements-spark.txt installs, instead of processes
    of this tool. It finds the same differences. What is judged, reported and repaired is the same.

    --engine glue compares by the job that the stack made in the target account. A run that is under
    way is found again, one that ended without a result is repeated only with --new-job-run, and an
    interrupted command leaves its run running; --cancel stops it.

    Safe to interrupt: run the same command again and it resumes with the same exports and spool.

    It reports "equal" only where every key was compared and judged and none differs. In --json,
    `equal` is true then, false where keys differ (also where they are repaired now), and null
    where it is unknown: in a sample, or while keys are not judged.

    Exits with 5 when it found differences and did not repair all of them; otherwise with 0, even
    if keys could not be judged: that is no failure, and a later verification or --until-judged
    judges more. To prove equality, look at `equal`.

    \b
    Examples:
      python -m bootstrap verify --stack prod
      python -m bootstrap verify --stack prod --sample 0.01 --json
      python -m bootstrap verify --stack prod --table orders --repair
    """

    def options_of(table: TableOutputs, engine: str) -> VerifyOptions:
        return VerifyOptions(
            spool=spool or DIRECTORY / table.source_table,
            report=report,
            source_export=source_export,
            target_export=target_export,
            sample=sample,
            until_judged=until_judged,
            enable_target_recovery=enable_target_recovery,
            show_values=show_values,
            fresh=fresh,
            take_over=take_over,
            read_source=read_source,
            repair=repair,
            dry_run=dry_run,
            yes=yes,
            workers=workers,
            engine=engine,
            limits=engine_choice.limits,
            new_job_run=engine_choice.new_job_run,
        )

    def work() -> int:
        selection = select(options)
        if (dry_run or yes) and not repair:
            raise UsageError("--dry-run and --yes are options of --repair.", fix="add --repair")
        if (source_export is None) != (target_export is None):
            raise UsageError(
                "--source-export and --target-export must be given together.",
                fix="both --source-export ARN and --target-export ARN",
            )
        if len(selection.tables) > 1 and (spool or report or source_export):
            raise UsageError(
                "The stack has several tables, and a spool, a report and exports belong to one.",
                fix=one_of(selection.tables),
            )
        engine = engine_choice.chosen(selection.outputs)
        prices = engine_choice.price_list
        clients = clients_of(selection.outputs, this_process(), options)
        if engine_choice.cancel:
            cancelled, idle = 0, None
            for table in selection.tables:
                with errors_about(selection.commands[table.source_table]):
                    # Without the lease, which the command that waits for the run holds.
                    context = replace(clients.verify_context(table, say), glue=clients.glue_job())
                    context = priced(context, prices)
                    try:
                        click.echo(cancel(context))
                        cancelled += 1
                    except NoRunError as error:
                        idle = error  # another table's run continues, and is paid for
            if idle is not None and not cancelled:
                raise idle
            return 0
        if engine_choice.estimate:
            estimates = [
                (
                    table.source_table,
                    estimate(
                        clients.source().table(table.source_table),
                        selection.outputs,
                        workers,
                        prices.prices,
                    ),
                )
                for table in selection.tables
            ]
            click.echo(estimates_page(estimates, prices.origin, as_json_text=as_json_text))
            return 0
        results = []
        for table in selection.tables:
            context = priced(clients.verify_context(table, say), prices)
            with errors_about(selection.commands[table.source_table]):
                found = Verification(context, options_of(table, engine)).run()
            results.append(found)
            if not as_json_text:
                click.echo(page(table.source_table, found))
        if as_json_text:
            values = [
                {"table": table.source_table, **result_json(found)}
                for table, found in zip(selection.tables, results, strict=True)
            ]
            value = values[0] if len(values) == 1 else {"tables": values}
            click.echo(json.dumps(value, indent=2))
        differ = any(found.verified.differences > found.verified.repaired for found in results)
        return EXIT_DIFFERENCES if differ else 0

    run_command(work, options, RESUMES)


def estimate(
    facts: TableFacts | None, outputs: Outputs, workers: int | None, prices: Prices
) -> VerificationEstimate:
    """Estimate a comparison from the source's size, as DynamoDB counted it last."""
    job = outputs.verification.job
    return estimate_verification(
        facts.items if facts else 0,
        facts.size_bytes if facts else 0,
        processes=workers or default_workers(),
        workers=job.workers if job else USUAL_WORKERS,
        dpus=job.dpus if job else USUAL_WORKERS,
        price=prices,
    )


def estimates_page(
    found: Sequence[tuple[str, VerificationEstimate]], origin: str, *, as_json_text: bool
) -> str:
    """Render the estimates of tables, for machines or for people."""
    if as_json_text:
        values = [{"table": table, **each.json} for table, each in found]
        return json.dumps(values[0] if len(values) == 1 else {"tables": values}, indent=2)
    lines = []
    for table, each in found:
        lines.append(f"{table}: {each.text}")
        if each.advice:
            lines.append(f"  note: {each.advice}")
    return "\n".join([*lines, f"({origin})"])


def priced(context: VerifyContext, prices: PriceList) -> VerifyContext:
    """Count the cost of runs on Glue by these prices."""
    if context.glue is None:
        return context
    job = replace(context.glue, dpu_hour=prices.prices.glue_dpu_hour)
    return replace(context, glue=job)


def cancel(context: VerifyContext) -> str:
    """Stop a table's run on Glue. The command that waits for it sees the end."""
    row, _ = context.store.read(row_name(context.table.source_table))
    record = row.record(JobRunRecord) if row else None
    poller = Poller(context.clock, context.timing, lambda: None, context.say)
    return cancel_run(job_of(context), record, poller)


def say(text: str) -> None:
    """Report progress beside the result."""
    click.echo(text, err=True)


def one_of(tables: Sequence[TableOutputs]) -> str:
    """Suggest the option that names one table."""
    return f"--table with one of: {', '.join(table.source_table for table in tables)}"


def page(table: str, found: VerifyResult) -> str:
    """Render the result for people."""
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
        ("foreign", f"{number(done.foreign)} written to the target by another writer"),
    ]
    if found.read:
        rows.insert(3, ("read", f"{number(found.read)} keys, one by one from the source"))
    if found.dry_run:
        rows.append(("repaired", "none: this is what --repair --yes would repair"))
    elif done.repaired:
        rows.append(("repaired", f"{number(done.repaired)} of {number(done.differences)}"))
    if done.differences:
        rows.append(("report", f"{found.report} (keys and the attributes that differ)"))
    lines = [f"{table}: {done.verdict}", *(f"  {name:14} {text}" for name, text in rows)]
    return "\n".join(lines)


def result_json(found: VerifyResult) -> dict[str, Any]:
    """Render the result for machines."""
    done = found.verified
    return {
        **as_json(done, done.at),
        "rounds": found.rounds,
        "dryRun": found.dry_run,
        "read": found.read,
        "report": str(found.report) if done.differences else None,
    }


COMMANDS: tuple[click.Command, ...] = (verify,)
