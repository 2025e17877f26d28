"""The statements that the owners of given keys are asked to add: they allow what the roles do."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from infra.dry_run import DryRun
from infra.review.__main__ import main
from infra.review.boundary import POLICY_TYPES
from infra.review.key_statements import ROLE, role_of, statements_by_key
from infra.shared_actions import SELECTED_KEY_ACTIONS
from infra.stack_config import PROJECT
from tests.support.infra.recording_engine import CONFIG, SOURCE

pytestmark = [pytest.mark.slow, pytest.mark.promise("C8")]

HERE, THERE = "arn:aws:kms:eu-west-1:111111111111:key/", "arn:aws:kms:eu-west-1:222222222222:key/"
VALUES: dict[str, Any] = {
    **CONFIG,
    "source": {**SOURCE, "rolePath": "/platform/"},
    "tables": [
        {
            "source": "orders",
            "target": "orders-replica",
            "sourceKeyArn": f"{HERE}table",
            "streamKeyArn": f"{HERE}stream",
            "targetKeyArn": f"{THERE}table",
        }
    ],
    "snapshotKey": True,
    "keys": {"consumer": f"{THERE}functions", "source": "create", "target": f"{THERE}kept"},
}


def patterns(statement: dict[str, Any]) -> list[str]:
    """The roles that a statement is for."""
    found: list[str] = statement.get("Condition", {}).get("ArnLike", {}).get("aws:PrincipalArn", [])
    return found


def matches(role: str, statement: dict[str, Any]) -> bool:
    return any(fnmatchcase(role, pattern) for pattern in patterns(statement))


def without_role(condition: dict[str, Any]) -> dict[str, Any]:
    """The condition without the one on the role."""
    like = {key: v for key, v in condition["ArnLike"].items() if key != "aws:PrincipalArn"}
    rest = {key: value for key, value in condition.items() if key != "ArnLike"}
    return {**rest, **({"ArnLike": like} if like else {})}


def covers(asked: dict[str, Any], own: dict[str, Any]) -> bool:
    """Whether a condition is a role's own, with patterns that match its names."""
    like, mine = asked.get("ArnLike", {}), own.get("ArnLike", {})
    return (
        {key: value for key, value in asked.items() if key != "ArnLike"}
        == {key: value for key, value in own.items() if key != "ArnLike"}
        and like.keys() == mine.keys()
        and all(
            any(fnmatchcase(name, pattern) for pattern in like[key])
            for key, names in mine.items()
            for name in names
        )
    )


@pytest.fixture(scope="module")
def asked() -> dict[str, list[dict[str, Any]]]:
    return statements_by_key(VALUES, stack="prod")


def test_each_given_key_is_listed_and_none_that_the_stack_makes(
    asked: dict[str, list[dict[str, Any]]],
) -> None:
    assert list(asked) == [
        *(f"{HERE}{name}" for name in ("stream", "table")),
        *(f"{THERE}{name}" for name in ("functions", "kept", "table")),
    ]


def test_what_a_role_may_do_with_a_key_is_asked_of_its_owner_for_that_role_alone(
    asked: dict[str, list[dict[str, Any]]],
) -> None:
    ran = DryRun.of(VALUES, stack="prod")
    roles = {each.values["name"]: each.values["arn"] for each in ran.resources if each.type == ROLE}
    compared = 0
    for policy in ran.resources:
        if policy.type not in POLICY_TYPES:
            continue
        role = roles[role_of(policy, ran.resources)]
        for own in json.loads(policy.values["policy"])["Statement"]:
            for arn in set(own["Resource"]) & set(asked):
                compared += 1
                conditions = [
                    without_role(each["Condition"])
                    for each in asked[arn]
                    if "AWS" in each["Principal"]
                    and set(own["Action"]) <= set(each["Action"])
                    and matches(role, each)
                    and each["Principal"]["AWS"] == f"arn:aws:iam::{role.split(':')[4]}:root"
                ]
                expected = own.get("Condition", {})
                assert any(covers(each, expected) for each in conditions), f"{role}: {own}"
    assert compared > 6
    named = {
        pattern.rpartition("/")[2]
        for statements in asked.values()
        for each in statements
        for pattern in patterns(each)
    }
    assert named == {
        "replicate-*-consumer-role-*",
        "replicate-*-observer-*",
        "replicate-*-watchdog-role-*",
        "replication-exporter-*",
        "replication-importer-*",
        "replication-operator-target-*",
    }


