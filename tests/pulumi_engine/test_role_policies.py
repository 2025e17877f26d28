"""Managed policies for tables that a role's inline policy has no room for; a boundary and a path.

The limits are lowered, so that the importer names one table in each policy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra import table_groups
from infra.policy_sizes import MANAGED_POLICY_LIMIT
from infra.review.boundary import boundary as boundary_of
from tests.pulumi_engine.engine import OPEN_COROUTINES, Engine, EngineStack

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings(*OPEN_COROUTINES)]

ORDERS, CUSTOMERS = {"source": "orders"}, {"source": "customers"}
LOWERED = {"inline": 3_500, "managed": 3_000}
SECOND = "replication-importer-grants-2"
ATTACHMENT = f"RolePolicyAttachment {SECOND}-attachment"


@pytest.fixture(scope="module")
def stack(engine: Engine) -> Iterator[EngineStack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_groups, "INLINE_POLICY_LIMIT", LOWERED["inline"])
        patch.setattr(table_groups, "MANAGED_POLICY_LIMIT", LOWERED["managed"])
        stack = engine.stack("policies")
        stack.configure(engine.config(ORDERS, protect=False))
        made = stack.up().by_operation["create"]
        assert not [each for each in made if each.startswith(("Policy ", "RolePolicyAttachment "))]
        yield stack


def importer(engine: Engine) -> tuple[Any, str]:
    """Return a client of IAM in the importer's account, and the name of the role."""
    iam = engine.cloud.client("iam", engine.cloud.target)
    [name] = [r["RoleName"] for r in iam.list_roles()["Roles"] if "-importer-" in r["RoleName"]]
    return iam, name


def roles(engine: Engine, side: str) -> dict[str, str]:
    """Return the ARNs of an account's roles, each with the boundary that it has."""
    account = {"source": engine.cloud.source, "target": engine.cloud.target}[side]
    iam = engine.cloud.client("iam", account)
    found = {}
    for each in iam.list_roles()["Roles"]:
        role = iam.get_role(RoleName=each["RoleName"])["Role"]
        boundary = role.get("PermissionsBoundary", {})
        found[role["Arn"]] = str(boundary.get("PermissionsBoundaryArn", ""))
    return found


def attached(engine: Engine) -> list[str]:
    iam, name = importer(engine)
    found = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    return [each["PolicyArn"] for each in found]


def named(engine: Engine, arn: str) -> str:
    """Return the text of a managed policy, as it is in force."""
    iam, _ = importer(engine)
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return json.dumps(
        iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    )


def test_a_table_more_gets_a_policy_of_its_own_and_moves_no_other(
    engine: Engine, stack: EngineStack
) -> None:
    stack.configure(engine.config(ORDERS, CUSTOMERS, protect=False))
    up = stack.up()
    assert {f"Policy {SECOND}", ATTACHMENT} <= up.by_operation["create"]
    assert "RolePolicy replication-importer-grants" not in up.by_operation["update"]
    [arn] = attached(engine)
    assert ":table/customers" in named(engine, arn)
    assert ":table/orders" not in named(engine, arn)
    assert stack.up().unchanged


def test_one_up_attaches_the_policy_again_and_puts_its_text_back(
    engine: Engine, stack: EngineStack
) -> None:
    """IAM keeps five versions of a policy: the oldest makes room."""
    (iam, role), [arn] = importer(engine), attached(engine)
    before = named(engine, arn)
    wide = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    for n in range(4):
        text = json.dumps({"Version": "2012-10-17", "Statement": [{**wide, "Sid": f"Number{n}"}]})
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=text, SetAsDefault=True)
    iam.detach_role_policy(RoleName=role, PolicyArn=arn)
    up = stack.up()
    assert up.by_operation == {"create": {ATTACHMENT}, "update": {f"Policy {SECOND}"}}
    assert attached(engine) == [arn]
    assert named(engine, arn) == before
    assert len(iam.list_policy_versions(PolicyArn=arn)["Versions"]) == 5
    assert stack.up().unchanged


