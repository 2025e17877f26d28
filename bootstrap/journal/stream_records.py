"""The record of a table's own stream, where that is the buffer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from bootstrap.core.journal_rows import Row
from bootstrap.core.stack_outputs import TableOutputs
from replicator.buffers import STREAMS

LOST_ANSWER_SECONDS = 600.0
"""After the intention, for which a stream that is on counts as the one that was asked for."""


@dataclass(frozen=True)
class TableStreamRecord:
    """The stream, and the mapping that reads it: intended, then known by ARN and UUID."""

    key: ClassVar[str] = "table-stream"

    intended_at: float = 0
    """When this run meant to switch the stream on; 0: it was on."""
    arn: str = ""
    """Empty: not known to be on yet."""
    mapping_intended_at: float = 0
    """When the mapping's creation was intended; 0: not yet."""
    mapping_uuid: str = ""
    lost_generation: int = 0
    """The lease under which a stream was reported that is not this one any more, or is off; 0:
    none was. A later run begins the buffer anew."""
    former_mappings: tuple[str, ...] = ()
    """Mappings of streams that were lost, which are to be deleted."""
    asked_at: float = 0
    """When AWS had answered the call that switches the stream on; 0: no answer is known."""

    @property
    def by_us(self) -> bool:
        """True if this run switched the stream on, and may switch it off."""
        return self.intended_at > 0

    def asked(self, now: float) -> bool:
        """Tell whether the stream is the intended one: the call was answered, or it was made just
        now and its answer is lost. A stream that its owner switches on later is not.
        """
        return self.asked_at > 0 or now - self.intended_at <= LOST_ANSWER_SECONDS

    def found(self, stream_arn: str, now: float) -> TableStreamRecord:
        """Return the record of a stream that is on now. It is by us only if it was asked for."""
        ours = self.by_us and self.asked(now)
        return replace(self, arn=stream_arn, intended_at=self.intended_at if ours else 0)


def mapping_of(table: TableOutputs, row: Row) -> str:
    """Return the UUID of the consumer's mapping, whatever the buffer; empty if there is none yet.

    `row`: the table's row in the journal.
    """
    if table.buffer != STREAMS:
        return table.mapping_uuid
    known = row.record(TableStreamRecord)
    return known.mapping_uuid if known is not None else ""


def stream_of(table: TableOutputs, row: Row) -> str:
    """Return the ARN of the buffer, whatever its kind; empty if there is none yet."""
    if table.buffer != STREAMS:
        return table.stream_arn
    known = row.record(TableStreamRecord)
    return known.arn if known is not None else ""
