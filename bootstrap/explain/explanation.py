"""A report on one item: its ledger entry, the target's item and matching quarantined objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from bootstrap.core.errors import BlockedError
from bootstrap.core.formatting import instant, moment, plain_json
from bootstrap.quarantine.context import QuarantineContext
from bootstrap.quarantine.store import QuarantinedObject
from replicator.canonical import digest, key_digest
from replicator.change import Change, Entry
from replicator.consumer.decode import Unusable
from replicator.consumer.ledger_entry import from_item

Item = Mapping[str, Any]
READS = 3
"""Attempts to read entry and item without a change in between."""


@dataclass(frozen=True)
class QuarantineMatch:
    """A quarantined object with a change of the key."""

    key: str
    reason: str
    since: float


@dataclass(frozen=True)
class ItemReport:
    """Everything known about a key. The ledger and the consumer's log use the same digests."""

    table: str
    key: Item
    key_digest: bytes
    entry: Entry | None
    expires: int | None
    """Seconds since 1970; None for an entry without expiry."""
    item: Item | None
    image: bytes
    """Digest of the target's item; absence has a digest too."""
    matches: tuple[QuarantineMatch, ...]
    unread: int
    """Quarantined objects whose keys cannot be read."""

    @property
    def matches_entry(self) -> bool | None:
        """True if the item is what the ledger says; None without an entry."""
        return None if self.entry is None else self.entry.image == self.image

    @property
    def verdict(self) -> str:
        if self.entry is None:
            return (
                "the ledger has no entry: no change of this key has been applied since the "
                "snapshot, or its entry has expired"
            )
        if self.matches_entry:
            return "the target's item is as the last applied change left it"
        return (
            "the target's item is NOT as the last applied change left it: another writer, or the "
            "target's own time to live, changed it; run verify"
        )


def explain_item(
    context: QuarantineContext, key: Item, read: Callable[[Item], Item | None]
) -> ItemReport:
    """Read entry, item and quarantine. `read` returns a target item, strongly consistent."""
    name = key_digest(key)
    row, item = _read_consistent(context, name, key, read)
    matches, unread = _find_matches(context, name)
    return ItemReport(
        table=context.table.source_table,
        key=key,
        key_digest=name,
        entry=None if row is None else from_item(row),
        expires=int(row["x"]["N"]) if row is not None and "x" in row else None,
        item=item,
        image=digest(item),
        matches=matches,
        unread=unread,
    )


def _read_consistent(
    context: QuarantineContext, name: bytes, key: Item, read: Callable[[Item], Item | None]
) -> tuple[Item | None, Item | None]:
    """Read entry and item as of one moment: a change writes both, but two calls read them."""
    row = context.ledger.entries([name]).get(name)
    for _ in range(READS):
        item = read(key)
        again = context.ledger.entries([name]).get(name)
        if again == row:
            break
        row = again
    return row, item


def _find_matches(
    context: QuarantineContext, name: bytes
) -> tuple[tuple[QuarantineMatch, ...], int]:
    found: list[tuple[bool, bool, QuarantinedObject]] = []
    tasks = [
        partial(_inspect_object, context, name, stored, found)
        for stored in context.store.open_objects()
    ]
    context.executor.run_all(tasks)
    matches = [
        QuarantineMatch(stored.key, stored.reason, stored.since)
        for matched, _, stored in found
        if matched
    ]
    unread = sum(not readable for _, readable, _ in found)
    return tuple(sorted(matches, key=lambda match: (match.since, match.key))), unread


def _inspect_object(
    context: QuarantineContext,
    name: bytes,
    stored: QuarantinedObject,
    found: list[tuple[bool, bool, QuarantinedObject]],
) -> None:
    """Record whether an object concerns the key, and whether all of it is readable."""
    try:
        content = context.store.content(stored)
    except BlockedError:
        found.append((False, False, stored))
        return
    contents = content.contents(context.table.source_table) if content is not None else []
    matched = any(isinstance(each, Change) and each.key == name for each in contents)
    readable = not any(isinstance(each, Unusable) for each in contents)
    found.append((matched, readable, stored))


# -- JSON ----------------------------------------------------------------------------------------


def as_json(report: ItemReport, *, values: bool) -> dict[str, Any]:
    entry = report.entry
    shown: dict[str, Any] = {
        "table": report.table,
        "keyDigest": report.key_digest.hex(),
        "ledger": None
        if entry is None
        else {
            "made": instant(entry.version.micros / 1_000_000),
            "micros": entry.version.micros,
            "precision": entry.version.precision,
            **({"order": entry.version.order} if entry.version.order else {}),
            "imageDigest": entry.image.hex(),
            "imageIsAbsence": entry.image == digest(None),
            "previousDigest": entry.previous.hex(),
            "expires": moment(report.expires) if report.expires is not None else None,
        },
        "target": {"present": report.item is not None, "digest": report.image.hex()},
        "asTheLedgerSays": report.matches_entry,
        "quarantine": [
            {"key": match.key, "reason": match.reason, "since": moment(match.since)}
            for match in report.matches
        ],
        "quarantineUnreadable": report.unread,
        "verdict": report.verdict,
    }
    if values:
        shown |= {"key": plain_json(report.key), "item": report.item and plain_json(report.item)}
    return shown
