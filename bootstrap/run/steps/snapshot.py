"""The export: a snapshot as of a moment at which the buffer already received changes."""

from __future__ import annotations

import dataclasses
import math

from bootstrap.core.errors import AccountError, BlockedError, Side
from bootstrap.core.export_search import begin_window, start_or_find, token_is_valid
from bootstrap.core.facts import ExportFacts, ExportRequest, Measure
from bootstrap.core.formatting import moment
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.journal.records import Buffered, Exported, RecoveryRecord
from bootstrap.run.step import Step
from bootstrap.run.step_context import StepContext

DATE_RESOLUTION = 1
"""Seconds. AWS's Date header drops the fraction: the observation was up to this much later."""


def advance(context: StepContext) -> Outcome:
    """Lead to a complete export, one act at a time."""
    exported = context.journal.get(Exported)
    if exported is None or not exported.begun:
        return _intend(context, exported or Exported())
    if exported.done:
        return Done()
    if not exported.arn:
        return _begin(context, exported)
    return _follow(context, exported)


STEP = Step("export", State.EXPORTING, advance)


def _intend(context: StepContext, exported: Exported) -> Outcome:
    """Choose ExportTime, and wait until DynamoDB can export as of it."""
    journal, table, timing = context.journal, context.table, context.timing
    buffered = journal.get(Buffered)
    if buffered is None:
        raise AssertionError("The buffer step comes first.")
    backups = context.source.backups(table.source_table)
    if not backups.enabled:
        journal.put(
            RecoveryRecord(journal.now()), "switching on point-in-time recovery of the source"
        )
        context.source.enable_backups(table.source_table)
        return Acted()
    # The snapshot must not be older than the buffer: a change made before the destination was
    # ACTIVE is not in the stream, so it has to be in the snapshot. Hence two minutes after the
    # observation, by AWS's own clock, and never the default of the call, which lies about five
    # minutes back. A recovery window that was opened only now begins later still.
    earliest = buffered.active_at + DATE_RESOLUTION + timing.export_margin
    export_time = math.ceil(max(earliest, backups.earliest or 0))
    if backups.latest is None or backups.latest < export_time:
        return Pending(
            f"point-in-time recovery to reach the export time {moment(export_time)}",
            timing.poll(10),
            Measure(since=buffered.active_at),
        )
    prefix = f"{table.snapshot_prefix}/{journal.run_id}/{exported.attempt}"
    # Token and ExportTime before the call: a later process repeats the same call, or finds the
    # export that it started. Neither pays for a second one.
    journal.put(
        Exported(
            attempt=exported.attempt,
            token=f"{journal.run_id}-export-{exported.attempt}",
            export_time=export_time,
            prefix=prefix,
            intended_at=journal.now(),
        ),
        f"exporting as of {moment(export_time)} to {prefix}/",
    )
    return Acted()


def _begin(context: StepContext, exported: Exported) -> Outcome:
    """Start the export, unless it exists already."""
    journal, table, outputs = context.journal, context.table, context.outputs
    if not token_is_valid(exported.intended_at, journal.now()):
        facts = find_started_export(context, exported)
        if facts is None:
            return _retry(context, exported, "the export that was intended never began")
    else:
        request = ExportRequest(
            table_arn=table.source_table_arn,
            export_time=exported.export_time,
            token=exported.token,
            bucket=outputs.snapshot_bucket,
            bucket_owner=outputs.target.account_id,
            prefix=exported.prefix,
            key=outputs.snapshot_key_arn,
        )
        facts = start_or_find(
            lambda: context.source.export(request), lambda: find_started_export(context, exported)
        )
    if facts is None:
        backups = context.source.backups(table.source_table)
        unreachable = not backups.enabled or (backups.earliest or 0) > exported.export_time
        facts = find_started_export(context, exported) if unreachable else None
        if unreachable and facts is None:
            return _retry(
                context, exported, "point-in-time recovery does not reach the export time"
            )
    if facts is None:
        return Pending(
            f"DynamoDB to accept the export time {moment(exported.export_time)}",
            context.timing.poll(10),
        )
    journal.put(dataclasses.replace(exported, arn=facts.arn), f"export {facts.export_id} runs")
    return Acted()


def find_started_export(context: StepContext, exported: Exported) -> ExportFacts | None:
    """Return the export that this intention has started, if its answer was lost."""
    return context.source.find_export(
        context.table.source_table_arn, exported.prefix, begin_window(exported.intended_at)
    )


def _retry(context: StepContext, exported: Exported, why: str) -> Outcome:
    context.journal.put(Exported(attempt=exported.attempt + 1), f"{why}: another one is prepared")
    return Acted()


def _follow(context: StepContext, exported: Exported) -> Outcome:
    facts = context.source.describe_export(exported.arn)
    if facts is None:
        raise AccountError(
            Side.SOURCE,
            f"DynamoDB does not know the export {exported.arn} any more (it forgets them after "
            "90 days), and its import has not begun.",
            fix=suggest(Command("abandon"), "; then ", Command("run"), ", for another snapshot"),
            resumable=False,
        )
    if facts.status == "FAILED":
        return _failed(context, exported, facts)
    if facts.status != "COMPLETED":
        return Pending("the export", context.timing.poll(20), facts.measure, True)
    if facts.export_time is not None and facts.export_time < exported.export_time:
        raise BlockedError(
            f"The export {facts.export_id} is as of {moment(facts.export_time)}, before "
            f"{moment(exported.export_time)}: the buffer may not have been active then.",
            fix="report this: DynamoDB did not keep to the ExportTime that it was given",
            resumable=False,
        )
    journal = context.journal
    journal.put(
        dataclasses.replace(
            exported,
            done=True,
            items=facts.items,
            size_bytes=facts.size_bytes,
            started=facts.started,
            ended=facts.ended,
        ),
        f"export {facts.export_id} is complete",
    )
    return Acted()


def _failed(context: StepContext, exported: Exported, facts: ExportFacts) -> Outcome:
    journal = context.journal
    if exported.failed_generation not in (0, journal.generation):
        why = f"the export failed ({facts.failure or 'without a reason'})"
        return _retry(context, exported, why)
    journal.put(
        dataclasses.replace(exported, failure=facts.failure, failed_generation=journal.generation),
        f"export {facts.export_id} failed",
    )
    raise AccountError(
        Side.SOURCE,
        f"The export {facts.arn} to s3://{context.outputs.snapshot_bucket}/{exported.prefix}/ "
        f"failed: {facts.failure or 'without a reason'}.",
        fix="fix the cause it names, and run the same command again: that starts another export, "
        "which is paid for",
    )
