"""The positions of this container's lanes, written to the ledger table at most every ten seconds.

What a switch or a promotion knows of a source that is out of reach, and where a mapping begins that
is made again. It is written last: it may not delay a change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from replicator.call_context import CallContext
from replicator.change import Change
from replicator.consumer.decode import Content, Record
from replicator.consumer.lane_shards import LaneShards
from replicator.consumer.shared_rows import SharedRows, retried
from replicator.lane_rows import LaneRow, lane_key
from replicator.runtime import Clock

WRITE_EVERY_SECONDS = 10.0


@dataclass
class _Lane:
    """A shard's last ended record that is not in its row yet, and the newest version ended."""

    newest: int = 0
    record: Record | None = None
    tried_at: float | None = None
    """On the monotonic clock."""


@dataclass
class Lanes:
    """The shards that a container has been given records of."""

    rows: SharedRows
    clock: Clock
    shards: LaneShards
    _seen: dict[str, _Lane] = field(default_factory=dict)

    def ended(self, records: Iterable[tuple[Record, Content | None]]) -> None:
        """Take the records of a batch that have ended, in order, up to the first that has not."""
        for record, content in records:
            lane = self._seen.get(record.shard_id)
            if lane is None:
                lane = self._seen[record.shard_id] = _Lane()
            lane.record = record
            if isinstance(content, Change):
                lane.newest = max(lane.newest, content.version.micros)

    def write(self, context: CallContext) -> None:
        """Write the rows that are due. What cannot be written is kept for a later invocation."""
        now = self.clock.monotonic()
        for shard_id, lane in self._seen.items():
            waited = lane.tried_at is None or now - lane.tried_at >= WRITE_EVERY_SECONDS
            if lane.record is not None and waited:
                lane.tried_at = now
                if not self.shards.include(shard_id, context):
                    return
                if not retried(partial(self._advance, shard_id, lane, context), context):
                    return

    def _advance(self, shard_id: str, lane: _Lane, context: CallContext) -> bool:
        """Write a lane's row, unless another container has come further."""
        item = self.rows.get(lane_key(shard_id), context)
        if item is None or lane.record is None:
            return False
        try:
            known = LaneRow.from_item(item) if item else None
        except ValueError as error:
            context.report_error("GetItem", "LaneRowUnreadable", str(error))
            return False
        number = lane.record.sequence_number
        if known is not None and int(known.sequence_number) >= int(number):
            lane.record = None
            return True
        row = LaneRow(
            shard_id,
            sequence_number=number,
            arrival=int(lane.record.arrival * 1e6),
            newest=max(lane.newest, known.newest if known else 0),
            at=self.clock.now_micros(),
        )
        if not self.rows.replace(item, row.to_item(), context, member="sequence"):
            return False
        lane.record = None
        return True
