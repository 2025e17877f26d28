"""Roles and their policies."""

from __future__ import annotations

from typing import Any

from tests.pulumi_engine.resources.base import Resource, ResourceType, Values, document, never


def _read_role(resource: Resource) -> dict[str, Any]:
    role = resource.client("iam").get_role(RoleName=resource.id)["Role"]
    trust = role["AssumeRolePolicyDocument"]
    boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return {
        "description": role.get("Description", ""),
        "assumeRolePolicy": document(trust, resource.state, "assumeRolePolicy"),
        **({"permissionsBoundary": boundary} if boundary else {}),
    }


def _update_role(resource: Resource, new: Values) -> None:
    iam, old = resource.client("iam"), resource.state
    if new["description"] != old["description"]:
        iam.update_role(RoleName=resource.id, Description=new["description"])
    if new["assumeRolePolicy"] != old["assumeRolePolicy"]:
        iam.update_assume_role_policy(RoleName=resource.id, PolicyDocument=new["assumeRolePolicy"])
    boundary = new.get("permissionsBoundary")
    if boundary and boundary != old.get("permissionsBoundary"):
        iam.put_role_permissions_boundary(RoleName=resource.id, PermissionsBoundary=boundary)
    if not boundary and old.get("permissionsBoundary"):
        iam.delete_role_permissions_boundary(RoleName=resource.id)


def _delete_role(resource: Resource) -> None:
    resource.client("iam").delete_role(RoleName=resource.id)


def _read_policy(resource: Resource) -> dict[str, Any]:
    role, _, name = resource.id.partition(":")
    found = resource.client("iam").get_role_policy(RoleName=role, PolicyName=name)
    return {"policy": document(found["PolicyDocument"], resource.state, "policy")}


def _delete_policy(resource: Resource) -> None:
    role, _, name = resource.id.partition(":")
    resource.client("iam").delete_role_policy(RoleName=role, PolicyName=name)


def _read_managed(resource: Resource) -> dict[str, Any]:
    iam = resource.client("iam")
    policy = iam.get_policy(PolicyArn=resource.id)["Policy"]
    version = iam.get_policy_version(PolicyArn=resource.id, VersionId=policy["DefaultVersionId"])[
        "PolicyVersion"
    ]
    return {
        "description": policy.get("Description", ""),
        "policy": document(version["Document"], resource.state, "policy"),
    }


def _update_managed(resource: Resource, new: Values) -> None:
    """As the AWS provider does: IAM keeps five versions, so the oldest goes before the sixth."""
    iam, older = resource.client("iam"), _older_versions(resource)
    if len(older) >= 4:
        iam.delete_policy_version(PolicyArn=resource.id, VersionId=older[0])
    iam.create_policy_version(
        PolicyArn=resource.id, PolicyDocument=new["policy"], SetAsDefault=True
    )


def _delete_managed(resource: Resource) -> None:
    iam = resource.client("iam")
    for version in _older_versions(resource):
        iam.delete_policy_version(PolicyArn=resource.id, VersionId=version)
    iam.delete_policy(PolicyArn=resource.id)


def _older_versions(resource: Resource) -> list[str]:
    """Return the versions that are not the default one, the oldest first."""
    found = resource.client("iam").list_policy_versions(PolicyArn=resource.id)["Versions"]
    older = [each["VersionId"] for each in found if not each["IsDefaultVersion"]]
    return sorted(older, key=lambda version: int(version.removeprefix("v")))


def _read_attachment(resource: Resource) -> dict[str, Any] | None:
    role, _, arn = resource.id.partition("/")
    pages = resource.client("iam").get_paginator("list_attached_role_policies")
    attached = [
        policy["PolicyArn"]
        for page in pages.paginate(RoleName=role)
        for policy in page["AttachedPolicies"]
    ]
    return {} if arn in attached else None


def _delete_attachment(resource: Resource) -> None:
    role, _, arn = resource.id.partition("/")
    resource.client("iam").detach_role_policy(RoleName=role, PolicyArn=arn)


ROLE = ResourceType(
    read=_read_role,
    update=_update_role,
    delete=_delete_role,
    replaced_by=frozenset({"name", "path"}),
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
POLICY = ResourceType(
    read=_read_managed,
    update=_update_managed,
    delete=_delete_managed,
    replaced_by=frozenset({"description", "name"}),
    name="name",
    longest_name=128,
    computed=frozenset({"arn"}),
)
ROLE_POLICY_ATTACHMENT = ResourceType(
    read=_read_attachment,
    update=never,
    delete=_delete_attachment,
    replaced_by=frozenset({"policyArn", "role"}),
)
