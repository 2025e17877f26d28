"""A pause: the consumer disabled on purpose, while changes wait in the stream."""

from __future__ import annotations

import math
from dataclasses import replace

from bootstrap.core.errors import AccountError, BlockedError
from bootstrap.core.formatting import moment
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.core.table_stream_facts import KEPT_HOURS
from bootstrap.journal.records import Paused, Probing
from bootstrap.run.step import Step
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import consumer_mapping

BACKLOG_HOURS = 2
"""Kept for the work on a backlog, before a table's own stream forgets its oldest change."""
LATE_SECONDS = 900.0
"""For which the watchdog's notes say how far the consumer is."""
EXPIRY_ATTRIBUTE = "x"
"""Of ledger entries: epoch seconds."""


def advance(context: StepContext) -> Outcome:
    """Stop the ledger's expiry first, and the consumer last."""
    journal, table, target = context.journal, context.table, context.target
    paused = journal.get(Paused)
    if paused is None or paused.resumed:
        if journal.get(Probing) is not None:
            # A round put before the pause proves nothing about changes that will wait.
            journal.forget(Probing, "a new round of probes will be needed")
        # A pause that was ended before the backlog had been applied continues.
        again = replace(paused, resumed_at=0, off_at=0, quiet_from=0) if paused else None
        wanted = again or Paused(journal.now(), waiting_since=_ended_until(context))
        journal.put(wanted, f"pausing{_resume_by(context, wanted)}")
        return Acted()
    # Before the mapping stops: while changes wait, no entry may expire. A waiting change without
    # its key's entry would be applied over a newer one, for good. DynamoDB may take an hour to
    # stop; an entry that expires in that hour had no change waiting for it when the pause began.
    if target.expiry(table.ledger_table).enabled:
        keep_entries(context)
        return Acted()
    if not context.ledger.settings().paused:
        context.ledger.set_paused(True)
        return Acted()
    mapping = context.mapping()
    if mapping is None:
        raise consumer_mapping.gone(context)
    if mapping.state == "Disabled":
        return _await_last_invocation(context, paused)
    if mapping.state == "Enabled":
        target.disable_mapping(mapping.uuid)
        return Acted()
    return Pending(
        f"the event source mapping to settle (it is {mapping.state})", context.timing.poll(5)
    )


STEP = Step("pause", State.PAUSED, advance)


def _resume_by(context: StepContext, paused: Paused) -> str:
    """Say by when a pause has to end, where that is a matter of hours."""
    if not context.table.reads_table_stream:
        return ""
    return f": {resume_by_text(paused)}"


def resume_by_text(paused: Paused) -> str:
    """Return the warning of a pause where the buffer is the table's own stream.

    The hour is counted from the first change that may wait, which is older than the pause where
    the consumer was behind. The backlog takes its time: so it is two hours before the stream
    forgets that change.
    """
    by = paused.first + (KEPT_HOURS - BACKLOG_HOURS) * 3600
    forgotten = paused.first + KEPT_HOURS * 3600
    unknown = (
        ""
        if paused.waiting_since
        else "; how far the consumer was behind is not known, and the hours are fewer by that"
    )
    return (
        f"resume by {moment(by)}; from {moment(forgotten)} on, the table's stream forgets changes "
        f"that the replica lacks{unknown}"
    )


def _ended_until(context: StepContext) -> float:
    """Return the moment before which the watchdog knows every change to have ended; 0: none, or
    not of late. The watchdog looks every five minutes.
    """
    if not context.table.reads_table_stream:
        return 0
    try:
        book = context.ledger.book()
    except AccountError:
        return 0  # another version's notes
    late = context.journal.now() - LATE_SECONDS
    return book.through or 0 if (book.last_sign or 0) >= late else 0


def _await_last_invocation(context: StepContext, paused: Paused) -> Outcome:
    """Wait until no invocation of the consumer can be running.

    From then on every write in the target is another writer's, which `resume` looks for. The wait
    ends with a period of DynamoDB's metrics, so that no datapoint holds both.
    """
    journal, timing = context.journal, context.timing
    if not paused.off_at:
        off, period = journal.now(), timing.metric_period
        quiet = math.ceil((off + timing.last_invocation) / period) * period
        journal.put(replace(paused, off_at=off, quiet_from=quiet), "the consumer is off")
        return Acted()
    if journal.now() < paused.quiet_from:
        what = f"the consumer's last invocation to end{_resume_by(context, paused)}"
        return Pending(what, timing.poll(5))
    return Done()


def keep_entries(context: StepContext) -> None:
    """Disable the ledger's time to live, so that it keeps its entries.

    Raises:
        BlockedError: when AWS has taken another change of it within the hour.
    """
    try:
        context.target.set_expiry(context.table.ledger_table, EXPIRY_ATTRIBUTE, False)
    except AccountError as error:
        if error.code != "ValidationException":
            raise
        raise BlockedError(
            f"The time to live of the ledger {context.table.ledger_table} cannot be disabled yet: "
            f"{error.what} The consumer has not been stopped.",
            fix="the same command in an hour: AWS takes one change of a table's time to live in "
            "an hour",
        ) from error


def refuse_without_consumer(context: StepContext, enabled: bool) -> None:
    """Check that there is something to pause.

    Raises:
        BlockedError: when the run has not enabled the consumer yet.
    """
    if not enabled:
        raise BlockedError(
            f"The consumer of table {context.table.source_table} has not been switched on yet: "
            "there is nothing to pause.",
            fix="if a run is active, end it instead (Ctrl-C): AWS completes what it began, and "
            "`run` resumes",
        )


def refuse_unpaused(context: StepContext, enabled: bool) -> None:
    """Check that there can be a pause to end: `resume` never starts a paid export.

    Raises:
        BlockedError: when the run has not enabled the consumer yet.
    """
    if not enabled:
        raise BlockedError(
            f"The consumer of table {context.table.source_table} has not been switched on yet: "
            "there is no pause to end.",
            fix=suggest(Command("run"), ", which starts or resumes the replication"),
        )
