"""The record of a replica that has caught up, and of what it lacks because it was off too long."""

from __future__ import annotations

from bootstrap.journal.records import Buffered, CaughtUp, Enabled, Exported, Overran, Paused
from bootstrap.run.step_context import StepContext

READING_SECONDS = 900.0
"""From the call that enables a mapping until it has read the oldest changes. A table's own stream
may delete a change the moment it is 24 hours old."""


def record_caught_up(
    context: StepContext,
    moment: float,
    took: float,
    kept: int,
    *,
    probe: str = "",
    probes: int = 0,
    shards: int = 0,
) -> None:
    """Record that every change made before `moment` has been applied, which took so many seconds.

    `kept`: the buffer's retention now, in hours. `probe`: the round of `probes` that proves it;
    without one, an own reader has found so many `shards` through.
    """
    journal = context.journal
    _record_overrun(context, kept)
    if not context.ledger.settings().expire:
        # Only now: without its entry, a change that waits would be applied over a newer one.
        context.ledger.start_expiry()
    how = f"{probes} probes came through" if probe else f"{shards} shards were through"
    journal.put(CaughtUp(moment, probe, probes, took, kept), f"caught up: {how} in {took:.1f} s")
    context.memory.caught_up = True


def _record_overrun(context: StepContext, kept: int) -> None:
    """Record that the consumer was off for longer than the stream's retention: before it was first
    enabled, or in a pause. While it is on, the watchdog measures its delay.

    `kept`: the buffer's retention now, in hours.
    """
    journal, known = context.journal, context.journal.get(Overran)
    paused, before = journal.get(Paused), journal.get(CaughtUp)
    enabled, buffered = journal.get(Enabled), journal.get(Buffered)
    exported = journal.get(Exported)
    if enabled is None or buffered is None or exported is None:
        return
    begin, on = exported.export_time - context.timing.export_fuzz, enabled.at
    off, kept_then = begin, buffered.retention_hours
    if paused is not None and paused.resumed and before is not None:
        begin, off, kept_then = before.moment, paused.first, before.retention_hours
        on = max(paused.resumed_at, enabled.at)
    elif before is not None:
        return
    # A retention that was raised meanwhile does not restore records that were dropped before.
    hours = min(kept_then or kept, kept)
    margin = READING_SECONDS if context.table.reads_table_stream else 0.0
    if on - off >= 3_600 * hours - margin and (known is None or known.begin != begin):
        journal.put(
            # The stream still has the records younger than its retention.
            Overran(min(begin, known.begin if known else begin), journal.now() - 3_600 * hours),
            f"the consumer was off for longer than the {hours} hours that the stream keeps changes",
        )
