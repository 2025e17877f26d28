"""A table's own stream that was switched off, or off and on again: changes are lost meanwhile.

A stream that is switched on again is another one, without a policy and without our mapping. The run
that meets it stops and says so; the next one begins the buffer anew, and the replica is DEGRADED
until a backfill has restored what is missing.
"""

from __future__ import annotations

from dataclasses import replace

from bootstrap.core.errors import AccountError, Side
from bootstrap.core.facts import TableFacts
from bootstrap.core.formatting import moment
from bootstrap.core.outcome import Acted, Outcome, Pending
from bootstrap.core.suggestions import Command, suggest
from bootstrap.core.table_stream_facts import VIEW
from bootstrap.journal.records import CaughtUp, Exported, Interrupted
from bootstrap.journal.stream_records import TableStreamRecord
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import stream_mapping


def check(
    context: StepContext, known: TableStreamRecord, facts: TableFacts | None
) -> Outcome | None:
    """Look at the table's stream once an export has begun. None: it is the one it was, and on.

    Raises:
        AccountError: it is not; reported once, by the run that met it.
    """
    journal = context.journal
    on = facts is not None and facts.stream_view == VIEW
    ours = on and facts is not None and known.arn in ("", facts.stream_arn)
    interrupted = journal.get(Interrupted)
    if ours and known.arn:
        if interrupted is None or interrupted.end or not _enabled(context, known):
            return None
        journal.put(
            Interrupted(interrupted.begin, journal.now()),
            f"the table has a stream again: changes since {moment(interrupted.begin)} may be "
            "missing",
        )
        return Acted()
    if known.arn:
        if interrupted is None or interrupted.end:
            begin = _applied_until(context)
            earlier = interrupted.begin if interrupted is not None else begin
            journal.put(
                Interrupted(min(begin, earlier)), "the table's stream is off, or another one"
            )
        reported = known.lost_generation not in (0, journal.generation)
        if not reported and not context.options.adopt_source:
            journal.put(
                replace(known, lost_generation=journal.generation),
                f"stream {known.arn} was lost",
            )
            raise _lost(context, known, facts)
        journal.put(
            replace(stream_mapping.left(context, known), intended_at=0 if on else journal.now()),
            "a new stream is begun",
        )
        return Acted()
    # A later run begins anew, as before the export.
    assert context.table_stream is not None
    if facts is None:
        raise _lost(context, known, facts)
    if not on:
        if facts.stream_view is not None:
            raise _lost(context, known, facts)
        if not known.by_us or not known.asked(journal.now()):
            journal.put(
                replace(known, intended_at=journal.now()), "switching on the table's stream"
            )
            return Acted()
        if facts.status != "ACTIVE":
            # Another hand has just switched the former one off.
            return Pending(
                f"table {context.table.source_table} to settle (it is {facts.status})",
                context.timing.poll(5),
            )
        context.table_stream.streams.switch_on(context.table.source_table)
        journal.put(replace(known, asked_at=journal.now()), "the table's stream is switched on")
        return Acted()
    journal.put(
        known.found(facts.stream_arn, journal.now()), f"the table's stream is {facts.stream_arn}"
    )
    return Acted()


def _enabled(context: StepContext, known: TableStreamRecord) -> bool:
    """Tell whether changes enter the stream. Of those made before, nothing says that they did."""
    assert context.table_stream is not None
    found = context.table_stream.streams.describe(known.arn)
    return found is not None and found.status == "ENABLED"


def _applied_until(context: StepContext) -> float:
    """Return the latest moment before which every change is known to be applied, restored, or in
    the snapshot. It may be long ago, and is never later than what is known.

    What the lost stream still holds is counted as missing: its mapping goes.
    """
    journal = context.journal
    exported, caught_up, verified = (
        journal.get(Exported),
        journal.get(CaughtUp),
        context.verified(),
    )
    assert exported is not None
    moments = [float(exported.export_time)]
    if verified is not None:
        moments.append(verified.complete_until)
    if caught_up is not None:
        moments += [caught_up.moment, _watched(context)]
    return max(moments)


def _watched(context: StepContext) -> float:
    """Return the moment before which, by the watchdog's notes, every change went into the stream
    and has ended; 0: none is known.
    """
    try:
        book = context.ledger.book()
    except AccountError:
        return 0.0  # another version's notes
    outage = [book.outage.begin] if book.outage is not None else []
    return min([book.through or 0.0, book.flowed or 0.0, *outage])


def _lost(context: StepContext, known: TableStreamRecord, facts: TableFacts | None) -> AccountError:
    name = context.table.source_table
    if facts is None:
        state = "the table does not exist any more"
    elif facts.stream_view is None:
        state = "it is off"
    elif facts.stream_view != VIEW:
        state = f"the table has one of the view type {facts.stream_view}: {facts.stream_arn}"
    else:
        state = f"the table has another one: {facts.stream_arn}"
    return AccountError(
        Side.SOURCE,
        f"The stream of table {name} was switched off after the export had begun: {state}. "
        "Changes made since may be in neither a stream nor the snapshot.",
        fix=suggest(
            f"find what switched it off (the code that owns {name} may not know of the stream: let "
            f"it say {VIEW}); then ",
            Command("run"),
            ", which begins another stream, to a replica that is DEGRADED until the missing "
            "changes have been restored: ",
            Command("status"),
            " names the backfill",
        ),
    )
