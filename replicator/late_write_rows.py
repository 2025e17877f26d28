"""Rows of the ledger table about changes that a switch should not see: `late:<nonce>:<shard>`.

A switch closes the source to writers and then expects no newer change. What comes all the same is
counted here, one row a shard, so that the switch waits for it or takes itself back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEPT_SECONDS = 30 * 86_400
NOTES_KEPT = 20


def late_writes_key(nonce: str, shard_id: str) -> bytes:
    """Return the key of a shard's row in the ledger table, for one attempt of a switch."""
    return b"late:" + nonce.encode() + b":" + shard_id.encode()


@dataclass(frozen=True)
class LateWrite:
    """One change: the digest of its key, its version (microseconds), and where it lies.

    `place` is `shard:sequence number`.
    """

    key: bytes
    version: int
    place: str


@dataclass(frozen=True)
class LateWritesRow:
    """A shard's changes newer than the switch's mark, and the deletions left to the target's TTL.

    The counts are approximate: redelivered records count again. `newest` and `at` are in
    microseconds since 1970; `notes` are the last few of the changes.
    """

    nonce: str
    shard_id: str
    at: int
    changes: int = 0
    newest: int = 0
    deletions: int = 0
    revision: int = 0
    """Grows with each write of the row."""
    notes: tuple[LateWrite, ...] = ()

    def to_item(self) -> dict[str, Any]:
        return {
            "k": {"B": late_writes_key(self.nonce, self.shard_id)},
            "n": {"N": str(self.revision)},
            "at": {"N": str(self.at)},
            "changes": {"N": str(self.changes)},
            "newest": {"N": str(self.newest)},
            "deletions": {"N": str(self.deletions)},
            "notes": {"L": [_to_value(note) for note in self.notes]},
            "x": {"N": str(self.at // 1_000_000 + KEPT_SECONDS)},
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> LateWritesRow:
        """Raise ValueError for an item that is no such row."""
        try:
            _, nonce, shard_id = bytes(item["k"]["B"]).decode().split(":", 2)
            return cls(
                nonce=nonce,
                shard_id=shard_id,
                at=int(item["at"]["N"]),
                changes=int(item["changes"]["N"]),
                newest=int(item["newest"]["N"]),
                deletions=int(item["deletions"]["N"]),
                revision=int(item["n"]["N"]),
                notes=tuple(_from_value(note) for note in item["notes"]["L"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError("a row of late writes without counts or times") from error


def _to_value(note: LateWrite) -> dict[str, Any]:
    members = {
        "key": {"B": note.key},
        "version": {"N": str(note.version)},
        "place": {"S": note.place},
    }
    return {"M": members}


def _from_value(value: Mapping[str, Any]) -> LateWrite:
    members = value["M"]
    return LateWrite(
        bytes(members["key"]["B"]), int(members["version"]["N"]), members["place"]["S"]
    )
