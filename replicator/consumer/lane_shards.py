"""The index of the shards that have rows in the ledger table, kept before the rows themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from replicator.call_context import CallContext
from replicator.consumer.shared_rows import SharedRows, retried
from replicator.lane_rows import INDEX_KEPT_SECONDS, index_key, shards_in
from replicator.runtime import Clock


@dataclass
class LaneShards:
    """The shards that this container knows to be in the index."""

    rows: SharedRows
    clock: Clock
    _indexed: set[tuple[bytes, str]] = field(default_factory=set)

    def include(self, shard_id: str, context: CallContext) -> bool:
        """Return whether the index names the shard. Call this before a row of it is written.

        A row of a shard that is not named there is never found.
        """
        key = index_key(self.clock.now_micros())
        if (key, shard_id) in self._indexed:
            return True
        return retried(partial(self._include, key, shard_id, context), context)

    def _include(self, key: bytes, shard_id: str, context: CallContext) -> bool:
        item = self.rows.get(key, context)
        if item is None:
            return False
        try:
            known = shards_in(item)
        except ValueError as error:
            context.report_error("GetItem", "LaneIndexUnreadable", str(error))
            return False
        # Read first: many containers begin at the same time, and a write costs the whole row.
        if shard_id not in known:
            expiry = self.clock.now_micros() // 1_000_000 + INDEX_KEPT_SECONDS
            if not self.rows.add(key, "shards", shard_id, expiry, context):
                return False
        self._indexed |= {(key, each) for each in known | {shard_id}}
        return True
