"""The work of a bulk put: write units and bytes of a source's items, and its pace."""

from __future__ import annotations

from bootstrap.core.facts import TableFacts
from bootstrap.plan.load import BILLED_CHUNK


def write_units(source: TableFacts) -> int:
    """Return the write units of a source's items: one for each KB of the average item.

    Entries of local indexes are written with their table's units (developer guide, LSI), and each
    entry is billed apart: as many items as an index counts, of its own average size.
    """
    pairs = [(source.items, source.size_bytes)]
    pairs += [
        (int(index.get("ItemCount", 0)), int(index.get("IndexSizeBytes", 0)))
        for index in source.local_indexes
    ]
    return sum(
        items * max(1, -(-size_bytes // (items * BILLED_CHUNK)))
        for items, size_bytes in pairs
        if items
    )


def local_index_bytes(source: TableFacts) -> int:
    """Return the size of the local indexes, as DynamoDB counted it last."""
    return sum(int(index.get("IndexSizeBytes", 0)) for index in source.local_indexes)
