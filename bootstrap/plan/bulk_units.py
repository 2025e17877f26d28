"""The work of a bulk put: the write units of a source's items, and the rates that are known."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.core.facts import ON_DEMAND, TableFacts
from bootstrap.core.formatting import number
from bootstrap.plan.cost_inputs import BILLED_CHUNK
from bootstrap.plan.inspection import Inspection
from bootstrap.plan.replication import Replication
from bootstrap.plan.warm_throughput import NEW_TABLE_WRITES, table_units


@dataclass(frozen=True)
class BulkRates:
    """Write units a second of a bulk put, and where they come from."""

    slow: int
    """What the table takes at once."""
    fast: int
    """The quota of a table."""
    evidence: str


def bulk_rates(inspection: Inspection, replication: Replication) -> BulkRates:
    """Return the rates between which a bulk put is assumed to write. AWS documents none.

    MaxWriteRequestUnits bounds both (API reference, StartBulkPutItems).
    """
    quota, limit = inspection.target.limits.table_writes, replication.load.max_write_request_units
    at_once, why = _at_once(inspection, replication)
    fast = min(quota, limit or quota)
    slow = min(at_once, fast)
    units = number(write_units(inspection.source.table))
    if limit is not None and limit <= at_once:
        return BulkRates(slow, fast, f"{units} write units at {number(limit)} a second, the limit")
    most = "the limit" if limit is not None and limit < quota else "the quota of a table"
    return BulkRates(
        slow,
        fast,
        f"{units} write units at {number(slow)} a second ({why}) to {number(fast)} ({most})",
    )


def _at_once(inspection: Inspection, replication: Replication) -> tuple[int, str]:
    """Return the write units a second that the target takes at once, and what says so."""
    target, warm = inspection.target.table, table_units(inspection)
    if not replication.load.adopt or target is None:
        return (warm, "as it is warmed") if warm else (NEW_TABLE_WRITES, "a new table's")
    if target.billing_mode != ON_DEMAND and target.write_capacity:
        return target.write_capacity, "as it is provisioned"
    if target.max_writes:
        return target.max_writes, "its on-demand maximum"
    return max(warm, target.warm_writes or NEW_TABLE_WRITES), "its warm throughput"


def write_units(source: TableFacts | None) -> int:
    """Return the write units of a source's items: one for each KB of the average item.

    Entries of local indexes are written with their table's units (developer guide, LSI), and each
    is rounded up apart: as many as an index counts, of its own average size. Those of global
    indexes are their own.
    """
    if source is None:
        return 0
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
