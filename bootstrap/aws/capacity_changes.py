"""The request that gives a table another capacity: UpdateTable's members, with what differs."""

from __future__ import annotations

from typing import Any

from bootstrap.core.facts import ON_DEMAND, Capacity, CapacityUnits, TableFacts


def capacity_changes(table: TableFacts, wanted: Capacity) -> dict[str, Any]:
    """Return the members of UpdateTable that lead to `wanted`; none if the table is so already.

    AWS refuses a request for units that a table has already, and, for another mode than it has, one
    that leaves out an index (API reference, UpdateTable). An index that `wanted` does not name
    stays as it is; one that the table lacks is left out.
    """
    now = Capacity.of(table)
    moves = now.billing_mode != wanted.billing_mode
    on_demand = wanted.billing_mode == ON_DEMAND
    changes: dict[str, Any] = {"BillingMode": wanted.billing_mode} if moves else {}
    changes |= _units(now.table, wanted.table, on_demand=on_demand, moves=moves)
    indexes = [
        {"Update": {"IndexName": name, **units}}
        for name, there in sorted(now.indexes.items())
        if name in wanted.indexes
        and (units := _units(there, wanted.indexes[name], on_demand=on_demand, moves=moves))
    ]
    return changes | ({"GlobalSecondaryIndexUpdates": indexes} if indexes else {})


def _units(
    there: CapacityUnits, wanted: CapacityUnits, *, on_demand: bool, moves: bool
) -> dict[str, Any]:
    """Return the member for one table or index. `moves`: `there` is of the other mode."""
    if on_demand:
        if wanted == (CapacityUnits() if moves else there):
            return {}
        maximums = {
            "MaxReadRequestUnits": -1 if wanted.reads is None else wanted.reads,
            "MaxWriteRequestUnits": -1 if wanted.writes is None else wanted.writes,
        }
        return {"OnDemandThroughput": maximums}
    if wanted == there and not moves:
        return {}
    units = {"ReadCapacityUnits": wanted.reads, "WriteCapacityUnits": wanted.writes}
    return {"ProvisionedThroughput": units}
