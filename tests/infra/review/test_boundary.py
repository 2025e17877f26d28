"""The permissions boundary that the tool prints: it lets through what the roles may do."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from infra.dry_run import DryRun
from infra.policy_sizes import MANAGED_POLICY_LIMIT, characters
from infra.review import boundary
from infra.review.__main__ import main
from infra.stack_config import PROJECT
from tests.support.infra.recording_engine import CONFIG, SOURCE, TARGET

pytestmark = [pytest.mark.slow, pytest.mark.promise("C8")]

EVERYTHING: dict[str, Any] = {
    **CONFIG,
    "source": {**SOURCE, "rolePath": "/platform/source/"},
    "target": {**TARGET, "region": "eu-central-1", "rolePath": f"/{'t' * 510}/"},
    "tables": [
        {
            "source": "s" * 255,
            "target": "t" * 255,
            "sourceKeyArn": "arn:aws:kms:eu-west-1:111111111111:key/a",
            "targetKeyArn": "arn:aws:kms:eu-central-1:222222222222:key/b",
        },
        {"source": "replicate-me"},
    ],
    "snapshotKey": True,
    "switch": True,
    "vpc": {"subnetIds": ["subnet-01234567"], "securityGroupIds": ["sg-01234567"]},
    "operators": {**CONFIG["operators"], "readItems": True},
}
"""Each option that a policy depends on."""


@pytest.mark.parametrize("side", boundary.SIDES)
def test_whatever_a_role_may_do_is_let_through_and_one_managed_policy_holds_it(side: str) -> None:
    policy = boundary.boundary(EVERYTHING, side, stack="prod")
    assert characters(json.dumps(policy)) <= MANAGED_POLICY_LIMIT
    ran = DryRun.of(EVERYTHING, stack="prod")
    texts = [
        each.values["policy"]
        for each in ran.resources
        if each.side == side and each.type in boundary.POLICY_TYPES
    ]
    granted = {
        (action, resource)
        for text in texts
        for statement in json.loads(text)["Statement"]
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
        for resource in statement["Resource"]
    }
    assert len(granted) > 20
    refused = [grant for grant in granted if not lets_through(policy, *grant)]
    assert refused == []
    # What a role's own policy denies everywhere is no reason to let it through everywhere.
    assert not lets_through(policy, "ec2:CreateNetworkInterface", "arn:aws:ec2:x:999999999999:a/b")


def lets_through(policy: dict[str, Any], action: str, resource: str) -> bool:
    return any(
        action in statement["Action"]
        and any(fnmatchcase(resource, each) for each in statement["Resource"])
        for statement in policy["Statement"]
    )


def test_a_boundary_of_one_stack_serves_another_of_the_same_options() -> None:
    other = {**CONFIG, "tables": [{"source": "invoices"}, {"source": "people"}]}
    for side in boundary.SIDES:
        policies = {
            json.dumps(boundary.boundary(each, side, stack="a")) for each in (CONFIG, other)
        }
        assert len(policies) == 1


def test_the_command_prints_the_policy_of_a_stack_file_and_names_its_secrets(
    tmp_path: Path,
) -> None:
    secret = {**CONFIG["operators"], "externalId": {"secure": "v1:abc"}}
    printed = run(tmp_path, {**CONFIG, "operators": secret})
    policy = json.loads(printed.stdout)
    assert policy == boundary.boundary(CONFIG, "source", stack="prod")
    assert "111111111111" in printed.stdout
    assert "operators.externalId are secrets" in printed.stderr


def test_the_command_names_a_mistake_in_the_stack_file(tmp_path: Path) -> None:
    refused = run(tmp_path, {"source": {"region": "eu-west-1"}})
    assert refused.exit_code == 1
    assert "source.accountId" in refused.stderr


def run(folder: Path, values: dict[str, Any]) -> Result:
    file = folder / "Pulumi.prod.yaml"
    file.write_text(yaml.safe_dump({"config": {f"{PROJECT}:{k}": v for k, v in values.items()}}))
    return CliRunner().invoke(main, ["boundary", "--config", str(file), "--side", "source"])
