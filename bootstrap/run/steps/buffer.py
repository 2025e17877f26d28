"""The buffer: the table's changes go to the stack's stream, with microsecond precision.

Pulumi creates the destination. This step observes it ACTIVE, and watches it as long as the run
lasts: a destination that stops after ExportTime has lost changes, and the step records that. Where
the buffer is the table's own stream, `table_stream` does the same for that.
"""

from __future__ import annotations

import contextlib
import math

from bootstrap.core import pulumi_commands
from bootstrap.core.errors import AccountError, BlockedError, Side
from bootstrap.core.facts import Destinations
from bootstrap.core.formatting import moment
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.state import State
from bootstrap.core.streaming_commands import enable_again
from bootstrap.core.suggestions import Command, suggest
from bootstrap.journal.records import Buffered, Exported, Interrupted
from bootstrap.run.step import Step
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import table_stream
from replicator.aws_commands import table_option
from replicator.stream import Destination

PRECISION = "MICROSECOND"

STOPPED = ("DISABLING", "DISABLED", "ENABLE_FAILED")
"""States of a destination that gets no more changes until it is enabled."""
BACKLOG_PERIODS = 15
"""Periods of DynamoDB's metrics that are read for the backlog of a destination that stopped."""


def advance(context: StepContext) -> Outcome:
    """Observe the destination; record the first moment at which this process saw it ACTIVE."""
    if context.table.reads_table_stream:
        return table_stream.advance(context)
    table, journal = context.table, context.journal
    seen = context.source.destinations(table.source_table)
    destination = seen.to(table.stream_arn)
    if journal.get(Exported) is not None and _export_begun(context):
        return _check_flow(context, seen, destination)
    buffered = journal.get(Buffered)
    if destination is None or destination.status != "ACTIVE":
        if buffered is not None:
            # The destination stopped: an ExportTime based on the earlier observation leaves a hole.
            journal.forget(Buffered, "the stream's destination is not ACTIVE any more")
            context.memory.active_seen_at = None
        return _not_yet(context, seen, destination)
    if destination.precision != PRECISION:
        raise BlockedError(
            f"Table {table.source_table} streams to {table.stream_name} with precision "
            f"{destination.precision}, and only {PRECISION} tells changes apart.",
            fix="aws dynamodb update-kinesis-streaming-destination "
            f"{table_option(table.source_table)} --stream-arn {table.stream_arn} "
            "--update-kinesis-streaming-configuration "
            f"ApproximateCreationDateTimePrecision={PRECISION} --region {table.consumer_region}, "
            "with the source account's credentials",
        )
    watched, context.memory.active_seen_at = _watched(context, seen.at), seen.at
    if buffered is None or not watched:
        # An observation by an earlier process, or from before the laptop slept, is not enough: the
        # destination may have been off since. Another observation costs minutes; a hole costs
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
    """Answer if this process has observed the destination without a gap up to now."""
    before = context.memory.active_seen_at
    return before is not None and now - before <= context.timing.watch_gap


def _export_begun(context: StepContext) -> bool:
    exported = context.journal.get(Exported)
    return exported is not None and exported.begun


def _check_flow(
    context: StepContext, seen: Destinations, destination: Destination | None
) -> Outcome:
    journal = context.journal
    known = journal.get(Interrupted)
    # UPDATING is a change of precision; records still flow.
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
        _record_outage(context, known, seen.at)
    if destination is not None and destination.status not in STOPPED:
        return Pending(
            f"the stream's destination to become ACTIVE again (it is {destination.status})",
            context.timing.poll(5),
        )
    status = destination.status if destination else "gone"
    raise AccountError(
        Side.SOURCE,
        f"The streaming destination of table {context.table.source_table} to stream "
        f"{context.table.stream_name} is {status}. Changes since it stopped are in neither the "
        "stream nor the snapshot.",
        fix=suggest(
            f"{enable_again(context.outputs.stack, context.table)}, which enables it again; then ",
            Command("run"),
            ", which resumes, to a replica that is DEGRADED until the missing changes have been "
            "restored: ",
            Command("status"),
            " names the backfill",
        ),
    )


def _record_outage(context: StepContext, known: Interrupted | None, now: float) -> None:
    """Record the outage at once with a certain begin, then with the latest provable one.

    If the process fails in between, the destination may be ACTIVE again at the next observation,
    and the outage would be lost.
    """
    journal, exported = context.journal, context.journal.get(Exported)
    assert exported is not None
    earlier = known.begin if known is not None else now
    begin = min(float(exported.export_time), earlier)
    journal.put(Interrupted(begin), "the stream's destination is not ACTIVE any more")
    with contextlib.suppress(AccountError):
        narrower = min(max(begin, _delivered_until(context)), earlier)
        if narrower > begin:
            journal.put(Interrupted(narrower), f"it was last seen ACTIVE at {moment(narrower)}")


def _delivered_until(context: StepContext) -> float:
    """Return the moment before which every change is known to be in the stream: the last
    observation of the destination, less the backlog at that time.

    Between runs, the watchdog's observation counts.
    """
    active, timing = context.memory.flowing_at, context.timing
    if active is None:
        book = context.ledger.book()
        off = book.outage if book.outage is not None and book.outage.end is None else None
        return off.begin if off is not None else book.flowed or 0.0
    table, period = context.table.source_table, timing.metric_period
    since = (
        math.floor((active - timing.metric_settling - BACKLOG_PERIODS * period) / period) * period
    )
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
            fix="if that stream is to stay, begin a stack that adopts it (docs/deploy.md, An "
            "adopted stream). If not: aws dynamodb disable-kinesis-streaming-destination "
            f"{table_option(table.source_table)} --stream-arn {elsewhere.stream_arn} --region "
            f"{table.consumer_region}, with the source account's credentials; then: "
            f"{pulumi_commands.up(context.outputs.stack)}",
        )
    status = f"{destination.status} {destination.detail}".strip() if destination else "missing"
    raise AccountError(
        Side.SOURCE,
        f"The streaming destination of table {table.source_table} to stream {table.stream_name} is "
        f"{status}.",
        fix=enable_again(context.outputs.stack, table),
    )
