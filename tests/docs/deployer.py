"""The deployer's policies as the documents show them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from typing import Any

from tests.pulumi_engine.deployer import policies
from tests.pulumi_engine.deployer.policies import ACCOUNTS, Policy
from tests.pulumi_engine.deployer.unseen import UNSEEN

LINE = 116


def documents() -> str:
    """Return the policies as JSON, with a heading for each."""
    parts = []
    for side in ACCOUNTS:
        for what, policy in (
            ("what a run called", policies.seen(side)),
            ("what was read and not seen", policies.unseen(side)),
        ):
            parts.append(f"The {side} account, {what}:\n\n```json\n{_json(policy)}\n```")
    return "\n\n".join(parts)


def reasons() -> str:
    """Return a table of the actions that no run called, and where each was read."""
    lines = ["| account | actions | read in |", "| --- | --- | --- |"]
    for each in UNSEEN:
        actions = ", ".join(f"`{action}`" for action in each.actions)
        lines.append(f"| {' and '.join(each.sides)} | {actions} | {each.read_in} |")
    return "\n".join(lines)


def _json(policy: Policy) -> str:
    statements = ",\n".join(_statement(each) for each in policy["Statement"])
    return f'{{\n "Version": "{policy["Version"]}",\n "Statement": [\n{statements}\n ]\n}}'


def _statement(statement: Mapping[str, Any]) -> str:
    members = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in statement.items())
    text = f"{{{', '.join(members)}}}"
    return textwrap.fill(
        text, LINE, initial_indent="  ", subsequent_indent="   ", break_on_hyphens=False
    )
