"""The plans of all selected tables, and the settings that have drifted.

Read-only, but for the object by which a plan tries the calls that cross accounts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from bootstrap.app.account_clients import AccountClients
from bootstrap.app.command_options import Selection
from bootstrap.app.factory import AwsClients
from bootstrap.app.process import Process
from bootstrap.app.stack_check import StackCheck
from bootstrap.core.errors import BlockedError
from bootstrap.core.ports import CrossAccountCheck
from bootstrap.core.run_options import TtlPolicy
from bootstrap.journal.records import Configured
from bootstrap.plan import plan, render, setting, settings_diff
from bootstrap.plan.blocker import Blocker
from bootstrap.plan.cross_account_check import cross_account_blockers
from bootstrap.plan.inspection import AdoptedTableClients, Inspection, inspect
from bootstrap.plan.price_list import PriceList
from bootstrap.plan.replication import Replication, of_outputs


def show_plans(
    tables: Sequence[Replication],
    clients: AccountClients,
    process: Process,
    *,
    cross_account_check: CrossAccountCheck | None = None,
    found: StackCheck | None = None,
    now: float,
    as_json: bool,
    prices: PriceList,
) -> int:
    """Print the plan of each table; return the exit code: 1 where one is blocked.

    `now`: epoch seconds. `found`: of the stack as a whole. `cross_account_check`: None
    where it is left out, as before the deployment. Bucket and roles are the stack's, so that one
    table's folder in the bucket shows what all tables would meet.
    """
    clients.refuse_other_accounts()
    crossing: tuple[Blocker, ...] = ()
    if cross_account_check is not None and tables:
        crossing = tuple(cross_account_blockers(cross_account_check, tables[0]))
    plans = []
    for table in tables:
        load = (
            AdoptedTableClients(clients.item_scan(table.target_table), clients.bulk_loads())
            if table.load.adopt
            else None
        )
        inspected = _inspect(table, clients, process, now, load=load, tolerant=True)
        plans.append(
            plan.make(
                inspected, table, prices, crossing=crossing, tried=cross_account_check is not None
            )
        )
    if as_json:
        _print_json(
            [render.as_json(made) for made in plans], process, stackCheck=found and found.as_json()
        )
    else:
        print("\n\n".join(render.page(made) for made in plans), file=process.out)
    return BlockedError.exit_code if any(made.blockers for made in plans) else 0


def show_parity(
    selection: Selection, clients: AwsClients, process: Process, *, now: float, as_json: bool
) -> int:
    """Print the settings of each table; return the exit code: 1 where one has drifted.

    `now`: epoch seconds.
    """
    drifted, shown = False, []
    for table in selection.tables:
        replication = of_outputs(selection.outputs, table)
        settings = _settings(replication, clients, process, now)
        drifted = drifted or any(each.drifted for each in settings)
        shown.append({"table": table.source_table, "settings": render.settings_json(settings)})
        if not as_json:
            head = f"{table.source_table} → {table.target_table}: settings"
            print("\n".join([head, *render.table(settings)]), file=process.out)
    if as_json:
        _print_json(shown, process)
    return BlockedError.exit_code if drifted else 0


def _settings(
    replication: Replication, clients: AwsClients, process: Process, now: float
) -> Sequence[setting.Setting]:
    inspected = _inspect(replication, clients, process, now)
    if inspected.source.table is None:
        raise BlockedError(
            f"There is no table {replication.source_table} in the source account.",
            fix="check the table's name, account and Region in the stack configuration",
        )
    row, _ = clients.journal().read(replication.source_table)
    configured = row.record(Configured) if row else None
    policy = TtlPolicy(configured.ttl if configured else TtlPolicy.AT_SWITCH)
    return settings_diff.settings(
        inspected, settings_diff.wanted(inspected, replication), policy, replication.load
    )


def _inspect(
    replication: Replication,
    clients: AccountClients,
    process: Process,
    now: float,
    *,
    load: AdoptedTableClients | None = None,
    tolerant: bool = False,
) -> Inspection:
    return inspect(
        clients.source(),
        clients.target(replication.consumer_region),
        replication,
        process.timing,
        now,
        load=load,
        full=True,
        tolerant=tolerant,
    )


def _print_json(
    values: Sequence[Mapping[str, object]], process: Process, **of_the_stack: object
) -> None:
    value = values[0] if len(values) == 1 else {"tables": values}
    print(json.dumps({**value, **of_the_stack}, indent=2), file=process.out)
