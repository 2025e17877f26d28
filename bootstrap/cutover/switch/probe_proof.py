"""Rounds of probes in a switch: each lane answers for itself, by the row that it writes.

A row says under which settings its invocation ran. So what is proved here rests on no cache's age.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bootstrap.core import pulumi_commands
from bootstrap.core.errors import BlockedError
from bootstrap.core.facts import ProbeEcho
from bootstrap.core.outcome import Done, Outcome, Pending, probe_progress
from bootstrap.cutover.context import SwitchContext
from bootstrap.run.probe_put import advance_put
from replicator.probes import PROTOCOL

POLL_SECONDS = 2.0


def start_round(context: SwitchContext, moment: float) -> None:
    """Begin anew: the next round counts only if it is put from now on.

    `moment`: everything older has left DynamoDB, so that a run that meets the round in the journal
    may rest on it (epoch seconds).
    """
    memory = context.steps.memory
    memory.moment, memory.probe, memory.probes, memory.putting = moment, "", 0, None


def advance_round(
    context: SwitchContext, what: str, accepts: Callable[[ProbeEcho], bool]
) -> Outcome:
    """Put rounds until one has come through whose every lane `accepts`.

    Done: the round that is through was put after `start_round`. `what`: what is waited for.

    Raises:
        BlockedError: a lane runs code of before.
    """
    memory, steps = context.steps.memory, context.steps
    if not memory.probe:
        return advance_put(steps)
    echoes = steps.ledger.probe_echoes(memory.probe, memory.probes)
    _refuse_old_code(context, echoes)
    if len(echoes) < memory.probes:
        progress = probe_progress(len(echoes), memory.probes, memory.put_at)
        return Pending("the probes to come through", steps.timing.poll(POLL_SECONDS), progress)
    if all(accepts(echo) for echo in echoes):
        return Done()
    # The lanes read the settings at most every 30 seconds: another round, with the next poll.
    memory.probe, memory.probes = "", 0
    return Pending(what, steps.timing.poll(POLL_SECONDS))


def round_trip(context: SwitchContext) -> float:
    """Return the seconds from the put of the round that is through until now."""
    return context.now - context.steps.memory.put_at


def _refuse_old_code(context: SwitchContext, echoes: Sequence[ProbeEcho]) -> None:
    if all(echo.protocol >= PROTOCOL for echo in echoes):
        return
    raise BlockedError(
        f"The consumer of table {context.table.source_table} runs code of an earlier version, "
        "which does not know a switch.",
        fix=pulumi_commands.up(context.steps.outputs.stack),
    )
