"""`abandon` as a process on the local cloud, and a run from nothing after it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from infra.local.cloud import SOURCE, TARGET
from tests.support.bootstrap.local_stack import Stack, Writer, deployed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with deployed(tmp_path_factory.mktemp("cloud"), "orders") as stack:
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


def test_an_abandoned_run_leaves_nothing_and_the_next_one_replicates(stack: Stack) -> None:
    with Writer(stack, "orders"):
        ended = stack.end("run")
        assert ended.returncode == 0, ended.stderr
        first = stack.status("orders")["runId"]
        assert all(key.startswith(f"orders/{first}/") for key in exported(stack))

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
