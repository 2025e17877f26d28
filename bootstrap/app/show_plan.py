"""`plan` and `parity`: looks at both sides and tells. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bootstrap.app.operations import AccountClients, Gateways, Process
from bootstrap.core.errors import BlockedError
from bootstrap.core.run_options import TtlPolicy
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.journal.records import Configured
from bootstrap.plan import plan, render, settings_diff
from bootstrap.plan.inspection import Inspection
from bootstrap.plan.inspection import inspect as read_both
from bootstrap.plan.price_list import PriceList
from bootstrap.plan.replication import Replication, of_outputs

BLOCKED = 1


def show_plans(
    tables: Sequence[Replication],
    gateways: AccountClients,
    process: Process,
    *,
    now: float,
    as_json: bool,
    prices: PriceList,
) -> int:
    """Prints the plan of each table; returns the exit code."""
    gateways.refuse_other_accounts()
    plans = [plan.make(inspect(table, gateways, process, now), table, prices) for table in tables]
    if as_json:
        _print_json([render.as_json(made) for made in plans], process)
    else:
        print("\n\n".join(render.page(made) for made in plans), file=process.out)
    return BLOCKED if any(made.blockers for made in plans) else 0


def show_parity(
    outputs: Outputs,
    tables: Sequence[TableOutputs],
    gateways: Gateways,
    process: Process,
    *,
    now: float,
    as_json: bool,
) -> int:
    """Prints the settings of each table, and what has drifted; returns the exit code."""
    drifted, store = False, gateways.journal()
    shown: list[Any] = []
    for table in tables:
        seen = inspect(of_outputs(outputs, table), gateways, process, now)
        if seen.source.table is None:
            raise BlockedError(
                f"There is no table {table.source_table} in the source account.",
                fix="check the table's name, account and Region in the stack configuration",
            )
        wants = settings_diff.wanted(seen)
        row, _ = store.read(table.source_table)
        configured = row.record(Configured) if row else None
        settings = settings_diff.settings(
            seen, wants, TtlPolicy(configured.ttl if configured else TtlPolicy.AT_SWITCH)
        )
        drifted = drifted or any(each.drifted for each in settings)
        shown.append({"table": table.source_table, "settings": render.settings_json(settings)})
        if not as_json:
            head = f"{table.source_table} → {table.target_table}: settings"
            print("\n".join([head, *render.table(settings)]), file=process.out)
    if as_json:
        _print_json(shown, process)
    return BLOCKED if drifted else 0


def inspect(
    replication: Replication, gateways: AccountClients, process: Process, now: float
) -> Inspection:
    """Read everything about a table. `now`: epoch seconds."""
    return read_both(
        gateways.source(),
        gateways.target(replication.consumer_region),
        replication,
        process.timing,
        now,
        full=True,
    )


def _print_json(values: list[Any], process: Process) -> None:
    value = values[0] if len(values) == 1 else {"tables": values}
    print(json.dumps(value, indent=2), file=process.out)
