"""Rows of the ledger table that say how far each shard's lane has come: `lane:<shard>`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LANE_SHARDS_KEY = b"lane-shards"
"""The key of the row that names the shards (`shards`, a set of strings): the table is read by key
alone, and a promotion may not ask the source for its shards."""
KEPT_SECONDS = 400 * 86_400
"""Longer than a stream remembers: a mapping made again starts from the oldest lane."""
SEQUENCE_DIGITS = 64
"""Sequence numbers have up to 57 digits, and a number of DynamoDB holds 38. So they are compared as
text of one length."""


def lane_key(shard_id: str) -> bytes:
    """Return the key of a shard's row in the ledger table."""
    return b"lane:" + shard_id.encode()


@dataclass(frozen=True)
class LaneRow:
    """The last record of a shard before which every record has ended.

    `arrival` is when the record entered the stream, `newest` the newest version that the lane has
    ended (0 where none is known), `at` when the row was written; all in microseconds since 1970.
    Where a shard is read by several lanes the row is that of the foremost, and no watermark.
    """

    shard_id: str
    sequence_number: str
    arrival: int
    newest: int
    at: int

    def to_item(self) -> dict[str, Any]:
        return {
            "k": {"B": lane_key(self.shard_id)},
            "sequence": {"S": self.sequence_number.zfill(SEQUENCE_DIGITS)},
            "arrival": {"N": str(self.arrival)},
            "newest": {"N": str(self.newest)},
            "at": {"N": str(self.at)},
            "x": {"N": str(self.at // 1_000_000 + KEPT_SECONDS)},
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> LaneRow:
        """Raise ValueError for an item that is no such row."""
        try:
            return cls(
                shard_id=bytes(item["k"]["B"]).decode().partition(":")[2],
                sequence_number=str(int(item["sequence"]["S"])),
                arrival=int(item["arrival"]["N"]),
                newest=int(item["newest"]["N"]),
                at=int(item["at"]["N"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError("a lane's row without place or times") from error
