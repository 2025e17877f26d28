"""The proof that the consumer has come through what a table's buffer holds, and obeys the gate."""

from __future__ import annotations

from typing import Protocol

from bootstrap.core.outcome import Outcome
from bootstrap.cutover.context import SwitchContext
from bootstrap.cutover.late_notes import LateNotes
from bootstrap.cutover.switch.kinesis_proof import KinesisProof
from bootstrap.cutover.switch.stream_proof import StreamProof
from bootstrap.cutover.switch.table_set import SwitchSet


class BufferProof(Protocol):
    """One kind of buffer. It has no state of its own: what it observes is the context's."""

    def begin(self, context: SwitchContext, moment: float) -> None:
        """Begin anew: only what is observed from now on proves anything.

        `moment`: everything older has left DynamoDB (epoch seconds).
        """

    def prove_lanes(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        """Wait until the consumer is known to follow, and to run code that knows a switch.

        Raises:
            BlockedError: it runs code of before, or is too far behind.
        """

    def await_handover(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        """Wait until DynamoDB has put everything from before the mark into the buffer."""

    def prove_drained(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        """Wait until the consumer has come through all that was handed over."""

    def notes(self, group: SwitchSet, context: SwitchContext) -> LateNotes:
        """Read what the consumer noted during this attempt."""

    def stop_consumer(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        """Switch the consumer off, where the proof of the closed gate needs that."""

    def prove_closed(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        """Wait until no invocation begins that could write."""

    def last_write(self, group: SwitchSet, context: SwitchContext) -> float:
        """Return the moment (epoch seconds) after which no invocation of before writes."""

    def prove_nothing_left(self, group: SwitchSet, context: SwitchContext) -> Outcome:
        """Wait for the proof, taken from now on, that the buffer holds nothing that is missing.

        Raises:
            BlockedError: it does.
        """


_KINESIS: BufferProof = KinesisProof()
_STREAM: BufferProof = StreamProof()


def proof_of(context: SwitchContext) -> BufferProof:
    """Return the proof for the table's buffer."""
    return _STREAM if context.table.reads_table_stream else _KINESIS
