"""The writer of the rows that prove how far a table's stream is through."""

from __future__ import annotations

from dataclasses import dataclass

from replicator.call_context import CallContext
from replicator.consumer.proof_writer import ProofWriter
from replicator.ended_rows import EndedRow
from replicator.settings import ConsumerSettings


@dataclass(frozen=True)
class EndedWriter(ProofWriter):
    """Writes ended rows."""

    def write(self, order: str, settings: ConsumerSettings, context: CallContext) -> bool:
        """Write a record's row; return False if the deadline came first.

        Call this only when the record and every record before it in its batch have ended: the row
        is the proof of that, and that the batch obeyed these settings.
        """
        return self.put(
            lambda now: EndedRow(
                order, now, armed=settings.armed, closed=settings.closed
            ).to_item(),
            context,
        )
