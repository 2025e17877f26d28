"""The put of a round of probes, over as many attempts as a throttled stream needs.

What Kinesis took stays put, and each attempt repeats the rest. A round counts only if the shards
that are open at its end are those that it was put for: a shard that opened meanwhile has no probe.
"""

from __future__ import annotations

import uuid
from dataclasses import replace

from bootstrap.core import pulumi_commands
from bootstrap.core.errors import AccountError, Side
from bootstrap.core.outcome import Acted, Outcome, Pending
from bootstrap.core.suggestions import Command, suggest
from bootstrap.journal.records import Probing
from bootstrap.run.step_context import ProbePut, StepContext
from replicator.probes import PROBES_PER_PUT, ROW_KEPT_SECONDS, ProbeRecord, probe_records

LONGEST_WAIT = 30.0
"""Seconds between two attempts. A shard recovers within a second; a lease lasts for a minute."""


def advance_put(context: StepContext) -> Outcome:
    """Put what is left of the round, or of a new one.

    Raises:
        AccountError: the stream has taken none of it for `timing.patience` seconds.
    """
    memory, stream = context.memory, context.table.stream_name
    # Kept before the attempt: after a failed one, the next call continues this round.
    memory.putting = memory.putting or _begin(context)
    put = memory.putting = _attempt(context, memory.putting)
    now = context.source.open_shards(stream)
    if now.shards != put.shards or context.journal.now() - put.at > ROW_KEPT_SECONDS / 2:
        memory.putting = None
        return Pending("the stream's shards to settle", context.timing.poll(5))
    if put.left:
        return _throttled(context, put)
    memory.putting = None
    memory.probe, memory.probes, memory.put_at = put.probe, put.count, put.at
    memory.rounds += 1
    moment = memory.moment or put.at
    done = Probing(put.probe, put.count, put.at, moment, complete=True)
    context.journal.put(done, f"{put.count} probes are in the stream")
    return Acted()


def _begin(context: StepContext) -> ProbePut:
    table = context.table
    open_ = context.source.open_shards(table.stream_name)
    probe = uuid.uuid4().hex
    batch = probe_records(probe, table.source_table, open_.shards, table.parallelization_factor)
    context.journal.put(Probing(probe, len(batch), open_.at), f"putting {len(batch)} probes")
    return ProbePut(
        probe, len(batch), open_.shards, open_.at, tuple(batch), progress_at=context.journal.now()
    )


def _attempt(context: StepContext, put: ProbePut) -> ProbePut:
    left: list[ProbeRecord] = []
    for start in range(0, len(put.left), PROBES_PER_PUT):
        chunk = put.left[start : start + PROBES_PER_PUT]
        left += context.source.put_probes(context.table.stream_name, chunk)
    progress = put.progress_at if len(left) == len(put.left) else context.journal.now()
    refusals = put.refusals + 1 if left else 0
    return replace(put, left=tuple(left), refusals=refusals, progress_at=progress)


def _raise(context: StepContext) -> str:
    if context.table.adopts_stream:
        return "ask the stream's owner to raise its capacity"
    up = pulumi_commands.up(context.outputs.stack)
    return f"raise its capacity in the stack file, then `{up}`"


def _throttled(context: StepContext, put: ProbePut) -> Pending:
    stream, timing = context.table.stream_name, context.timing
    stalled = context.journal.now() - put.progress_at
    if stalled > timing.patience:
        context.memory.putting = None
        raise AccountError(
            Side.SOURCE,
            f"Stream {stream} is throttled: it has not taken {len(put.left)} of {put.count} probe "
            f"records for {stalled:.0f} s.",
            fix=suggest(
                f"check the stream's WriteProvisionedThroughputExceeded; {_raise(context)}; then ",
                Command("run"),
            ),
        )
    longest = min(LONGEST_WAIT, 2.0**put.refusals)
    wait = timing.poll(context.chance.uniform(longest / 2, longest))
    return Pending(f"stream {stream} to take the probes, which it throttles", wait)
