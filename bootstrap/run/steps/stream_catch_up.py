"""The catch-up with a table's own stream: an own reader's tips, in place of probes.

A record cannot be put into such a stream. So the question is asked at a moment of AWS's clock, and
what the stream held then is read and found ended (`bootstrap.run.stream_tips`).
"""

from __future__ import annotations

from bootstrap.core.facts import Measure
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.table_stream_facts import KEPT_HOURS
from bootstrap.journal.records import CaughtUp
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import stream_mapping, table_stream
from bootstrap.run.steps.caught_up import record_caught_up
from bootstrap.run.stream_tips import StreamTips

LEAST_LATER = 1_000
"""Records of a shard after its tip that are asked for, where batches are small."""


def advance(context: StepContext) -> Outcome:
    """Ask, wait until the stream holds what was made before, and read until it is through."""
    memory, timing, journal = context.memory, context.timing, context.journal
    if memory.caught_up:
        return Done()
    facts = table_stream.describe(context)
    if memory.tips is None:
        memory.tips = tips_at(context, facts.arn, facts.at)
        memory.rounds += 1
    tips = memory.tips
    # DynamoDB writes a change into the stream a moment after it has acknowledged it: what was made
    # before the question is all there only now.
    stream_mapping.refuse_disorder(context, context.mapping())
    looked = tips.look(facts.shards, facts.at)
    if facts.at < tips.question + timing.stream_settling:
        what = "the stream to hold every change made until now"
        return Pending(what, timing.poll(5), Measure(since=tips.question))
    took = journal.now() - tips.question
    if looked.overtaken:
        memory.tips = None
    elif looked.all_through and took > timing.round_expiry:
        # The backlog took that long. What was made meanwhile takes another, shorter question.
        memory.tips = None
        return Acted()
    elif looked.all_through:
        context.ledger.note_through(round(tips.question * 1e6))
        record_caught_up(context, tips.question, took, KEPT_HOURS, shards=looked.shards)
        memory.tips = None
        return Done()
    return Pending(
        "the consumer to work through the stream (shards)",
        timing.poll(5),
        Measure(items=looked.through, of_items=looked.shards, since=tips.question, unit="shards"),
        outlasts=memory.rounds <= 1 or took > timing.round_expiry,
    )


def tips_at(context: StepContext, stream_arn: str, question: float) -> StreamTips:
    """Begin a reading of what the stream held at a moment (epoch seconds, by AWS's clock)."""
    caught_up = context.journal.get(CaughtUp)
    return StreamTips(
        table_stream.clients(context).reader,
        context.ledger,
        stream_arn,
        question=question,
        floor=(context.ledger.settings().floor or 0) / 1e6,
        most=max(LEAST_LATER, 2 * context.table.mapping_settings.batch_size),
        settling=context.timing.stream_settling,
        applied_until=caught_up.moment if caught_up is not None else 0.0,
    )
