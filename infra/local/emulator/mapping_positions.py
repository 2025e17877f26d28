"""The position of each event source mapping in each shard, as a sequence number."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.emulator.patching import Json
from infra.local.emulator.shards import Shards, parents


@dataclass
class ShardProgress:
    """The sequence number that each poller has processed, and which pollers are `drained`."""

    positions: list[str]
    drained: set[int] = field(default_factory=set)

    @property
    def done(self) -> bool:
        """Say whether every poller has reached the end of a closed shard."""
        return len(self.drained) == len(self.positions)

    def resize(self, factor: int) -> None:
        """Change the number of pollers: all resume at the position of the slowest.

        What the faster pollers had done is delivered again; nothing is left out.
        """
        if factor != len(self.positions):
            self.positions = [min(self.positions)] * factor
            self.drained = set()


class MappingProgress:
    """The shards that a mapping knows; kept while the mapping is disabled."""

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self._mapping = mapping
        self._begun = False
        self._lock = threading.Lock()
        self.shards: dict[str, ShardProgress] = {}

    def look(self, stream: Json, shards: Shards) -> None:
        """Add new shards. A mapping's first look decides where it starts."""
        factor = int(self._mapping.get("ParallelizationFactor") or 1)
        with self._lock:
            for shard_id, shard in list(stream["shards"].items()):
                if shard_id not in self.shards:
                    position = "" if self._begun else self._start(shard, shards)
                    self.shards[shard_id] = ShardProgress([position] * factor)
            self._begun = True

    def _start(self, shard: Json, shards: Shards) -> str:
        kind = self._mapping.get("StartingPosition", "LATEST")
        return shards.position(shard, kind, self._mapping.get("StartingPositionTimestamp")) or ""

    def ready(self, stream: Json) -> list[str]:
        """Return the shards to read now: not done, with parents done or gone."""
        known = self.shards
        return [
            shard_id
            for shard_id, shard in list(stream["shards"].items())
            if shard_id in known
            and not known[shard_id].done
            and all(known[p].done for p in parents(shard) if p in known and p in stream["shards"])
        ]
