"""The proof of a table whose buffer is its own stream: an own reader, and a consumer that is off.

No probe can be put into such a stream, so no lane can be asked whether it obeys the gate. What the
stream held at the mark is read, and found ended; then the consumer's mapping is switched off, and
what came since is read once no invocation can be running.
"""

from __future__ import annotations

from dataclasses import replace

from bootstrap.core import pulumi_commands
from bootstrap.core.errors import BlockedError
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.suggestions import Command, suggest
from bootstrap.core.table_stream_facts import label_of
from bootstrap.cutover.context import SwitchContext
from bootstrap.cutover.late_notes import LateNotes, read_late_notes
from bootstrap.cutover.stream_rest import StreamRest
from bootstrap.cutover.switch.gate import refuse_taken_gate
from bootstrap.cutover.switch.table_set import SwitchSet
from bootstrap.run.steps import consumer_mapping, stream_mapping, table_stream
from bootstrap.run.steps.stream_catch_up import tips_at
from bootstrap.run.stream_tips import StreamTips
from replicator.probes import PROTOCOL

POLL_SECONDS = 2.0
REST_QUIET_SECONDS = 5.0
"""For which an open shard has to be empty behind the drain's last record. Writers are refused."""
SETTLING = "the table's stream to hold the last writes"


class StreamProof:
    """`BufferProof` by an own reader of the table's stream, and by the mapping's state."""

    def begin(self, context: SwitchContext, moment: float) -> None:
        context.memory.stream = replace(context.memory.stream, question=0.0, tips=None, rest=None)

    def prove_lanes(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        """Ask what the stream holds now. Where it holds nothing, no row says which code runs: the
        gate then waits for as long as any code may run (`last_write`).
        """
        question = context.memory.stream.question
        if not question:
            question = table_stream.describe(context.steps).at
            context.memory.stream = replace(context.memory.stream, question=question)
        outcome = self._come_through(group, context, question)
        if not isinstance(outcome, Done):
            return outcome
        took = context.now - question - context.steps.timing.stream_settling
        if took > group.options.max_lag:
            raise BlockedError(
                f"The consumer of table {context.table.source_table} came through what its stream "
                f"held after {took:.0f} s, more than --max-lag allows "
                f"({group.options.max_lag:.0f} s): the drain would keep writers waiting.",
                fix=suggest(Command("status"), "; then the same command with a greater --max-lag"),
            )
        return outcome

    def await_handover(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        timing, mark = context.steps.timing, group.attempt.mark
        tips = context.memory.stream.tips
        if tips is None or tips.question != mark:
            self.begin(context, mark)
        # Read from the mark on: a shard counts as read to its end only after a while, and writers
        # are refused meanwhile.
        self._come_through(group, context, mark)
        left = mark + timing.stream_settling - group.now
        if left > 0:
            return Pending(SETTLING, min(timing.poll(5), max(0.2, left)))
        return Done()

    def prove_drained(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        outcome = self._come_through(group, context, group.attempt.mark)
        tips = context.memory.stream.tips
        if isinstance(outcome, Done) and tips is not None:
            nonce = group.attempt.nonce
            context.memory.stream = replace(
                context.memory.stream,
                ended=tips.ended(),
                complete=tips.complete(),
                obeys=any(row.armed == nonce for row in tips.rows()),
            )
        return outcome

    def notes(self, group: SwitchSet, context: SwitchContext) -> LateNotes:
        steps = context.steps
        return read_late_notes(steps.ledger, group.attempt.nonce, [label_of(steps.stream_arn)])

    def stop_consumer(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        """Switch the mapping off. The step is in the journal: a cancel switches it on again."""
        steps = context.steps
        mapping = steps.mapping()
        if mapping is None:
            raise consumer_mapping.gone(steps)
        if mapping.state == "Disabled":
            return Done()
        if mapping.state == "Enabled":
            steps.target.disable_mapping(mapping.uuid)
            return Acted()
        return Pending(
            f"the event source mapping to be off (it is {mapping.state})",
            steps.timing.poll(POLL_SECONDS),
        )

    def prove_closed(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        self._refuse_running(context)
        refuse_taken_gate(group, context)
        context.journal.refresh()  # a process that was suspended learns AWS's time
        context.memory.stream = replace(context.memory.stream, off_at=context.now)
        return Done()

    def last_write(self, group: SwitchSet, context: SwitchContext) -> float:
        """Lambda may be running what it began before the mapping was off. Under this attempt an
        invocation is short; code that no row has shown to obey it has the function's time limit.
        """
        timing, known = context.steps.timing, context.memory.stream
        longest = timing.gate_settling if known.obeys else timing.last_invocation
        return max(known.off_at + longest, group.attempt.armed_at + timing.gate_after_arming)

    def prove_nothing_left(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        """Read the stream behind what had ended at the drain.

        Raises:
            BlockedError: there are changes; they wait in the stream, and a cancelled switch's
                consumer applies them. Or the consumer was switched on.
        """
        self._refuse_running(context)
        refuse_taken_gate(group, context)
        steps, known = context.steps, context.memory.stream
        rest = known.rest
        if rest is None:
            rest = StreamRest(
                table_stream.clients(steps).reader,
                steps.ledger,
                steps.stream_arn,
                known.ended,
                (steps.ledger.settings().floor or 0) / 1e6,
                known.complete,
                quiet=steps.timing.poll(REST_QUIET_SECONDS),
            )
            context.memory.stream = replace(known, rest=rest)
        facts = table_stream.describe(steps)
        if not rest.look(facts.shards, facts.at):
            return Pending("the rest of the table's stream to be read", steps.timing.poll(1))
        if rest.changes:
            raise BlockedError(
                f"{rest.changes} changes of table {context.table.source_table} entered its stream "
                "after the drain: the source still took writes, or they came late. The consumer "
                "applies those that wait once it is on again.",
                fix=suggest(
                    "stop the writer (CloudTrail data events name it); ",
                    Command("quarantine list"),
                    ", then redrive each; then switch again",
                ),
            )
        context.memory.stream = replace(context.memory.stream, deletions=rest.deletions)
        return Done()

    def _come_through(self, group: SwitchSet, context: SwitchContext, question: float) -> Outcome:
        """Wait until all that the stream held at a moment (epoch seconds) has ended."""
        steps, known = context.steps, context.memory.stream
        facts = table_stream.describe(steps)
        tips = known.tips or tips_at(steps, facts.arn, question)
        context.memory.stream = replace(known, tips=tips)
        stream_mapping.refuse_disorder(steps, steps.mapping())
        looked = tips.look(facts.shards, facts.at)
        if facts.at < question + steps.timing.stream_settling:
            return Pending(SETTLING, steps.timing.poll(POLL_SECONDS))
        _refuse_old_code(context, tips)
        if looked.all_through:
            steps.ledger.note_through(round(question * 1e6))
            return Done()
        refuse_taken_gate(group, context)
        if looked.overtaken:
            context.memory.stream = replace(context.memory.stream, tips=None)
        return Pending(
            "the consumer to come through the table's stream", steps.timing.poll(POLL_SECONDS)
        )

    @staticmethod
    def _refuse_running(context: SwitchContext) -> None:
        """Raise BlockedError where the mapping is not off."""
        mapping = context.steps.mapping()
        if mapping is None or mapping.state != "Disabled":
            state = "gone" if mapping is None else mapping.state
            raise BlockedError(
                f"The consumer's mapping of table {context.table.source_table} was off for this "
                f"switch, and is {state}: another hand has changed it.",
                fix="find out who (CloudTrail: UpdateEventSourceMapping), then switch again",
            )


def _refuse_old_code(context: SwitchContext, tips: StreamTips) -> None:
    # One function reads every shard: its newest row says which code ran last. A quiet shard's is
    # of long ago.
    newest = max(tips.rows(), key=lambda row: row.at, default=None)
    if newest is None or newest.protocol >= PROTOCOL:
        return
    raise BlockedError(
        f"The consumer of table {context.table.source_table} runs code of an earlier version, "
        "which does not know a switch.",
        fix=f"{pulumi_commands.up(context.steps.outputs.stack)}; if that has been done since, "
        "change any item of the source, so that the consumer's newest row is of its new code",
    )
