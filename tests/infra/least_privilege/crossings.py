"""What one account lets the other do: every grant of a declared policy that crosses accounts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.infra.least_privilege.declared import RESOURCE, ROLE, TRUST, Declared, Policy


@dataclass(frozen=True, order=True)
class Crossing:
    """Actions that a principal of one account may call on a resource of the other."""

    principal: str
    """The role, by its ARN."""
    resource: str
    actions: tuple[str, ...]
    when: tuple[tuple[str, str], ...] = ()
    """Condition keys of the statement on the resource's side, with their values."""

    @property
    def caller(self) -> str:
        return self.principal.split(":")[4]


def granted(declared: Declared) -> Iterator[Crossing]:
    """What resources let principals of the other account do: without that, AWS refuses it."""
    for policy in declared.policies:
        if policy.kind not in (RESOURCE, TRUST):
            continue
        for statement in policy.statements:
            for principal in _roles(statement):
                if principal.split(":")[4] == policy.account:
                    continue
                for resource in _resources(policy, statement):
                    yield Crossing(
                        principal, resource, tuple(sorted(statement["Action"])), _when(statement)
                    )


def asked(declared: Declared) -> Iterator[Crossing]:
    """What the policies of roles name in the other account."""
    for policy in declared.policies:
        if policy.kind != ROLE:
            continue
        role = f"arn:aws:iam::{policy.account}:role/{policy.on}"
        for statement in policy.statements:
            for resource in statement["Resource"]:
                if _account(declared, resource) not in ("", policy.account):
                    actions = tuple(sorted(statement["Action"]))
                    yield Crossing(role, resource, actions, _when(statement))


def _roles(statement: Mapping[str, Any]) -> list[str]:
    named = statement.get("Principal")
    if statement["Effect"] != "Allow" or not isinstance(named, dict):
        return []
    found = named.get("AWS", [])
    return [found] if isinstance(found, str) else list(found)


def _resources(policy: Policy, statement: Mapping[str, Any]) -> list[str]:
    """In a trust policy none is named, and in a key's `*` is that key."""
    named = statement.get("Resource", ["*"])
    return [policy.on if resource == "*" else resource for resource in named]


def _account(declared: Declared, resource: str) -> str:
    """The account of a resource; empty for what has no ARN."""
    if resource == "*":
        return ""
    return declared.buckets.get(resource.partition("/")[0]) or resource.split(":")[4]


def _when(statement: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    conditions = statement.get("Condition", {})
    return tuple(
        sorted((key, str(value)) for keys in conditions.values() for key, value in keys.items())
    )