def test_a_table_less_takes_its_policy_along_and_a_boundary_changes_the_roles_in_place(
    engine: Engine, stack: EngineStack
) -> None:
    before, stack_file = roles(engine, "target"), engine.config(ORDERS, protect=False)
    boundary = json.dumps(boundary_of(stack_file, "target", stack=stack.name))
    iam = engine.cloud.client("iam", engine.cloud.target)
    made = iam.create_policy(PolicyName="ceiling", PolicyDocument=boundary)["Policy"]
    stack_file["target"]["permissionsBoundaryArn"] = made["Arn"]
    stack.configure(stack_file)
    up = stack.up()
    changed = {name for name, keys in up.changed.items() if "permissionsBoundary" in keys}
    now = roles(engine, "target")
    assert len(changed) == len(now) == 4  # those of the table that has left are gone
    assert now.keys() <= before.keys()
    assert set(now.values()) == {made["Arn"]}
    assert set(roles(engine, "source").values()) == {""}
    assert {f"Policy {SECOND}", ATTACHMENT} <= up.by_operation["delete"]
    assert "RolePolicy replication-importer-grants" not in up.by_operation.get("update", ())
    assert attached(engine) == []


def test_another_path_replaces_the_roles_of_its_account_and_what_names_them_follows(
    engine: Engine, stack: EngineStack
) -> None:
    before, stack_file = roles(engine, "source"), engine.config(ORDERS, CUSTOMERS, protect=False)
    stack_file["target"]["rolePath"] = "/platform/"
    stack.configure(stack_file)
    up = stack.up()
    replaced = up.by_operation["create-replacement"]
    assert len([name for name in replaced if name.startswith("Role ")]) == 4
    arns = roles(engine, "target")
    assert [arn for arn in arns if ":role/platform/" not in arn] == []
    assert set(arns.values()) == {""}  # the file has no boundary any more
    assert before.keys() <= roles(engine, "source").keys()
    table = next(each for each in up.outputs["tables"] if each["sourceTable"] == "orders")
    assert table["consumerRoleArn"] in arns
    lambda_ = engine.cloud.client("lambda", engine.cloud.target)
    function = lambda_.get_function_configuration(FunctionName=table["functionName"])
    assert function["Role"] == table["consumerRoleArn"]
    kinesis = engine.cloud.client("kinesis", engine.cloud.source)
    sharing = kinesis.get_resource_policy(ResourceARN=table["streamArn"])["Policy"]
    assert table["consumerRoleArn"] in sharing


def test_managed_policies_are_attached_before_the_inline_ones_go(
    engine: Engine, stack: EngineStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_groups, "MANAGED_POLICY_LIMIT", MANAGED_POLICY_LIMIT)
    stack_file = engine.config(ORDERS, CUSTOMERS, protect=False, iam={"managedPolicies": True})
    stack_file["target"]["rolePath"] = "/platform/"
    stack.configure(stack_file)
    engine.log.forget()
    up = stack.up()
    calls = [(call.operation, call.name) for call in engine.log.calls()]
    inline = {name.split()[1] for name in up.by_operation["delete"] if "RolePolicy " in name}
    assert len(inline) == 10  # 4 of the operators' roles, 3 of each table
    for name in inline:
        attached_at = calls.index(("create", f"{name}-managed-attachment"))
        assert attached_at < calls.index(("delete", name))
    for account in (engine.cloud.source, engine.cloud.target):
        iam = engine.cloud.client("iam", account)
        names = [role["RoleName"] for role in iam.list_roles()["Roles"]]
        left = [iam.list_role_policies(RoleName=name)["PolicyNames"] for name in names]
        assert left == [[]] * len(names)
    assert stack.up().unchanged


def test_a_destroyed_stack_leaves_no_policy(engine: Engine, stack: EngineStack) -> None:
    assert attached(engine)
    iam = engine.cloud.client("iam", engine.cloud.target)
    iam.delete_policy(PolicyArn="arn:aws:iam::222222222222:policy/ceiling")
    stack.destroy()
    assert stack.resources() == []
    for account in (engine.cloud.source, engine.cloud.target):
        iam = engine.cloud.client("iam", account)
        assert iam.list_policies(Scope="Local")["Policies"] == []
        assert iam.list_roles()["Roles"] == []
