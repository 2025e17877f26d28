"""The permissions boundary of an account's roles: whatever they may do there is let through.

A boundary grants nothing, so it names no single
table: one policy serves every stack of the same options.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from infra.dry_run import DeclaredResource, DryRun
from infra.statements import policy_of

SIDES = ("source", "target")
POLICY_TYPES = ("aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy")
"""Types of resources whose `policy` a role has."""
STACK_RESOURCE = re.compile(r"((?:[^/:]+[/:])*)(replicate|replication)-")
"""The beginning of a resource that the stack makes: kind, path, and the name's first word."""


def boundary(config: Mapping[str, Any], side: str, *, stack: str) -> dict[str, Any]:
    """Return the boundary for the roles of one account: `source` or `target`.

    `config`: the plain values of a stack file.
    """
    actions: dict[str, set[str]] = {}
    for statement in _statements(DryRun.of(config, stack=stack).resources, side):
        for resource in statement["Resource"]:
            actions.setdefault(pattern(resource), set()).update(statement["Action"])
    by_actions: dict[tuple[str, ...], list[str]] = {}
    for resource in sorted(actions):
        by_actions.setdefault(tuple(sorted(actions[resource])), []).append(resource)
    return policy_of(
        [
            {"Effect": "Allow", "Action": list(allowed), "Resource": resources}
            for allowed, resources in by_actions.items()
        ]
    )


def pattern(arn: str) -> str:
    """Return a pattern for all resources that a stack of another table would name instead."""
    if arn == "*":
        return arn
    *place, region, account, resource = arn.split(":", 5)
    ours = STACK_RESOURCE.match(resource)
    kind = ours[0] if ours else re.split(r"(?<=[/:])", resource, maxsplit=1)[0]
    return ":".join([*place, "*" if region else "", account, f"{kind}*"])


def _statements(resources: Iterable[DeclaredResource], side: str) -> Iterable[dict[str, Any]]:
    for resource in resources:
        if resource.type in POLICY_TYPES and resource.side == side:
            statements = json.loads(resource.values["policy"])["Statement"]
            # What a role's own policy denies, it denies under any boundary.
            yield from (each for each in statements if each["Effect"] == "Allow")
