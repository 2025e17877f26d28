"""One account's half of a stack, for its owner to review: all that it makes there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.dry_run import DeclaredResource, DryRun
from infra.resource_names import SUFFIX
from infra.review.boundary import SIDES

ENDS = "-…"
"""In place of what Pulumi appends to a name."""
POLICIES: Mapping[str, str] = {
    "assumeRolePolicy": "who may assume it",
    "policy": "its policy",
}
"""Arguments that hold a policy."""


def account_half(config: Mapping[str, Any], side: str, *, stack: str) -> str:
    """Return the text about one account: `source` or `target`.

    `config`: the plain values of a stack file.
    """
    ran = DryRun.of(config, stack=stack)
    mine = sorted(
        (each for each in ran.resources if each.side == side),
        key=lambda each: (_kind(each), each.name),
    )
    place, other = config[side], config[next(each for each in SIDES if each != side)]
    lines = [
        f"Stack {stack} in the {side} account {place['accountId']}, {place['region']}.",
        f"Pulumi puts seven digits of its own in the place of {ENDS} at the end of a name.",
        "",
        f"What account {other['accountId']} may do here:",
        *(_indented(_crossing(mine, str(other["accountId"]))) or ["  nothing"]),
        "",
        f"Resources ({len(mine)}):",
        *(f"  {_kind(each):28} {_region(each, place):14} {each.name}" for each in mine),
        "",
        "Policies:",
    ]
    for each in mine:
        for argument, what in POLICIES.items():
            if argument in each.values:
                document = json.dumps(json.loads(each.values[argument]), indent=1)
                whose = f" of role {each.values['role']}" if "role" in each.values else ""
                lines += ["", f"{_kind(each)} {each.name}{whose}, {what}:", document]
    text = "\n".join(lines)
    return text.replace(SUFFIX, ENDS)


def _crossing(resources: Sequence[DeclaredResource], other: str) -> Iterator[str]:
    """List what policies of these resources let principals of the other account do."""
    for each in resources:
        for argument in POLICIES:
            if argument not in each.values:
                continue
            for statement in json.loads(each.values[argument])["Statement"]:
                for principal in _principals(statement):
                    if f"::{other}:" in principal:
                        given = statement["Action"]
                        actions = given if isinstance(given, str) else ", ".join(given)
                        yield f"{principal}: {actions} (by {_kind(each)} {each.name})"


def _principals(statement: Mapping[str, Any]) -> list[str]:
    named = statement.get("Principal")
    if statement["Effect"] != "Allow" or not isinstance(named, dict):
        return []
    found = named.get("AWS", [])
    return [found] if isinstance(found, str) else list(found)


def _kind(resource: DeclaredResource) -> str:
    return resource.type.rpartition(":")[2]


def _region(resource: DeclaredResource, place: Mapping[str, Any]) -> str:
    if resource.type.startswith("aws:iam/"):
        return "global"
    return str(resource.values.get("region") or place["region"])


def _indented(lines: Iterator[str]) -> list[str]:
    return [f"  {line}" for line in lines]
