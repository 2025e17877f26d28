"""The managed policies of an operators' role, for tables that its inline policy has no room for.

The limits are lowered, so that the importer names one table in each policy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra import table_groups
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


def test_a_table_less_takes_its_policy_along(engine: Engine, stack: EngineStack) -> None:
    stack.configure(engine.config(ORDERS, protect=False))
    up = stack.up()
    assert {f"Policy {SECOND}", ATTACHMENT} <= up.by_operation["delete"]
    assert "RolePolicy replication-importer-grants" not in up.by_operation.get("update", ())
    assert attached(engine) == []


def test_a_destroyed_stack_leaves_no_policy(engine: Engine, stack: EngineStack) -> None:
    stack.configure(engine.config(ORDERS, CUSTOMERS, protect=False))
    stack.up()
    assert attached(engine)
    stack.destroy()
    assert stack.resources() == []
    for account in (engine.cloud.source, engine.cloud.target):
        iam = engine.cloud.client("iam", account)
        assert iam.list_policies(Scope="Local")["Policies"] == []
        assert iam.list_roles()["Roles"] == []
