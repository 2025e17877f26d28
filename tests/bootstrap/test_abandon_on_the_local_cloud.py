"""`abandon` as a process on the local cloud, and a run from nothing after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, TARGET
from tests.support.bootstrap.local_stack import Stack, Writer, deployed
from tests.support.infra.clouds import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with deployed(tmp_path_factory.mktemp("cloud"), "orders", switch=True) as stack:
        yield stack


def exported(stack: Stack) -> list[str]:
    s3 = stack.cloud.client("s3", TARGET)
    listed = s3.list_objects_v2(Bucket=stack.values["snapshotBucket"]).get("Contents", [])
    return [each["Key"] for each in listed]


def recovery(stack: Stack) -> str:
    dynamodb = stack.cloud.client("dynamodb", SOURCE)
    found = dynamodb.describe_continuous_backups(TableName="orders")
    described = found["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    return str(described["PointInTimeRecoveryStatus"])


def writes(stack: Stack, key: str) -> bool:
    """Tell whether another writer than the replication, an administrator, may write a key."""
    dynamodb = stack.cloud.client("dynamodb", TARGET)
    try:
        dynamodb.put_item(TableName="orders-replica", Item={"pk": {"S": key}})
    except ClientError as error:
        assert "explicit deny in a resource-based policy" in str(error)
        return False
    return True


def policy(stack: Stack) -> list[dict[str, Any]]:
    """The statements of the target's policy."""
    dynamodb = stack.cloud.client("dynamodb", TARGET)
    arn = dynamodb.describe_table(TableName="orders-replica")["Table"]["TableArn"]
    try:
        found = dynamodb.get_resource_policy(ResourceArn=arn)
    except dynamodb.exceptions.PolicyNotFoundException:
        return []
    statements: list[dict[str, Any]] = json.loads(found["Policy"])["Statement"]
    return statements


def add_a_statement(stack: Stack) -> dict[str, Any]:
    """Put a statement of the user's into the target's policy, beside those that are there."""
    dynamodb = stack.cloud.client("dynamodb", TARGET)
    arn = dynamodb.describe_table(TableName="orders-replica")["Table"]["TableArn"]
    users = {
        "Sid": "NoDeletion",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "dynamodb:DeleteTable",
        "Resource": arn,
        "Condition": {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
    }
    document = {"Version": "2012-10-17", "Statement": [users, *policy(stack)]}

    def put() -> bool:
        try:
            dynamodb.put_resource_policy(ResourceArn=arn, Policy=json.dumps(document))
        except ClientError:
            return False  # AWS takes one change in about 15 seconds
        return True

    until(put, "a change of the policy")
    return users


def test_an_abandoned_run_leaves_nothing_and_the_next_one_replicates(stack: Stack) -> None:
    with Writer(stack, "orders"):
        ended = stack.end("run")
        assert ended.returncode == 0, ended.stderr
        first = stack.status("orders")["runId"]
        assert all(key.startswith(f"orders/{first}/") for key in exported(stack))
        until(lambda: not writes(stack, "foreign"), "the Deny for an administrator", 60)
        assert len(policy(stack)) == 1
        users = add_a_statement(stack)

        asked = stack.end("abandon", "--drop-target")
        assert asked.returncode == 2
        assert "--yes" in asked.stderr
        assert stack.status("orders")["state"] == "REPLICATING"

        ended = stack.end("abandon", "--yes")
        assert ended.returncode == 0, ended.stderr
        shown = stack.status("orders")
        assert (shown["state"], shown["mappingEnabled"]) == ("ABANDONED", False)
        assert "bootstrap run" in shown["next"]
        assert exported(stack) == []
        assert recovery(stack) == "ENABLED"
        assert "take the Deny on other writers out of the resource policy" in ended.stdout
        until(lambda: policy(stack) == [users], "the user's policy alone")
        until(lambda: writes(stack, "foreign"), "the end of the Deny", 60)
        ended = stack.end("run")
        assert ended.returncode == 1
        assert "orders-replica exists already" in ended.stderr

        ended = stack.end("abandon", "--yes", "--drop-target", "--disable-source-pitr")
        assert ended.returncode == 0, ended.stderr
        assert "delete the target table orders-replica" in ended.stdout
        target = stack.cloud.client("dynamodb", TARGET)
        assert "orders-replica" not in target.list_tables()["TableNames"]
        assert recovery(stack) == "DISABLED"

        ended = stack.end("run")
        assert ended.returncode == 0, ended.stderr
    item = {"pk": {"S": "explained"}, "v": {"N": "1"}}
    stack.cloud.client("dynamodb", SOURCE).put_item(TableName="orders", Item=item)
    assert stack.end("run").returncode == 0, "what the writer did last is through as well"
    shown = stack.status("orders")
    assert shown["state"] == "REPLICATING"
    assert shown["runId"] != first
    assert stack.items(TARGET, "orders-replica") == stack.items(SOURCE, "orders")
    ended = stack.end("explain", "pk=explained", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["asTheLedgerSays"] is True
    ended = stack.end("explain", "nonsense")
    assert ended.returncode == 2
    assert "The table's key is pk (S)" in ended.stderr
