"""The proof of a table whose buffer is a Kinesis data stream: probes through every lane."""

from __future__ import annotations

from collections.abc import Callable

from bootstrap.core.errors import BlockedError
from bootstrap.core.facts import ProbeEcho
from bootstrap.core.outcome import Done, Outcome
from bootstrap.core.suggestions import Command, suggest
from bootstrap.cutover.context import SwitchContext
from bootstrap.cutover.late_notes import LateNotes, read_late_notes
from bootstrap.cutover.switch.gate import refuse_taken_gate
from bootstrap.cutover.switch.handing_over import advance_handover
from bootstrap.cutover.switch.probe_proof import advance_round, round_trip, start_round
from bootstrap.cutover.switch.table_set import SwitchSet

LANES_ARMED = "every lane to see that a switch is under way"


class KinesisProof:
    """`BufferProof` by rounds of probes, each of whose rows says what its lane obeys."""

    def begin(self, context: SwitchContext, moment: float) -> None:
        start_round(context, moment)

    def prove_lanes(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        nonce = group.attempt.nonce

        def armed(echo: ProbeEcho) -> bool:
            # With writes stopped, the time that lanes take to see it would count as refused: the
            # drain asks them again.
            return echo.armed == nonce or not group.fenced

        outcome = _own_round(group, context, LANES_ARMED, armed)
        if not isinstance(outcome, Done):
            return outcome
        took, most = round_trip(context), group.options.max_lag
        if took > most:
            raise BlockedError(
                f"Probes of table {context.table.source_table} took {took:.0f} s, longer than "
                f"--max-lag allows ({most:.0f} s): the drain would keep writers waiting.",
                fix=suggest(Command("status"), "; then the same command with a greater --max-lag"),
            )
        return outcome

    def await_handover(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        mark = group.attempt.mark
        outcome = advance_handover(context, mark)
        if isinstance(outcome, Done):
            start_round(context, mark)
        return outcome

    def prove_drained(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        nonce = group.attempt.nonce

        def armed(echo: ProbeEcho) -> bool:
            return echo.armed == nonce

        return _own_round(group, context, LANES_ARMED, armed)

    def notes(self, group: SwitchSet, context: SwitchContext) -> LateNotes:
        steps = context.steps
        open_ = steps.source.open_shards(context.table.stream_name).shards
        shards = [each.shard_id for each in open_]
        return read_late_notes(steps.ledger, group.attempt.nonce, shards)

    def stop_consumer(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        """The closed gate is enough: probes prove that every lane obeys it."""
        return Done()

    def prove_closed(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        nonce = group.attempt.nonce

        def closed(echo: ProbeEcho) -> bool:
            return echo.closed == nonce

        return _own_round(group, context, "every lane to see that the gate is closed", closed)

    def last_write(self, group: SwitchSet, context: SwitchContext) -> float:
        attempt, timing = group.attempt, context.steps.timing
        over = attempt.gate_at + timing.gate_settling
        if not group.fenced:
            over = max(over, attempt.armed_at + timing.gate_after_arming)
        return over

    def prove_nothing_left(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        return self.prove_closed(group, context)


def _own_round(
    group: SwitchSet, context: SwitchContext, what: str, accepts: Callable[[ProbeEcho], bool]
) -> Outcome:
    """Advance a round of probes, for as long as this attempt owns the gate.

    Raises:
        BlockedError: another attempt, or a promotion, owns the consumer's gate.
    """
    outcome = advance_round(context, what, accepts)
    if not isinstance(outcome, Done):
        refuse_taken_gate(group, context)
    return outcome
