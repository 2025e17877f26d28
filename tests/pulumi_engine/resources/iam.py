"""Roles and their inline policies."""

from __future__ import annotations

from typing import Any

from tests.pulumi_engine.resources.base import Resource, ResourceType, Values, document


def _read_role(resource: Resource) -> dict[str, Any]:
    role = resource.client("iam").get_role(RoleName=resource.id)["Role"]
    trust = role["AssumeRolePolicyDocument"]
    return {
        "description": role.get("Description", ""),
        "assumeRolePolicy": document(trust, resource.state, "assumeRolePolicy"),
    }


def _update_role(resource: Resource, new: Values) -> None:
    iam, old = resource.client("iam"), resource.state
    if new["description"] != old["description"]:
        iam.update_role(RoleName=resource.id, Description=new["description"])
    if new["assumeRolePolicy"] != old["assumeRolePolicy"]:
        iam.update_assume_role_policy(RoleName=resource.id, PolicyDocument=new["assumeRolePolicy"])


def _delete_role(resource: Resource) -> None:
    resource.client("iam").delete_role(RoleName=resource.id)


def _read_policy(resource: Resource) -> dict[str, Any]:
    role, _, name = resource.id.partition(":")
    found = resource.client("iam").get_role_policy(RoleName=role, PolicyName=name)
    return {"policy": document(found["PolicyDocument"], resource.state, "policy")}


def _delete_policy(resource: Resource) -> None:
    role, _, name = resource.id.partition(":")
    resource.client("iam").delete_role_policy(RoleName=role, PolicyName=name)


ROLE = ResourceType(
    read=_read_role,
    update=_update_role,
    delete=_delete_role,
    replaced_by=frozenset({"name"}),
    name="name",
    longest_name=64,
    computed=frozenset({"arn"}),
)
ROLE_POLICY = ResourceType(
    read=_read_policy,
    delete=_delete_policy,
    replaced_by=frozenset({"name", "role"}),
    name="name",
    longest_name=128,
)
