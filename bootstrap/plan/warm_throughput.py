"""Warm throughput: the writes a second that a table or an index takes at once.

The target and its indexes are born cold, and DynamoDB lets an index that is too slow throttle its
table.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from bootstrap.core.facts import TableFacts, index_warm_writes
from bootstrap.journal.records import Wanted
from bootstrap.plan.indexes import carried_indexes
from bootstrap.plan.inspection import IndexWrites, Inspection
from bootstrap.plan.setting import Setting, When

NEW_TABLE_WRITES = 4_000
"""Units a second that a new on-demand table or index takes at once (developer guide, on-demand
capacity)."""
WRITE_FACTOR = 2.2
"""A change costs double in a transaction; a tenth on top for changes that are refused."""
CATCH_UP_RATE = 2
"""The rate at which a backlog is applied, as a multiple of the source's writes."""


def table_units(inspection: Inspection) -> int:
    """Return the warm throughput of target and ledger; 0 where a new table's is enough."""
    return _units(inspection.source.writes.peak, inspection)


def index_units(inspection: Inspection) -> dict[str, int]:
    """Return the warm throughput of each index that needs more than a new one has.

    It is not documented that a transaction costs double in an index too, so it is assumed.
    """
    source = inspection.source
    assert source.table is not None
    found = {}
    for index in carried_indexes(source.table):
        name = str(index["IndexName"])
        written = source.index_writes.get(name, IndexWrites(0, 0))
        # Without a metric, an index that has items may have been written before the metric began.
        known = bool(written.peak) or not index.get("ItemCount", 1)
        units = _units(written.peak if known else source.writes.peak, inspection)
        if units:
            found[name] = units
    return found


def _units(peak: float, inspection: Inspection) -> int:
    needed = math.ceil(round(peak * WRITE_FACTOR * CATCH_UP_RATE, 3))
    units = min(needed, inspection.target.limits.table_writes)
    return units if units > NEW_TABLE_WRITES else 0


def warm_settings(
    source: TableFacts, target: TableFacts | None, wants: Wanted, born: When = When.IMPORT
) -> Iterator[Setting]:
    """List the warm throughput of the table and of its indexes. `born`: of one that is enough."""
    least = f"at least {wants.warm_writes or NEW_TABLE_WRITES} writes/s"
    enough = target is not None and (
        target.warm_writes == 0 or target.warm_writes >= (wants.warm_writes or 0)
    )
    yield Setting(
        "warm throughput",
        f"{source.warm_writes} writes/s" if source.warm_writes else "unknown",
        least,
        When.SETTINGS if wants.warm_writes else born,
        "for the busiest minute of a day, doubled to apply a backlog; the ledger gets the same",
        (least if enough else f"{target.warm_writes} writes/s") if target else None,
    )
    needed: dict[str, int] = json.loads(wants.warm_indexes)
    indexes = carried_indexes(source)
    yield Setting(
        "index warm throughput",
        _shown(indexes),
        _least(indexes, needed),
        When.SETTINGS if needed else born,
        "an index that takes less than is written to it throttles its table",
        _compared(indexes, needed, target) if target else None,
    )


def _least(indexes: list[Mapping[str, Any]], needed: Mapping[str, int]) -> str:
    return (
        "; ".join(
            f"{name}: at least {needed.get(name, NEW_TABLE_WRITES)} writes/s"
            for name in sorted(str(index["IndexName"]) for index in indexes)
        )
        or "none"
    )


def _compared(
    indexes: list[Mapping[str, Any]], needed: Mapping[str, int], target: TableFacts
) -> str:
    """Return what is wanted where the target has it, and what it has where it has less."""
    there = {str(index["IndexName"]): index_warm_writes(index) for index in target.global_indexes}
    less = {
        name: there[name]
        for name, units in needed.items()
        if name in there and 0 < there[name] < units
    }
    if not less:
        return _least(indexes, needed)
    return "; ".join(f"{name}: {units} writes/s" for name, units in sorted(less.items()))


def _shown(indexes: list[Mapping[str, Any]]) -> str:
    return (
        "; ".join(
            f"{index['IndexName']}: {index_warm_writes(index) or 'unknown'}"
            + (" writes/s" if index_warm_writes(index) else "")
            for index in sorted(indexes, key=lambda index: str(index["IndexName"]))
        )
        or "none"
    )
