"""AWS's limits on policies and other texts, and on what a role's policies add up to.

They are quotas and documented limits; botocore's models allow more or say nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.policy_sizes import (
    ATTACHED_POLICIES_LIMIT,
    INLINE_POLICY_LIMIT,
    MANAGED_POLICY_LIMIT,
    TRUST_POLICY_LIMIT,
    characters,
)

Where = tuple[str, str, str]
"""Service, operation and top-level parameter."""

CHARACTERS: Mapping[Where, int] = {
    ("iam", "CreateRole", "AssumeRolePolicyDocument"): TRUST_POLICY_LIMIT,
    ("iam", "UpdateAssumeRolePolicy", "PolicyDocument"): TRUST_POLICY_LIMIT,
    ("iam", "CreatePolicy", "PolicyDocument"): MANAGED_POLICY_LIMIT,
    ("iam", "CreatePolicyVersion", "PolicyDocument"): MANAGED_POLICY_LIMIT,
    ("iam", "PutRolePolicy", "PolicyDocument"): INLINE_POLICY_LIMIT,
}
"""Of a policy without its white space, which IAM does not count."""

BYTES: Mapping[Where, int] = {
    # "The policy size limit is 32 KiB" (API reference, AWS KMS).
    ("kms", "CreateKey", "Policy"): 32 * 1024,
    ("kms", "PutKeyPolicy", "Policy"): 32 * 1024,
    ("s3", "PutBucketPolicy", "Policy"): 20 * 1024,
    ("kinesis", "PutResourcePolicy", "Policy"): 20 * 1024,
    ("dynamodb", "PutResourcePolicy", "Policy"): 20 * 1024,
}
"""Of a resource's policy, with its white space."""

ENVIRONMENT_BYTES = 4 * 1024
"""All variables of a function together ("Lambda quotas")."""
DASHBOARD_WIDGETS, WIDGET_METRICS, DASHBOARD_METRICS = 500, 500, 2500
"""Of a dashboard ("CloudWatch service quotas")."""


def size_faults(service: str, operation: str, params: Mapping[str, Any]) -> Iterator[str]:
    """Yield each value that is larger than AWS allows, whatever else exists."""
    for name, value in params.items():
        where = (service, operation, name)
        if where in CHARACTERS:
            yield from _over(name, characters(value), CHARACTERS[where], "characters")
        if where in BYTES:
            yield from _over(name, len(value.encode()), BYTES[where], "bytes")
    if service == "lambda" and "Environment" in params:
        variables = json.dumps(params["Environment"].get("Variables", {}), separators=(",", ":"))
        yield from _over("Environment", len(variables.encode()), ENVIRONMENT_BYTES, "bytes")
    if operation == "PutDashboard":
        yield from _dashboard(params["DashboardBody"])


def role_faults(client: Any, operation: str, params: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a role's policies would exceed together, with those that it has now."""
    role = params.get("RoleName", "")
    if operation == "PutRolePolicy":
        sizes = {params["PolicyName"]: characters(params["PolicyDocument"])}
        for name in _all(client, "list_role_policies", "PolicyNames", role):
            if name not in sizes:
                found = client.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
                sizes[name] = len(json.dumps(found, separators=(",", ":")))
        what = f"the inline policies of {role}"
        yield from _over(what, sum(sizes.values()), INLINE_POLICY_LIMIT, "characters")
    if operation == "AttachRolePolicy":
        found = _all(client, "list_attached_role_policies", "AttachedPolicies", role)
        arns = {each["PolicyArn"] for each in found} | {params["PolicyArn"]}
        yield from _over(role, len(arns), ATTACHED_POLICIES_LIMIT, "attached policies")


def _all(client: Any, operation: str, member: str, role: str) -> list[Any]:
    pages = client.get_paginator(operation).paginate(RoleName=role)
    return [each for page in pages for each in page[member]]


def _dashboard(body: str) -> Iterator[str]:
    widgets = json.loads(body)["widgets"]
    counts = [len(widget["properties"].get("metrics", ())) for widget in widgets]
    yield from _over("DashboardBody", len(widgets), DASHBOARD_WIDGETS, "widgets")
    yield from _over("a widget", max(counts, default=0), WIDGET_METRICS, "metrics")
    yield from _over("DashboardBody", sum(counts), DASHBOARD_METRICS, "metrics")


def _over(what: str, size: int, most: int, unit: str) -> Iterator[str]:
    if size > most:
        yield f"{what}: {size} {unit}, and AWS allows {most}"
