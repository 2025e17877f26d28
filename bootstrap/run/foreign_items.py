"""A bounded scan of the target for items that the consumer did not write.

An item is judged as a verification judges it: the ledger entry of its key holds the digest of the
image that was applied last. A deleted item, and one without an entry, cannot be judged.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.core.errors import AccountError
from bootstrap.core.ports import ItemScanner, LedgerEntries
from replicator.canonical import digest, key_digest
from replicator.consumer.ledger_entry import from_item

MOST_SCANNED = 10_000
"""Items. A scan that names an example has to end within seconds."""
MOST_NAMED = 5
AT_ONCE = 100
"""Entries read at a time: as many as BatchGetItem takes."""

Item = Mapping[str, Any]


@dataclass(frozen=True)
class ForeignItems:
    """The result of a scan."""

    keys: Sequence[Item] = ()
    """DynamoDB JSON; at most MOST_NAMED."""
    scanned: int = 0
    unread: str = ""
    """The reason why the target could not be scanned; empty if it was."""


def find_foreign_items(
    scanner: ItemScanner, ledger: LedgerEntries, key_names: Sequence[str]
) -> ForeignItems:
    """Scan until MOST_NAMED items are found or MOST_SCANNED have been read."""
    keys: list[Item] = []
    scanned = 0
    try:
        items = iter(scanner.scan(MOST_SCANNED))
        while batch := list(itertools.islice(items, AT_ONCE)):
            scanned += len(batch)
            keys += _judge(batch, ledger, key_names)
            if len(keys) >= MOST_NAMED:
                break
    except AccountError as error:
        return ForeignItems(keys[:MOST_NAMED], scanned, error.what)
    return ForeignItems(keys[:MOST_NAMED], scanned)


def _judge(batch: Sequence[Item], ledger: LedgerEntries, key_names: Sequence[str]) -> list[Item]:
    of_key = {}
    for item in batch:
        key = {name: item[name] for name in key_names}
        of_key[key_digest(key)] = (key, item)
    entries = ledger.entries(list(of_key))
    return [
        key
        for name, (key, item) in of_key.items()
        if name in entries and from_item(entries[name]).image != digest(item)
    ]
