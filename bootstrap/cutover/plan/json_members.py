"""The plan of a switch as JSON. Members may be added; none changes its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bootstrap.core.formatting import instant
from bootstrap.core.suggestions import GENERIC
from bootstrap.cutover.checks.conditions import later
from bootstrap.cutover.plan.dry_run import SwitchPlan, TablePlan
from bootstrap.cutover.settings import settings_member
from replicator.buffers import KINESIS


def as_json(plan: SwitchPlan, commands: Mapping[str, str]) -> dict[str, Any]:
    """Render a plan. `commands`: by table, the template of command lines about it."""
    refused = plan.refused
    return {
        "stack": plan.stack,
        "at": instant(plan.at),
        "mode": str(plan.options.mode),
        "ready": plan.ready,
        "refusedWrites": {
            "seconds": _rounded(refused.seconds),
            "atLeastSeconds": _rounded(refused.at_least),
            "spreadSeconds": _rounded(refused.spread),
            "parts": [
                {
                    "what": part.what,
                    "seconds": _rounded(part.seconds),
                    "measured": part.measured,
                }
                for part in refused.parts
            ],
        },
        "checkedAtTheBeginning": [
            {"name": name, "what": what}
            for name, what in dict.fromkeys(
                each for table in plan.tables for each in later(table.buffer)
            )
        ],
        "tables": [_table(each, commands.get(each.table, GENERIC)) for each in plan.tables],
        "settings": {
            each.table: settings_member(each.settings)
            for each in plan.tables
            if each.settings is not None
        },
    }


def _table(plan: TablePlan, command: str) -> dict[str, Any]:
    return {
        "table": plan.table,
        "targetTable": plan.target_table,
        "buffer": plan.buffer,
        "daysBefore": [{"what": each.what, "done": each.done} for each in plan.preparations],
        "checks": [
            {
                "name": check.name,
                "fulfilled": check.fulfilled,
                "evidence": check.evidence,
                "at": instant(check.at),
                "try": None if check.remedy is None else check.remedy.text(command),
            }
            for check in plan.checks
        ],
        "actions": [
            {
                "step": str(action.part),
                "what": action.what,
                "call": action.call or None,
                "resource": action.resource or None,
                "roleArn": action.role or None,
                "reversible": bool(action.back),
                "back": action.back or None,
            }
            for action in plan.actions
        ],
        "changes": [
            {
                "setting": change.setting,
                "now": change.now,
                "wanted": change.wanted,
                "afterCommit": change.after_commit,
            }
            for change in plan.changes
        ],
        "readers": [
            {
                "account": reader.side.name.lower(),
                "table": reader.table,
                "kind": reader.kind,
                "found": reader.found,
                "detail": reader.detail,
                "look": reader.look or None,
            }
            for reader in plan.readers
        ],
        "application": [
            {
                "name": need.name,
                "what": need.what,
                "source": need.source,
                "target": need.target,
                "commands": list(need.commands),
                "statements": list(need.statements),
            }
            for need in plan.needs
        ],
        "probeRoundSeconds": _rounded(plan.lag) if plan.buffer == KINESIS else None,
        "consumerLagSeconds": None if plan.buffer == KINESIS else _rounded(plan.lag),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
