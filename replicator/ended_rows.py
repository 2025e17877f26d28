"""Rows of the ledger table that prove how far a table's stream is through: `ended:<order>`.

An event of a DynamoDB stream does not name its shard. So the consumer writes a row for the last
record before which everything in its batch has ended; a record counts as failed until its row is
written. Lambda delivers a shard in order, one batch at a time: a row proves everything before its
record in that shard, and a reader of the shard knows the record by its number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from replicator.probes import PROTOCOL

KEPT_SECONDS = 72 * 3600
"""Much longer than a stream promises to keep the record: records "older than 24 hours are
susceptible to trimming (removal) from the stream" (developer guide, Streams.html), at no stated
moment, and a reader may be given an older one."""


def ended_key(order: str) -> bytes:
    """Return the key of a record's row in the ledger table; `order` is that of `stream_order`."""
    return b"ended:" + order.encode()


@dataclass(frozen=True)
class EndedRow:
    """A record before which every record of its batch has ended, and itself has, too.

    `at` is when the row was written, in microseconds since 1970. `armed`, `closed`: the nonces of a
    switch under which the batch ran.
    """

    order: str
    at: int
    protocol: int = PROTOCOL
    armed: str | None = None
    closed: str | None = None

    def to_item(self) -> dict[str, Any]:
        item: dict[str, Any] = {
            "k": {"B": ended_key(self.order)},
            "at": {"N": str(self.at)},
            "protocol": {"N": str(self.protocol)},
            "x": {"N": str(self.at // 1_000_000 + KEPT_SECONDS)},
        }
        for name, nonce in (("armed", self.armed), ("closed", self.closed)):
            if nonce is not None:
                item[name] = {"S": nonce}
        return item

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> EndedRow:
        """Raise ValueError for an item that is no such row."""
        try:
            return cls(
                order=bytes(item["k"]["B"]).decode().partition(":")[2],
                at=int(item["at"]["N"]),
                protocol=int(item["protocol"]["N"]),
                armed=item["armed"]["S"] if "armed" in item else None,
                closed=item["closed"]["S"] if "closed" in item else None,
            )
        except (KeyError, TypeError) as error:
            raise ValueError("a row of an ended record without time or protocol") from error
