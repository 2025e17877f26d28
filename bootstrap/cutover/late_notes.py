"""The consumer's notes of an attempt: changes newer than the mark, and deletions left out.

The notes of all shards that it has ever had a lane in, and of those that are open now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bootstrap.core.ports import Ledger
from replicator.late_write_rows import LateWritesRow


@dataclass(frozen=True)
class LateNotes:
    """The notes of one attempt in one table. Moments in microseconds."""

    changes: int = 0
    newest: int = 0
    deletions: int = 0

    @classmethod
    def of(cls, rows: Sequence[LateWritesRow]) -> LateNotes:
        """Sum the rows of all shards."""
        return cls(
            sum(row.changes for row in rows),
            max((row.newest for row in rows), default=0),
            sum(row.deletions for row in rows),
        )


def read_late_notes(ledger: Ledger, nonce: str, open_shards: Iterable[str] = ()) -> LateNotes:
    """Read the notes of every shard that the consumer knows, and of those that are open."""
    shards = {*ledger.lane_shards(), *open_shards}
    return LateNotes.of(ledger.late_writes(nonce, sorted(shards)))