def test_dynamodb_may_write_into_the_stream_with_its_key(
    asked: dict[str, list[dict[str, Any]]],
) -> None:
    [found] = [each for each in asked[f"{HERE}stream"] if "ArnLike" not in each["Condition"]]
    assert found["Principal"] == {"AWS": "arn:aws:iam::111111111111:root"}
    assert found["Action"] == ["kms:GenerateDataKey"]
    assert found["Condition"]["StringEquals"] == {
        "kms:ViaService": "kinesis.eu-west-1.amazonaws.com",
        "kms:CallerAccount": "111111111111",
    }


def test_services_are_named_for_what_they_use_by_themselves(
    asked: dict[str, list[dict[str, Any]]],
) -> None:
    services = {
        each["Principal"]["Service"]: each.get("Condition", {})
        for each in asked[f"{THERE}functions"]
        if "Service" in each["Principal"]
    }
    assert services.keys() == {"logs.eu-west-1.amazonaws.com", "cloudwatch.amazonaws.com"}
    patterns = services["logs.eu-west-1.amazonaws.com"]["ArnLike"]
    assert "log-group:replicate-*-consumer-logs-*" in str(patterns)
    # The alarms of both places publish to the consumer's topic here.
    assert not [each for each in asked[f"{THERE}kept"] if "Service" in each["Principal"]]


def test_no_statement_id_is_used_twice_in_one_policy(
    asked: dict[str, list[dict[str, Any]]],
) -> None:
    for statements in asked.values():
        sids = [each["Sid"] for each in statements]
        assert len(sids) == len(set(sids))


def test_it_prints_json_for_a_stack_file(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text(
        yaml.safe_dump({"config": {f"{PROJECT}:{key}": value for key, value in VALUES.items()}})
    )
    printed = CliRunner().invoke(main, ["keys", "--config", str(file)])
    assert json.loads(printed.stdout) == statements_by_key(VALUES, stack="prod")
    file.write_text("config: {}")
    refused = CliRunner().invoke(main, ["keys", "--config", str(file)])
    assert refused.exit_code == 1
    assert "mistakes" in refused.stderr


def test_the_statements_are_the_same_for_more_tables_and_fit_into_a_policy() -> None:
    names = [f"customer-orders-history-{n}" for n in range(4)]
    few, many = (
        statements_by_key(
            {
                **CONFIG,
                "source": SOURCE,
                "keys": {"source": f"{HERE}s", "consumer": f"{THERE}c", "target": f"{THERE}c"},
                "tables": [{"source": name} for name in tables],
            },
            stack="prod",
        )
        for tables in (names[:1], names)
    )
    assert many == few, "a table that is added later needs no other statement"
    for statements in many.values():
        assert len(json.dumps(statements, indent=1)) < 32_768


@pytest.mark.parametrize("role", [None, "arn:aws:iam::222222222222:role/deployer"])
def test_the_deployer_is_asked_all_that_selecting_a_key_takes(role: str | None) -> None:
    values = {**VALUES, "target": {**CONFIG["target"], **({"roleArn": role} if role else {})}}
    asked = statements_by_key(values, stack="prod")
    found = {
        each["Sid"]: each
        for statements in asked.values()
        for each in statements
        if each["Sid"].startswith("Deployer")
    }
    tables = found["DeployerGivesTablesTheirKey"]
    assert set(tables["Action"]) == {*SELECTED_KEY_ACTIONS, "kms:DescribeKey"}
    functions = found["DeployerGivesFunctionsTheirKey"]
    assert set(functions["Action"]) == {"kms:CreateGrant", "kms:Decrypt", "kms:Encrypt"}
    for statement, service in ((tables, "dynamodb"), (functions, "lambda")):
        through = statement["Condition"]["StringEquals"]
        assert through["kms:ViaService"] == f"{service}.eu-west-1.amazonaws.com"
        assert statement["Condition"].get("ArnEquals", {}).get("aws:PrincipalArn") == role
