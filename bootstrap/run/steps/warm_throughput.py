"""The warm throughput of target and ledger, which start cold: raised before they take a load.

Each function observes before it acts, and returns True if it acted.
"""

from __future__ import annotations

import json

from bootstrap.core.facts import TableFacts, index_warm_reads, index_warm_writes
from bootstrap.journal.records import Wanted
from bootstrap.run.step_context import StepContext


def warm(
    context: StepContext, tables: tuple[TableFacts | None, TableFacts | None], wanted: Wanted
) -> bool:
    """Raise the warm throughput of the target, then of the ledger; None: one is left as it is."""
    names = (context.table.target_table, context.table.ledger_table)
    for name, facts in zip(names, tables, strict=True):
        if wanted.warm_writes and facts is not None and facts.warm_writes < wanted.warm_writes:
            context.target.warm(name, facts.warm_reads, wanted.warm_writes)
            return True
    return False


def warm_indexes(context: StepContext, target: TableFacts, wanted: Wanted) -> bool:
    """Raise the warm throughput of the target's indexes: a cold one throttles the table."""
    needed: dict[str, int] = json.loads(wanted.warm_indexes)
    cold = {
        str(index["IndexName"]): (index_warm_reads(index), needed[index["IndexName"]])
        for index in target.global_indexes
        if index_warm_writes(index) < needed.get(index["IndexName"], 0)
    }
    if cold:
        context.target.warm_indexes(context.table.target_table, cold)
    return bool(cold)


def indexes_change(target: TableFacts) -> bool:
    """Tell whether DynamoDB still warms an index; another change is refused meanwhile."""
    return any(
        index.get("WarmThroughput", {}).get("Status", "ACTIVE") == "UPDATING"
        or index.get("IndexStatus", "ACTIVE") == "UPDATING"
        for index in target.global_indexes
    )
