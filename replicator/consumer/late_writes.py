"""Changes that arrive while a switch expects none: noted in the ledger table for the switch.

Unlike the rows of lanes and of other tables these must not be missed: a record whose note cannot be
written is delivered again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from replicator.call_context import CallContext
from replicator.change import Change
from replicator.consumer.decode import Record
from replicator.consumer.lane_shards import LaneShards
from replicator.consumer.shared_rows import SharedRows, retried
from replicator.late_write_rows import NOTES_KEPT, LateWrite, LateWritesRow, late_writes_key
from replicator.runtime import Clock


@dataclass(frozen=True)
class LateWrites:
    """Writes the notes of one invocation, whose records are of one shard."""

    rows: SharedRows
    clock: Clock
    shards: LaneShards

    def note(
        self,
        nonce: str,
        changes: Sequence[tuple[Record, Change]],
        deletions: Sequence[tuple[Record, Change]],
        context: CallContext,
    ) -> bool:
        """Return whether these late changes, and these deletions by TTL, are in their shard's row.

        `nonce` names the attempt of the switch.
        """
        if not changes and not deletions:
            return True
        shard_id = (changes or deletions)[0][0].shard_id
        # First the index: a note that a switch does not find does not count.
        if not self.shards.include(shard_id, context):
            return False
        return retried(partial(self._add, nonce, shard_id, changes, deletions, context), context)

    def _add(
        self,
        nonce: str,
        shard_id: str,
        changes: Sequence[tuple[Record, Change]],
        deletions: Sequence[tuple[Record, Change]],
        context: CallContext,
    ) -> bool:
        item = self.rows.get(late_writes_key(nonce, shard_id), context)
        if item is None:
            return False
        now = self.clock.now_micros()
        try:
            known = LateWritesRow.from_item(item) if item else LateWritesRow(nonce, shard_id, now)
        except ValueError as error:
            context.report_error("GetItem", "LateWritesUnreadable", str(error))
            return False
        notes = dict.fromkeys(
            [*known.notes, *(_note(record, change) for record, change in changes[-NOTES_KEPT:])]
        )
        row = replace(
            known,
            at=now,
            changes=known.changes + len(changes),
            newest=max([known.newest, *(change.version.latest for _, change in changes)]),
            deletions=known.deletions + len(deletions),
            revision=known.revision + 1,
            notes=tuple(notes)[-NOTES_KEPT:],
        )
        return self.rows.replace(item, row.to_item(), context, member="n")


def _note(record: Record, change: Change) -> LateWrite:
    place = f"{record.shard_id}:{record.sequence_number}"
    return LateWrite(change.key, change.version.micros, place)
