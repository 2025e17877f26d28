"""Ten tables with the longest names and every option, on the local cloud: each request is legal.

The provider holds every request against AWS's limits, so that what grows with the number of tables
or with their names is seen here first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest

from infra import table_groups
from infra.dry_run import stand_in_archive
from infra.local.cloud import SOURCE, TARGET, LocalAccount, LocalCloud
from infra.local.deploy import deploy
from infra.policy_sizes import INLINE_POLICY_LIMIT, TRUST_POLICY_LIMIT, characters
from infra.stack_config import StackConfig
from tests.support.infra.clouds import make_table

pytestmark = [pytest.mark.slow, pytest.mark.promise("C8")]

COUNT = 10
WORD = "a-word-that-callers-present"


def tables() -> list[dict[str, Any]]:
    """Return ten tables with every option, under keys of their own."""
    found = []
    for n in range(COUNT):
        table: dict[str, Any] = {
            "source": f"{n}.Source_".ljust(255, "x"),
            "target": f"{n}.Target_".ljust(255, "x"),
            "streamMode": "PROVISIONED",
            "shards": 2,
            "parallelizationFactor": 10,
            "batchSize": 10_000,
            "batchWindow": 300,
            "memory": 10_240,
            "reservedConcurrency": 100,
            "ledgerRetentionDays": 3650,
            "quarantineBurst": 10_000,
            "startAt": "2026-11-23T10:00:00Z",
        }
        for side, place in (("source", SOURCE), ("target", TARGET)):
            at = f"{place.region}:{place.account_id}"
            table[f"{side}KeyArn"] = f"arn:aws:kms:{at}:key/mrk-{n:032x}"
        found.append(table)
    return found


def principals(account: LocalAccount) -> list[str]:
    """Return the account and as many roles beside it as a trust policy has room for."""
    roles = [f"arn:aws:iam::{account.account_id}:role/teams/replication/dba-{n}" for n in range(31)]
    return ["account", *roles]


CONFIG: dict[str, Any] = {
    "source": {"accountId": SOURCE.account_id, "region": SOURCE.region},
    "target": {"accountId": TARGET.account_id, "region": TARGET.region},
    "operators": {
        "source": principals(SOURCE),
        "target": principals(TARGET),
        "externalId": WORD,
        "readItems": True,
    },
    "tables": tables(),
    "snapshotKey": True,
    "switch": True,
    "retentionHours": 8760,
    "tags": {f"tag-{n}": "v" * 256 for n in range(40)},
    "alarms": {"emails": ["team@example.com", "night@example.com"]},
}


class Deployed:
    """The stack, and clients of its operators' roles."""

    def __init__(self, cloud: LocalCloud, outputs: dict[str, Any]) -> None:
        self.cloud, self.outputs = cloud, outputs

    def role_arn(self, role: str) -> str:
        account, output = {
            "exporter": ("source", "exporterRoleArn"),
            "importer": ("target", "importerRoleArn"),
            "operator-source": ("source", "operatorRoleArn"),
            "operator-target": ("target", "operatorRoleArn"),
            "switch-source": ("source", "switchRoleArn"),
            "switch-target": ("target", "switchRoleArn"),
        }[role]
        return str(self.outputs[account][output])

    def account(self, role: str) -> LocalAccount:
        return SOURCE if SOURCE.account_id in self.role_arn(role) else TARGET

    def session(self, role: str) -> boto3.session.Session:
        sts = self.cloud.client("sts", self.account(role))
        keys = sts.assume_role(
            RoleArn=self.role_arn(role), RoleSessionName="test", ExternalId=WORD
        )["Credentials"]
        return boto3.session.Session(
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            region_name=self.account(role).region,
        )


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    directory = tmp_path_factory.mktemp("ten")
    stand_in_archive(directory / "archive")
    with LocalCloud(directory / "cloud") as cloud, ThreadPoolExecutor(4) as pool:
        # A role may describe its table: it has to be there.
        for side, account in (("source", SOURCE), ("target", TARGET)):
            dynamodb = cloud.client("dynamodb", account)
            names = [table[side] for table in CONFIG["tables"]]
            list(pool.map(lambda name, client=dynamodb: make_table(client, name), names))
        values = {**CONFIG, "lambdaArchive": str(directory / "archive")}
        yield Deployed(cloud, deploy(cloud, values))


def test_ten_tables_deploy_and_their_outputs_name_all_of_them(deployed: Deployed) -> None:
    named = [(table["sourceTable"], table["targetTable"]) for table in deployed.outputs["tables"]]
    assert named == [(table["source"], table["target"]) for table in CONFIG["tables"]]


@pytest.mark.parametrize("role", table_groups.GRANTS_BY_ROLE)
def test_a_role_has_the_policies_that_the_configuration_foretells(
    role: str, deployed: Deployed
) -> None:
    iam = deployed.cloud.client("iam", deployed.account(role))
    name = deployed.role_arn(role).rpartition("/")[2]
    [inline] = iam.list_role_policies(RoleName=name)["PolicyNames"]
    text = iam.get_role_policy(RoleName=name, PolicyName=inline)["PolicyDocument"]
    assert len(json.dumps(text, separators=(",", ":"))) <= INLINE_POLICY_LIMIT
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    stack = StackConfig.parse(CONFIG)
    counts = table_groups.tables_per_policy(role, stack.operator_scope, stack.tables)
    assert sum(counts) == COUNT
    assert 1 + len(attached) == len(counts)


def test_every_policy_counts_when_a_role_calls(deployed: Deployed) -> None:
    """The tables of the inline policy and those of each managed policy, and no other table."""
    sides = {"exporter": "source", "importer": "target"} | {
        f"operator-{side}": side for side in ("source", "target")
    }
    for role, side in sides.items():
        dynamodb = deployed.session(role).client("dynamodb", endpoint_url=deployed.cloud.endpoint)
        for table in CONFIG["tables"]:
            assert dynamodb.describe_table(TableName=table[side])["Table"]
    lambda_ = deployed.session("importer").client("lambda", endpoint_url=deployed.cloud.endpoint)
    for made in deployed.outputs["tables"]:
        assert lambda_.get_event_source_mapping(UUID=made["mappingUuid"])["UUID"]
    dynamodb = deployed.session("exporter").client("dynamodb", endpoint_url=deployed.cloud.endpoint)
    make_table(deployed.cloud.client("dynamodb", SOURCE), "other")
    with pytest.raises(dynamodb.exceptions.ClientError, match="AccessDenied"):
        dynamodb.describe_table(TableName="other")


def test_the_operators_fill_their_trust_policies(deployed: Deployed) -> None:
    iam = deployed.cloud.client("iam", SOURCE)
    name = deployed.role_arn("exporter").rpartition("/")[2]
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    assert 0.9 < characters(json.dumps(trust)) / TRUST_POLICY_LIMIT <= 1
