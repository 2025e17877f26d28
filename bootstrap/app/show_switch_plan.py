"""The plan of a switch of the selected tables, as text or JSON. Read-only."""

from __future__ import annotations

import json

from bootstrap.app.command_options import Selection
from bootstrap.app.factory import AwsClients
from bootstrap.app.process import Process
from bootstrap.core.errors import BlockedError
from bootstrap.cutover.context import SwitchOptions
from bootstrap.cutover.plan.dry_run import plan_switch
from bootstrap.cutover.plan.json_members import as_json as plan_json
from bootstrap.cutover.plan.page import page


def show_switch_plan(
    selection: Selection,
    clients: AwsClients,
    process: Process,
    options: SwitchOptions,
    *,
    as_json: bool,
) -> int:
    """Print the plan; return the exit code: 1 where the switch would not begin."""
    clients.refuse_other_accounts()
    plan = plan_switch([clients.switch_look(table, options) for table in selection.tables])
    text = (
        json.dumps(plan_json(plan, selection.commands), indent=2)
        if as_json
        else page(plan, selection.commands)
    )
    print(text, file=process.out)
    return 0 if plan.ready else BlockedError.exit_code
