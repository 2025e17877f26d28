"""How a ledger entry lies in its table; settings and probe rows have keys of other lengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replicator.change import MICROSECOND, MILLISECOND, Entry, Precision, Version

_PRECISIONS: dict[str, Precision] = {MICROSECOND: MICROSECOND, MILLISECOND: MILLISECOND}


def to_item(key: bytes, entry: Entry, expiry: int | None = None) -> dict[str, Any]:
    """The ledger item of a key; `expiry` in seconds since 1970, None for one that stays."""
    item = {
        "k": {"B": key},
        "t": {"N": str(entry.version.micros)},
        "p": {"S": entry.version.precision},
        "i": {"B": entry.image},
        "o": {"B": entry.previous},
    }
    if expiry is not None:
        item["x"] = {"N": str(expiry)}
    return item


def from_item(item: Mapping[str, Any]) -> Entry:
    """The entry that a ledger item holds. Raises ValueError for an item that is not an entry."""
    try:
        version = Version(int(item["t"]["N"]), _PRECISIONS[item["p"]["S"]])
        return Entry(version, image=bytes(item["i"]["B"]), previous=bytes(item["o"]["B"]))
    except (KeyError, TypeError) as error:
        raise ValueError("a ledger item without timestamp, precision or digests") from error
