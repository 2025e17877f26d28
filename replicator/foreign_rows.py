"""Rows of the ledger table about other tables whose records are in this table's stream.

The row `foreign:<table>` counts one table's records. The row `foreign` names all of them, because a
table keyed by a hash has no other way to find rows by prefix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INDEX_KEY = b"foreign"
KEPT_SECONDS = 86_400


def foreign_key(table: str) -> bytes:
    return b"foreign:" + table.encode()


@dataclass(frozen=True)
class ForeignRow:
    """The records of one other table: about how many, and the last one seen.

    `at` is in microseconds since 1970. `count` is approximate: redelivered records count again.
    """

    table: str
    count: int
    at: int
    shard_id: str
    sequence_number: str

    def to_item(self) -> dict[str, Any]:
        return {
            "k": {"B": foreign_key(self.table)},
            "n": {"N": str(self.count)},
            "at": {"N": str(self.at)},
            "shard": {"S": self.shard_id},
            "sequence": {"S": self.sequence_number},
            "x": {"N": str(self.at // 1_000_000 + KEPT_SECONDS)},
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> ForeignRow:
        """Raise ValueError for an item that is no such row."""
        try:
            return cls(
                table=bytes(item["k"]["B"]).decode().partition(":")[2],
                count=int(item["n"]["N"]),
                at=int(item["at"]["N"]),
                shard_id=item["shard"]["S"],
                sequence_number=item["sequence"]["S"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError("a row of another table without count, time or place") from error


def index_item(tables: frozenset[str]) -> dict[str, Any]:
    return {"k": {"B": INDEX_KEY}, "tables": {"SS": sorted(tables)}}


def tables_in(item: Mapping[str, Any]) -> frozenset[str]:
    """Return the names in the index row; none where there is no row."""
    try:
        return frozenset(item["tables"]["SS"]) if item else frozenset()
    except (KeyError, TypeError) as error:
        raise ValueError("an index of other tables without names") from error
