"""What is known of one item: the ledger's entry, the target's item and what is in quarantine."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from bootstrap.core.errors import BlockedError
from bootstrap.core.formatting import instant, moment
from bootstrap.quarantine.context import QuarantineContext
from bootstrap.quarantine.store import QuarantinedObject
from replicator.canonical import digest, key_digest
from replicator.change import Change, Entry
from replicator.consumer.decode import Unusable
from replicator.consumer.ledger import from_item

Item = Mapping[str, Any]
LOOKS = 3
"""How often entry and item are read again, when a change came between the two readings."""


@dataclass(frozen=True)
class QuarantineMatch:
    """Something in quarantine that is about the key."""

    key: str
    reason: str
    since: float


@dataclass(frozen=True)
class ItemReport:
    """Everything about a key. Digests are those of the ledger and of the consumer's log."""

    table: str
    key: Item
    key_digest: bytes
    entry: Entry | None
    expires: int | None
    """Seconds since 1970; None for an entry that stays."""
    item: Item | None
    image: bytes
    """Digest of the target's item; absence has one too."""
    hits: tuple[QuarantineMatch, ...]
    unread: int
    """Objects in quarantine of which nobody can tell whose they are."""

    @property
    def as_entered(self) -> bool | None:
        """Whether the item is what the ledger says; None where it says nothing."""
        return None if self.entry is None else self.entry.image == self.image

    @property
    def verdict(self) -> str:
        if self.entry is None:
            return (
                "the ledger has no entry: no change of this key has been applied since the "
                "snapshot, or its entry has expired"
            )
        if self.as_entered:
            return "the target is as the last applied change left it"
        return (
            "the target is NOT as the last applied change left it: somebody else wrote, or the "
            "target's own time to live did; see verify"
        )


def explain_item(
    desk: QuarantineContext, key: Item, read: Callable[[Item], Item | None]
) -> ItemReport:
    """Reads all there is. `read` gets an item of the target, strongly consistent."""
    name = key_digest(key)
    row, item = _read_consistent(desk, name, key, read)
    hits, unread = _find_matches(desk, name)
    return ItemReport(
        table=desk.table.source_table,
        key=key,
        key_digest=name,
        entry=None if row is None else from_item(row),
        expires=int(row["x"]["N"]) if row is not None and "x" in row else None,
        item=item,
        image=digest(item),
        hits=hits,
        unread=unread,
    )


def _read_consistent(
    desk: QuarantineContext, name: bytes, key: Item, read: Callable[[Item], Item | None]
) -> tuple[Item | None, Item | None]:
    """Entry and item of one moment: they change together, and are read one after the other."""
    row = desk.ledger.entries([name]).get(name)
    for _ in range(LOOKS):
        item = read(key)
        again = desk.ledger.entries([name]).get(name)
        if again == row:
            break
        row = again
    return row, item


def _find_matches(desk: QuarantineContext, name: bytes) -> tuple[tuple[QuarantineMatch, ...], int]:
    found: list[tuple[bool, bool, QuarantinedObject]] = []
    looks = [partial(_inspect_object, desk, name, kept, found) for kept in desk.shelf.kept()]
    desk.executor.run_all(looks)
    hits = [QuarantineMatch(kept.key, kept.reason, kept.since) for ours, _, kept in found if ours]
    unread = sum(not told for _, told, _ in found)
    return tuple(sorted(hits, key=lambda hit: (hit.since, hit.key))), unread


def _inspect_object(
    desk: QuarantineContext,
    name: bytes,
    kept: QuarantinedObject,
    found: list[tuple[bool, bool, QuarantinedObject]],
) -> None:
    """Notes whether an object is about the key, and whether everything in it can be read."""
    try:
        holding = desk.shelf.content(kept)
    except BlockedError:
        found.append((False, False, kept))
        return
    contents = holding.contents(desk.table.source_table) if holding is not None else []
    ours = any(isinstance(each, Change) and each.key == name for each in contents)
    told = not any(isinstance(each, Unusable) for each in contents)
    found.append((ours, told, kept))


# -- shown ---------------------------------------------------------------------------------------


def as_json(account: ItemReport, *, values: bool) -> dict[str, Any]:
    entry = account.entry
    shown: dict[str, Any] = {
        "table": account.table,
        "keyDigest": account.key_digest.hex(),
        "ledger": None
        if entry is None
        else {
            "made": instant(entry.version.micros / 1_000_000),
            "micros": entry.version.micros,
            "precision": entry.version.precision,
            "imageDigest": entry.image.hex(),
            "imageIsAbsence": entry.image == digest(None),
            "previousDigest": entry.previous.hex(),
            "expires": moment(account.expires) if account.expires is not None else None,
        },
        "target": {"present": account.item is not None, "digest": account.image.hex()},
        "asTheLedgerSays": account.as_entered,
        "quarantine": [
            {"key": hit.key, "reason": hit.reason, "since": moment(hit.since)}
            for hit in account.hits
        ],
        "quarantineUnreadable": account.unread,
        "verdict": account.verdict,
    }
    if values:
        shown |= {"key": plain_json(account.key), "item": account.item and plain_json(account.item)}
    return shown


def plain_json(value: Any) -> Any:
    """DynamoDB JSON for a terminal: binary as base64."""
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {name: plain_json(each) for name, each in value.items()}
    return [plain_json(each) for each in value] if isinstance(value, list) else value
