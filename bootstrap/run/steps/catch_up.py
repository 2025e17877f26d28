"""The catch-up: proof that every change made before a moment has been applied.

The proof has two parts, in this order. First DynamoDB has nothing left to hand over from before the
moment, because probes overtake changes on their way into the stream. Then probes come through the
consumer, because a metric of DynamoDB says nothing about the consumer.
"""

from __future__ import annotations

import math

from bootstrap.core.facts import Measure
from bootstrap.core.outcome import Acted, Done, Outcome, Pending, probe_progress
from bootstrap.core.state import State
from bootstrap.journal.records import CaughtUp, Exported, Probing, Skipped
from bootstrap.run.probe_put import advance_put
from bootstrap.run.step import Step
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import stream_catch_up
from bootstrap.run.steps.caught_up import record_caught_up
from replicator.buffers import STREAMS
from replicator.probes import ROW_KEPT_SECONDS
from replicator.watchdog.metric_spans import metric_spans

HANDED_OVER_MS = 1000.0
"""A second: AgeOfOldestUnreplicatedRecord is normally in the milliseconds."""


def advance(context: StepContext) -> Outcome:
    """Put a round of probes once DynamoDB has handed everything over, and wait for it."""
    if context.table.buffer == STREAMS:
        return stream_catch_up.advance(context)
    memory = context.memory
    if memory.caught_up:
        return Done()
    _resume_round(context)
    if memory.moment is None:
        memory.moment = context.source.open_shards(context.table.stream_name).at
    if not memory.handed_over:
        waiting = _handing_over(context, memory.moment)
        if waiting is not None:
            return waiting
        memory.handed_over = True
    if not memory.probe:
        return advance_put(context)
    through = context.ledger.probes_through(memory.probe, memory.probes)
    if through < memory.probes:
        if context.journal.now() - memory.put_at > ROW_KEPT_SECONDS / 2:
            # The acknowledged rows expire before the last one arrives.
            _start_over(context)
            return Acted()
        return Pending(
            "the consumer to work through the stream (probes)",
            context.timing.poll(5),
            probe_progress(through, memory.probes, memory.put_at),
            outlasts=_backlog(context),
        )
    took = context.journal.now() - memory.put_at
    if took > context.timing.round_expiry:
        # The backlog took that long. The changes made meanwhile take another, shorter round.
        _start_over(context)
        return Acted()
    return _caught_up(context, memory.moment, took)


STEP = Step("catch-up", State.CATCHING_UP, advance)


def _resume_round(context: StepContext) -> None:
    """Resume a round that an earlier process put and that has not come through: a backlog needs no
    process that watches it.
    """
    memory, probing = context.memory, context.journal.get(Probing)
    if memory.moment is not None or memory.rounds or probing is None or not probing.complete:
        return
    done = context.journal.get(CaughtUp)
    if done is not None and (done.probe == probing.probe or done.moment >= probing.moment):
        return
    memory.moment, memory.handed_over, memory.rounds = probing.moment, True, 1
    memory.probe, memory.probes, memory.put_at = probing.probe, probing.probes, probing.put_at


def _backlog(context: StepContext) -> bool:
    """Answer if the round waits for a backlog: the first one does, and one that takes long."""
    memory = context.memory
    waited = context.journal.now() - memory.put_at
    return memory.rounds <= 1 or waited > context.timing.round_expiry


def _handing_over(context: StepContext, moment: float) -> Outcome | None:
    """Return None once DynamoDB's metrics show that nothing from before `moment` is left."""
    table, timing, source = context.table.source_table, context.timing, context.source
    period, now = timing.metric_period, context.journal.now()
    # The age may be just under a second, so the period begins a second after the moment.
    begin = math.ceil((moment + HANDED_OVER_MS / 1000) / period) * period
    until = now + period
    ages = source.oldest_unreplicated(table, begin, until, period)
    if any(point.value < HANDED_OVER_MS for point in ages):
        return None
    if ages:
        what = "DynamoDB to hand over older changes (AgeOfOldestUnreplicatedRecord)"
        return Pending(what, timing.poll(15), Measure(since=moment))
    if now >= begin + timing.metric_settling:
        writes = source.consumed_writes(table, begin, until, period)
        if not any(point.value for point in writes):
            return None
    what = "DynamoDB's report on what it has yet to hand over"
    return Pending(what, timing.poll(15), Measure(since=moment))


def _start_over(context: StepContext) -> None:
    memory = context.memory
    memory.moment, memory.handed_over, memory.probe, memory.probes = None, False, "", 0


def _caught_up(context: StepContext, moment: float, took: float) -> Outcome:
    memory = context.memory
    _record_lost_records(context)
    kept = context.source.stream(context.table.stream_name).retention_hours
    record_caught_up(context, moment, took, kept, probe=memory.probe, probes=memory.probes)
    return Done()


def _record_lost_records(context: StepContext) -> None:
    """Record the changes that DynamoDB gave up on.

    They are not in the stream, so no probe and no age shows them.
    """
    journal, table = context.journal, context.table.source_table
    skipped, now = journal.get(Skipped), journal.now()
    since = _lost_since(context, skipped)
    lost = sum(
        context.source.failed_to_replicate(table, begin, end, period)
        for begin, end, period in metric_spans(since, now + 1, context.timing.metric_period)
    )
    if lost:
        journal.put(
            Skipped(lost, since, now),
            f"DynamoDB gave up on {lost} change records: the replica lacks them",
        )
    elif skipped is not None and skipped.begin < since:
        journal.forget(Skipped, "a verification has put in what DynamoDB gave up on")


def _lost_since(context: StepContext, skipped: Skipped | None) -> float:
    """Return the begin of the period to count. A record lost before it is in the snapshot, was
    restored by a verification, or was counted already.
    """
    journal, timing = context.journal, context.timing
    exported, before = journal.get(Exported), journal.get(CaughtUp)
    if exported is None or not exported.done:
        raise AssertionError("The export step comes first.")
    settled = (context.ledger.settings().settled or 0) / 1e6
    whole = max(exported.export_time - timing.export_fuzz, settled)
    if skipped is not None:
        return max(whole, skipped.begin)
    counted_to = before.moment - timing.metric_settling if before is not None else 0.0
    return max(whole, counted_to)
