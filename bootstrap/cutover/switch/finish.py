"""The end of a switch, a day later: the old source's changes are no longer streamed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from bootstrap.core.errors import BlockedError, Side, UnavailableError
from bootstrap.core.formatting import duration, moment
from bootstrap.core.outcome import Pending
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.cutover.context import SwitchContext
from bootstrap.cutover.switch.after_commit import EXEC, ITEMS
from bootstrap.cutover.switch.loop import SwitchLoop
from bootstrap.cutover.switch.table_set import SwitchSet, source_denies
from bootstrap.journal.stream_records import TableStreamRecord
from bootstrap.journal.switch_records import AfterSwitch, SourceDeny, Switching, SwitchMode
from bootstrap.run.steps import stream_end

FENCED, STOPPED = Command("switch", "--fence"), Command("switch", "--writes-stopped")
KEPT_SECONDS = 86_400.0
"""A day: what still writes to the old source shows in its stream meanwhile."""


def finish_table(context: SwitchContext, *, open_source: bool, take_over: bool = False) -> None:
    """Stop a table's streaming destination, under the leases of a switch.

    Raises:
        BlockedError: as `finish`.
        LeaseHeldError: another process works on the table.
    """
    group = SwitchSet([context])
    loop = SwitchLoop(group, lambda progress: None)
    with group.leased(take_over):
        loop.once(partial(finish, context, open_source=open_source))


def finish(context: SwitchContext, *, open_source: bool) -> None:
    """End the old source's streaming, as far as it is this project's. No table is deleted.

    Its destination is stopped, if it is the stack's. Of a table's own stream the consumer's mapping
    and its place in the policy go, and the stream, if a run has switched it on.

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
    if open_source and attempt.mode != SwitchMode.FENCE:
        raise BlockedError(
            f"The switch of table {table.source_table} put no Deny into its policy: writers were "
            "stopped by you.",
            fix=suggest(Command("switch", "--finish"), ", without --open-source"),
        )
    after = after or AfterSwitch()
    _refuse_open_items(context, attempt, after)
    if not after.finished_at:
        _refuse_early(context, attempt)
        _refuse_written(context, attempt)
        if table.reads_table_stream:
            _leave_stream(context)
        elif table.owns_destination:
            _stop_streaming(context)
    # Before the journal's record: a process that dies in between does this again.
    _end_watch(context, attempt, after.finished_at or context.now)
    if not after.finished_at:
        journal.put(
            replace(after, finished_at=context.now),
            _what_ended(context),
        )
    if open_source:
        known = journal.get(SourceDeny)
        nonces = {attempt.nonce, *([known.nonce] if known else [])}
        source_denies(context).remove(table.source_table_arn, known=nonces)
        if known is not None:
            journal.forget(SourceDeny, "the old source takes writes again, as the operator asked")


def _end_watch(context: SwitchContext, attempt: Switching, at: float) -> None:
    """Tell the watchdog that the old source may be written to. Its streaming may be others'."""
    if not context.steps.ledger.set_finished(attempt.nonce, round(at * 1e6)):
        raise BlockedError(
            f"The consumer's gate of table {context.table.source_table} is not the switch's.",
            fix=suggest(Command("status")),
        )


def _what_ended(context: SwitchContext) -> str:
    own = context.journal.get(TableStreamRecord)
    if own is not None and not own.by_us:
        return "nothing of this stack reads the old source's stream, which was on before"
    if context.table.owns_destination:
        return "the old source's changes are not streamed"
    return "the old source's streaming continues: it is not the stack's"


def _leave_stream(context: SwitchContext) -> None:
    """Undo what a run made of the table's own stream.

    Raises:
        UnavailableError: AWS still works on a part of it.
    """
    while (outcome := stream_end.leave(context.steps)) is not None:
        if isinstance(outcome, Pending):
            raise UnavailableError(
                Side.SOURCE,
                f"It waits for {outcome.what}.",
                fix=suggest(Command("switch", "--finish")),
            )


def _stop_streaming(context: SwitchContext) -> None:
    table = context.table
    if context.old_source is None:
        raise BlockedError(
            f"The stack has no role that may stop the streaming of {table.source_table}.",
            fix=suggest(
                "set `switch: true` in the stack file, then pulumi up --refresh, then ",
                Command("switch", "--finish"),
            ),
        )
    context.old_source.stop_destination(table.source_table, table.stream_arn)


def _refuse_open_items(context: SwitchContext, attempt: Switching, after: AfterSwitch) -> None:
    left = [name for name in ITEMS if name not in after.done]
    tried = {each.split(": ", 1)[0]: each for each in after.failed}
    open_ones = [tried.get(name, name) for name in left]
    if EXEC in tried:
        open_ones.append(tried[EXEC])
    if not open_ones:
        return
    how = ", with --exec as before," if EXEC in tried else ","
    raise BlockedError(
        f"The switch of table {context.table.source_table} has open items: {'; '.join(open_ones)}.",
        fix=suggest(
            FENCED if attempt.mode == SwitchMode.FENCE else STOPPED,
            f"{how} which continues it; then ",
            Command("switch", "--finish"),
        ),
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
    """Check that nothing was written to the old source after the mark: the target lacks it."""
    steps, period = context.steps, context.steps.timing.metric_period
    begin = (attempt.mark // period + 1) * period
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
