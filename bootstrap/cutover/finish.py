"""The end of a switch, a day later: the old source's changes are no longer streamed."""

from __future__ import annotations

from dataclasses import replace

from bootstrap.core.errors import BlockedError
from bootstrap.core.formatting import duration, moment
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.cutover.context import SwitchContext
from bootstrap.cutover.switch_set import source_denies
from bootstrap.journal.switch_records import AfterSwitch, SourceDeny, Switching, SwitchMode

KEPT_SECONDS = 86_400.0
"""A day: what still writes to the old source shows in its stream meanwhile."""


def finish(context: SwitchContext, *, open_source: bool) -> None:
    """Stop the old source's streaming destination. No table is deleted.

    `open_source`: also take the switch's Deny out of the old source's policy.

    Raises:
        BlockedError: there is no switch to finish, or not yet, or the old source was written.
    """
    journal, table = context.journal, context.table
    attempt, after = journal.get(Switching), journal.get(AfterSwitch)
    if journal.row.state is not State.SWITCHED or attempt is None or not attempt.committed_at:
        raise BlockedError(
            f"Table {table.source_table} is {journal.row.state}: only a switched one is finished.",
            fix=suggest(Command("status")),
        )
    after = after or AfterSwitch()
    _refuse_open_items(context, after)
    if not after.finished_at:
        _refuse_early(context, attempt)
        _refuse_written(context, attempt)
        if context.old_source is None:
            raise AssertionError("The factory gives every switch its roles.")
        context.old_source.stop_destination(table.source_table, table.stream_arn)
        journal.put(
            replace(after, finished_at=context.now), "the old source's changes are not streamed"
        )
    if open_source and attempt.mode == SwitchMode.FENCE:
        known = journal.get(SourceDeny)
        nonces = {attempt.nonce, *([known.nonce] if known else [])}
        source_denies(context).remove(table.source_table_arn, known=nonces)
        if known is not None:
            journal.forget(SourceDeny, "the old source takes writes again, as the operator asked")


def _refuse_open_items(context: SwitchContext, after: AfterSwitch) -> None:
    if "open-target" in after.done and not after.failed:
        return
    raise BlockedError(
        f"The switch of table {context.table.source_table} has open items: "
        f"{'; '.join(after.failed) or 'the target is not open yet'}.",
        fix=suggest(Command("switch"), ", which continues it; then switch --finish"),
    )


def _refuse_early(context: SwitchContext, attempt: Switching) -> None:
    until = attempt.committed_at + KEPT_SECONDS * context.steps.timing.scale
    if context.now < until:
        raise BlockedError(
            f"Table {context.table.source_table} was switched at {moment(attempt.committed_at)}. "
            "For a day, writes to the old source show in its stream.",
            fix=f"the same command in {duration(until - context.now)}, at {moment(until)}",
        )


def _refuse_written(context: SwitchContext, attempt: Switching) -> None:
    """Check that nothing was written to the old source after the first settled minute."""
    steps, period = context.steps, context.steps.timing.metric_period
    begin = (int(attempt.committed_at) // period + 1) * period
    until = int(context.now)
    spans = range(begin, until, period * 1_440)
    written = sum(
        point.value
        for start in spans
        for point in steps.source.consumed_writes(
            context.table.source_table, start, min(until, start + period * 1_440), period
        )
    )
    if written:
        raise BlockedError(
            f"The old source {context.table.source_table} has been written to since the switch: "
            f"{written:.0f} write units (ConsumedWriteCapacityUnits). The target lacks these "
            "writes.",
            fix="find the writer (CloudTrail data events name it) and move it to the target",
        )
