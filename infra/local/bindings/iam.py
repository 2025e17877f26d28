"""Roles and their inline policies. IAM has no Region."""

from __future__ import annotations

from infra.local.bindings.request import Created, Request


def role(request: Request) -> Created:
    name = request.physical_name("name")
    created = request.client("iam").create_role(
        RoleName=name,
        Description=request.inputs.text("description"),
        AssumeRolePolicyDocument=request.inputs.document("assumeRolePolicy"),
    )["Role"]
    return Created(name, {"arn": created["Arn"], "name": name})


def role_policy(request: Request) -> Created:
    name, role_name = request.physical_name("name"), request.inputs.text("role")
    request.client("iam").put_role_policy(
        RoleName=role_name, PolicyName=name, PolicyDocument=request.inputs.document("policy")
    )
    return Created(f"{role_name}:{name}", {"name": name})
