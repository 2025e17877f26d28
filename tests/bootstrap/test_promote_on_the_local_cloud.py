"""`promote` as a process on the local cloud: writers on the source, and no way to that account."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, TARGET
from tests.support.bootstrap.local_stack import Stack, Writer, deployed

pytestmark = [pytest.mark.slow, pytest.mark.promise("C9")]

ITEM = {"pk": {"S": "of the application"}, "v": {"N": "1"}}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("cloud")
    with deployed(directory, "orders", switch=True) as stack:
        yield stack


def put(stack: Stack, account: Any, table: str, item: dict[str, Any]) -> bool:
    """Write as an application; return whether the table took it."""
    try:
        stack.cloud.client("dynamodb", account).put_item(TableName=table, Item=item)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDeniedException"
        return False
    return True


def until(look: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def cut_off(stack: Stack) -> None:
    """The source account: no role of it can be assumed any more."""
    iam = stack.cloud.client("iam", SOURCE)
    deny = {"Effect": "Deny", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    side = stack.values["source"]
    for member in ("exporterRoleArn", "operatorRoleArn", "switchRoleArn"):
        if side.get(member):
            name = side[member].rpartition("/")[2]
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=document)
    sts = stack.cloud.client("sts", SOURCE)
    with pytest.raises(ClientError, match="AccessDenied"):
        sts.assume_role(RoleArn=side["exporterRoleArn"], RoleSessionName="anna")


def test_a_promoted_target_takes_writes_and_nothing_more_of_the_source(
    stack: Stack, tmp_path: Path
) -> None:
    assert stack.end("run").returncode == 0
    until(lambda: not put(stack, TARGET, "orders-replica", ITEM))
    with Writer(stack, "orders"):
        cut_off(stack)
        report = tmp_path / "report.json"
        ended = stack.end(
            *("promote", "--yes", "--drain", "3s", "--json", "--report", str(report)),
            *("--source-profile", "of no account"),
        )
        assert ended.returncode == 0, ended.stderr
        shown = json.loads(ended.stdout)
        assert shown == json.loads(report.read_text())
        assert shown["open"] == []
        assert shown["done"] == ["target-deny", "target-open", "mapping", "target-expiry"]
        window = shown["lossWindow"]
        assert window["lanes"] and window["newestFullRound"] is not None
        assert shown["drain"]["ended"] in ("probes-through", "time-up")
        assert "may still be taking writes" in report.with_suffix(".md").read_text()

        assert put(stack, TARGET, "orders-replica", ITEM)
        there = stack.items(TARGET, "orders-replica")
        assert put(stack, SOURCE, "orders", {"pk": {"S": "too late"}, "v": {"N": "9"}})
        wake_up(stack)
        assert stack.items(TARGET, "orders-replica") == there
    again = stack.end("promote", "--yes", "--json", "--report", str(report))
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["nonce"] == shown["nonce"]


def wake_up(stack: Stack) -> None:
    """The mapping is switched on by another hand: the consumer is given what the source took."""
    table, began = stack.values["tables"][0], datetime.now(UTC)
    lambda_ = stack.cloud.client("lambda", TARGET)
    lambda_.update_event_source_mapping(UUID=table["mappingUuid"], Enabled=True)
    cloudwatch = stack.cloud.client("cloudwatch", TARGET)

    def invoked() -> bool:
        answer = cloudwatch.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="Invocations",
            Dimensions=[{"Name": "FunctionName", "Value": table["functionName"]}],
            StartTime=began,
            EndTime=began + timedelta(hours=1),
            Period=3600,
            Statistics=["Sum"],
        )
        return sum(each["Sum"] for each in answer["Datapoints"]) >= 3

    until(invoked)
