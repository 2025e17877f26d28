"""Rows of the ledger table that say how far each shard's lane has come: `lane:<shard>`.

The rows `lane-shards:<n>` name the shards, because the ledger table is read by key alone, and a
promotion may not ask the source for its shards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEPT_SECONDS = 400 * 86_400
"""Longer than a stream remembers: a mapping made again starts from the oldest lane."""
SEQUENCE_DIGITS = 64
"""Sequence numbers have up to 57 digits, and a number of DynamoDB holds 38. So they are compared as
text of one length."""
INDEX_PERIOD_SECONDS = 30 * 86_400
INDEX_ROWS = 16
"""The rows of the index are used in turn, for a period each: an item holds about 18,000 shards, and
a stream that is resharded for years has more. The expiry of a row frees its turn: it comes after
those of the lanes that were written in its period, and before the row is used again."""
INDEX_KEYS = tuple(b"lane-shards:%d" % n for n in range(INDEX_ROWS))
INDEX_KEPT_SECONDS = KEPT_SECONDS + INDEX_PERIOD_SECONDS + 86_400


def lane_key(shard_id: str) -> bytes:
    """Return the key of a shard's row in the ledger table."""
    return b"lane:" + shard_id.encode()


def index_key(at: int) -> bytes:
    """Return the key of the row that names the shards whose rows are written at `at` (µs)."""
    return INDEX_KEYS[at // (INDEX_PERIOD_SECONDS * 1_000_000) % INDEX_ROWS]


def shards_in(item: Mapping[str, Any]) -> frozenset[str]:
    """Return the shards that a row of the index names; none where there is no row."""
    try:
        return frozenset(item["shards"]["SS"]) if item else frozenset()
    except (KeyError, TypeError) as error:
        raise ValueError("an index of lanes without shards") from error


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
