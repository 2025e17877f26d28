"""The buffer: the table's changes go to our stream, seen ACTIVE with microsecond precision.

Pulumi made the destination; this step only watches it, and goes on watching it as long as the run
lasts: a destination that stops after ExportTime has lost changes, and that is noted.
"""

from __future__ import annotations

import contextlib
import math

from bootstrap.core.errors import AccountError, BlockedError, Side
from bootstrap.core.facts import Destinations
from bootstrap.core.formatting import moment
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.journal.records import Buffered, Exported, Interrupted
from bootstrap.run.step import Step
from bootstrap.run.step_context import StepContext
from replicator.stream import Destination

PRECISION = "MICROSECOND"

DEAF_PERIODS = 15
"""Of DynamoDB's metrics that are looked at for what had waited when the destination went off."""


def advance(context: StepContext) -> Outcome:
    """Observes the destination, and records the first moment it was seen ACTIVE by this process."""
    table, journal = context.table, context.journal
    seen = context.source.destinations(table.source_table)
    destination = seen.to(table.stream_arn)
    if journal.get(Exported) is not None and _export_begun(context):
        return _still_flowing(context, seen, destination)
    buffered = journal.get(Buffered)
    if destination is None or destination.status != "ACTIVE":
        if buffered is not None:
            # What was ACTIVE is not any more: an ExportTime that rests on it would leave a hole.
            journal.forget(Buffered, "the stream's destination is not ACTIVE any more")
            context.memory.active_seen_at = None
        return _not_yet(context, seen, destination)
    if destination.precision != PRECISION:
        raise BlockedError(
            f"Table {table.source_table} streams to {table.stream_name} with precision "
            f"{destination.precision}, and changes can only be told apart by {PRECISION}.",
            fix=f"aws dynamodb update-kinesis-streaming-destination --table-name "
            f"{table.source_table} --stream-arn {table.stream_arn} "
            "--update-kinesis-streaming-configuration "
            f"ApproximateCreationDateTimePrecision={PRECISION}",
        )
    watched, context.memory.active_seen_at = _watched(context, seen.at), seen.at
    if buffered is None or not watched:
        # Seen by an earlier process, or before the laptop slept, is not enough: nobody watched
        # since, and the destination may have been off. Looking again costs minutes; a hole costs
        # changes.
        facts = context.source.table(table.source_table)
        journal.put(
            Buffered(
                active_at=seen.at,
                stream_arn=table.stream_arn,
                table_id=facts.table_id if facts else "",
                retention_hours=context.source.stream(table.stream_name).retention_hours,
            ),
            "the stream's destination is ACTIVE",
        )
        return Acted()
    return Done()


STEP = Step("buffer", State.BUFFERING, advance)


def _watched(context: StepContext, now: float) -> bool:
    """Whether this process has had its eye on the destination up to now."""
    before = context.memory.active_seen_at
    return before is not None and now - before <= context.timing.watch_gap


def _export_begun(context: StepContext) -> bool:
    exported = context.journal.get(Exported)
    return exported is not None and exported.begun


def _still_flowing(
    context: StepContext, seen: Destinations, destination: Destination | None
) -> Outcome:
    journal = context.journal
    known = journal.get(Interrupted)
    # UPDATING is a change of precision; records flow on.
    if destination is not None and destination.status in ("ACTIVE", "UPDATING"):
        context.memory.flowing_at = seen.at
        if known is None or known.end:
            return Done()
        journal.put(
            Interrupted(known.begin, seen.at),
            f"the stream's destination is on again: changes since {moment(known.begin)} may be "
            "missing",
        )
        return Acted()
    if known is None or known.end:
        _note_interruption(context, known, seen.at)
    if destination is not None and destination.status == "ENABLING":
        return Pending("the stream's destination to become ACTIVE again", context.timing.poll(5))
    status = destination.status if destination else "gone"
    raise AccountError(
        Side.SOURCE,
        f"The streaming destination of table {context.table.source_table} to stream "
        f"{context.table.stream_name} is {status}. Changes since it stopped are in neither the "
        "stream nor the snapshot.",
        fix=suggest(
            "pulumi up --refresh to enable it again; then ",
            Command("run"),
            ", which resumes, to a replica that is DEGRADED until the missing changes have been "
            "restored: ",
            Command("status"),
            " names the backfill",
        ),
    )


def _note_interruption(context: StepContext, known: Interrupted | None, now: float) -> None:
    """At once with what is certain, and then as narrowly as can be told: whatever fails in between,
    the destination may be on again when somebody looks next.
    """
    journal, exported = context.journal, context.journal.get(Exported)
    assert exported is not None
    earlier = known.begin if known is not None else now
    begin = min(float(exported.export_time), earlier)
    journal.put(Interrupted(begin), "the stream's destination is not ACTIVE any more")
    with contextlib.suppress(AccountError):
        narrower = min(max(begin, _delivered(context)), earlier)
        if narrower > begin:
            journal.put(Interrupted(narrower), f"it was last seen ACTIVE at {moment(narrower)}")


def _delivered(context: StepContext) -> float:
    """Up to when everything is known to have been put into the stream: when the destination was
    last seen on, less what had waited then. The watchdog looks where no run does.
    """
    active, timing = context.memory.flowing_at, context.timing
    if active is None:
        book = context.ledger.book()
        off = book.outage if book.outage is not None and book.outage.end is None else None
        return off.begin if off is not None else book.flowed or 0.0
    table, period = context.table.source_table, timing.metric_period
    since = math.floor((active - timing.metric_settling - DEAF_PERIODS * period) / period) * period
    ages = context.source.oldest_unreplicated(table, since, active + timing.metric_settling, period)
    waited = max((point.value / 1000 for point in ages), default=0.0)
    return active - timing.metric_settling - waited


def _not_yet(context: StepContext, seen: Destinations, destination: Destination | None) -> Outcome:
    table = context.table
    if destination is not None and not destination.is_off:
        return Pending(
            f"the stream's destination to become ACTIVE (it is {destination.status})",
            context.timing.poll(5),
        )
    elsewhere = seen.elsewhere(table.stream_arn)
    if elsewhere is not None:
        raise BlockedError(
            f"Table {table.source_table} streams its changes to {elsewhere.stream_arn}, and a "
            "table has one destination.",
            fix="aws dynamodb disable-kinesis-streaming-destination "
            f"--table-name {table.source_table} --stream-arn {elsewhere.stream_arn}, "
            "if nobody needs it; then pulumi up --refresh",
        )
    status = f"{destination.status} {destination.detail}".strip() if destination else "missing"
    raise AccountError(
        Side.SOURCE,
        f"The streaming destination of table {table.source_table} to stream {table.stream_name} is "
        f"{status}.",
        fix="pulumi up --refresh",
    )
