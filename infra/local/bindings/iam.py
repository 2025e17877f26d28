"""Roles and their policies. IAM has no Region."""

from __future__ import annotations

from infra.local.bindings.request import Created, Request


def role(request: Request) -> Created:
    name = request.physical_name("name")
    longest = request.inputs.optional_number("maxSessionDuration")
    optional = {"Path": request.inputs.get("path")}
    optional["PermissionsBoundary"] = request.inputs.get("permissionsBoundary")
    created = request.client("iam").create_role(
        RoleName=name,
        Description=request.inputs.text("description"),
        AssumeRolePolicyDocument=request.inputs.document("assumeRolePolicy"),
        **({"MaxSessionDuration": longest} if longest else {}),
        **{name: value for name, value in optional.items() if value},
    )["Role"]
    return Created(name, {"arn": created["Arn"], "name": name})


def role_policy(request: Request) -> Created:
    name, role_name = request.physical_name("name"), request.inputs.text("role")
    request.client("iam").put_role_policy(
        RoleName=role_name, PolicyName=name, PolicyDocument=request.inputs.document("policy")
    )
    return Created(f"{role_name}:{name}", {"name": name})


def policy(request: Request) -> Created:
    name = request.physical_name("name")
    created = request.client("iam").create_policy(
        PolicyName=name,
        Description=request.inputs.text("description"),
        PolicyDocument=request.inputs.document("policy"),
    )["Policy"]
    return Created(created["Arn"], {"arn": created["Arn"], "name": name})


def role_policy_attachment(request: Request) -> Created:
    role_name, arn = request.inputs.text("role"), request.inputs.text("policyArn")
    request.client("iam").attach_role_policy(RoleName=role_name, PolicyArn=arn)
    return Created(f"{role_name}/{arn}")
