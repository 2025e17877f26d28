"""The roles of a switch: one in each account, with exactly its rights, and who may assume them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.infra.recording_engine import CONFIG, Deployment, record, statements

pytestmark = [pytest.mark.slow, pytest.mark.promise("C8")]

SOURCE = "arn:aws:dynamodb:eu-west-1:111111111111:table/"
TARGET = "arn:aws:dynamodb:eu-west-1:222222222222:table/"
KEY = "arn:aws:kms:eu-west-1:222222222222:key/a"
DBA = "arn:aws:iam::111111111111:role/dba"
TABLES = [
    {"source": "orders", "target": "orders-replica", "denyOtherWriters": True, "targetKeyArn": KEY},
    {"source": "customers", "target": "customers-replica"},
]


def deployed(folder: Path, **values: Any) -> Deployment:
    return record({**CONFIG, "tables": TABLES, **values}, folder / "archive")


def grants(stack: Deployment, side: str) -> dict[tuple[str, ...], set[str]]:
    """What a switch role may do: resources -> actions."""
    policy = stack.one("RolePolicy", f"replication-switch-{side}-grants").inputs["policy"]
    return {tuple(each["Resource"]): set(each["Action"]) for each in statements(policy)}


def test_each_role_changes_policies_of_the_stacks_tables_and_little_else(tmp_path: Path) -> None:
    stack = deployed(tmp_path, switch=True)
    assert grants(stack, "source") == {
        (f"{SOURCE}orders", f"{SOURCE}customers"): {
            "dynamodb:DeleteResourcePolicy",
            "dynamodb:DescribeKinesisStreamingDestination",
            "dynamodb:DescribeTimeToLive",
            "dynamodb:DisableKinesisStreamingDestination",
            "dynamodb:GetResourcePolicy",
            "dynamodb:PutResourcePolicy",
            "dynamodb:UpdateTimeToLive",
        }
    }
    assert grants(stack, "target") == {
        (f"{TARGET}orders-replica", f"{TARGET}customers-replica"): {
            "dynamodb:DeleteItem",
            "dynamodb:DeleteResourcePolicy",
            "dynamodb:GetResourcePolicy",
            "dynamodb:PutResourcePolicy",
        },
        (KEY,): {"kms:Decrypt"},
    }
    [_, key] = statements(
        stack.one("RolePolicy", "replication-switch-target-grants").inputs["policy"]
    )
    through = {"StringEquals": {"kms:ViaService": "dynamodb.eu-west-1.amazonaws.com"}}
    assert key["Condition"] == through


def test_no_other_role_may_change_a_resource_policy(tmp_path: Path) -> None:
    stack = deployed(tmp_path, switch=True)
    holders = {
        policy.name
        for policy in stack.of("RolePolicy")
        if "PutResourcePolicy" in policy.inputs["policy"]
    }
    assert holders == {f"replication-switch-{side}-grants" for side in ("source", "target")}


@pytest.mark.parametrize(("side", "account"), [("source", "1" * 12), ("target", "2" * 12)])
def test_the_operators_may_assume_a_switch_role_for_an_hour(
    side: str, account: str, tmp_path: Path
) -> None:
    stack = deployed(tmp_path, switch=True)
    role = stack.one("Role", f"replication-switch-{side}")
    assert (role.side, role.inputs["maxSessionDuration"]) == (side, 3600)
    [trust] = statements(role.inputs["assumeRolePolicy"])
    assert trust["Principal"] == {"AWS": [f"arn:aws:iam::{account}:root"]}
    assert "Condition" not in trust


def test_other_principals_the_external_id_and_a_second_factor_are_in_the_trust(
    tmp_path: Path,
) -> None:
    operators = {**CONFIG["operators"], "externalId": "a-word"}
    stack = deployed(tmp_path, operators=operators, switch={"source": [DBA], "mfa": True})
    for side, principal in (("source", DBA), ("target", "arn:aws:iam::222222222222:root")):
        role = stack.one("Role", f"replication-switch-{side}")
        [trust] = statements(role.inputs["assumeRolePolicy"])
        assert trust["Principal"] == {"AWS": [principal]}
        assert trust["Condition"] == {
            "StringEquals": {"sts:ExternalId": "a-word"},
            "Bool": {"aws:MultiFactorAuthPresent": "true"},
        }
    [exporter] = statements(stack.one("Role", "exporter").inputs["assumeRolePolicy"])
    assert "Bool" not in exporter["Condition"]


def test_a_deny_alone_needs_the_targets_role_for_its_own_tables(tmp_path: Path) -> None:
    stack = deployed(tmp_path)
    roles = [role.name for role in stack.of("Role") if "switch" in role.name]
    assert roles == ["replication-switch-target"]
    [tables, _] = grants(stack, "target")
    assert tables == (f"{TARGET}orders-replica",)
    assert "GetResourcePolicy" not in stack.one("RolePolicy", "orders-observer").inputs["policy"]


def test_a_stack_that_asks_for_neither_has_no_such_role(stack: Deployment) -> None:
    assert [role.name for role in stack.of("Role") if "switch" in role.name] == []
    assert "PutResourcePolicy" not in str([p.inputs for p in stack.of("RolePolicy")])


def test_the_watchdog_reads_the_sources_policy_where_there_is_a_switch(tmp_path: Path) -> None:
    stack = deployed(tmp_path, switch=True)
    policy = statements(stack.one("RolePolicy", "orders-observer-grants").inputs["policy"])
    [see] = [each for each in policy if "dynamodb:GetResourcePolicy" in each["Action"]]
    assert see["Resource"] == [f"{SOURCE}orders"]


def test_the_outputs_name_the_roles_and_say_which_targets_are_denied_to_others(
    tmp_path: Path,
) -> None:
    for options, sides, denied in (
        ({"switch": True}, {"source", "target"}, [True, True]),
        ({}, {"target"}, [True, False]),
    ):
        outputs = deployed(tmp_path, **options).outputs
        named = {side for side in ("source", "target") if "switchRoleArn" in outputs[side]}
        assert named == sides
        assert [table["denyOtherWriters"] for table in outputs["tables"]] == denied
        assert all("consumer-role" in table["consumerRoleArn"] for table in outputs["tables"])
