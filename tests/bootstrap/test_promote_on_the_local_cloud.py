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


PERSON = "on-call"
"""Has called nothing before, so the record of distinct calls has each of its own."""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    recording = tmp_path / "calls.jsonl"
    with deployed(tmp_path / "cloud", "orders", recording=recording, switch=True) as stack:
        yield stack


def log_in(stack: Stack) -> None:
    """Log in a person of the target account who may assume any role, as a profile of that name."""
    iam, sts = stack.cloud.client("iam", TARGET), stack.cloud.client("sts", TARGET)
    root = {"AWS": f"arn:aws:iam::{TARGET.account_id}:root"}
    for statement in (
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": root},
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"},
    ):
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        if "Principal" in statement:
            role = iam.create_role(RoleName=PERSON, AssumeRolePolicyDocument=document)["Role"]
        else:
            iam.put_role_policy(RoleName=PERSON, PolicyName="assume", PolicyDocument=document)
    keys = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="anna")["Credentials"]
    with Path(stack.cloud.environment()["AWS_SHARED_CREDENTIALS_FILE"]).open("a") as file:
        file.write(
            f"[{PERSON}]\naws_access_key_id = {keys['AccessKeyId']}\n"
            f"aws_secret_access_key = {keys['SecretAccessKey']}\n"
            f"aws_session_token = {keys['SessionToken']}\n"
        )


def roles_assumed(recording: Path) -> set[str]:
    """The roles that the person has asked for, whatever the answer."""
    calls = [json.loads(line) for line in recording.read_text().splitlines()]
    return {
        call["resource"]
        for call in calls
        if call["action"] == "sts:AssumeRole" and f":assumed-role/{PERSON}/" in call["caller"]
    }


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
        log_in(stack)
        report = tmp_path / "report.json"
        ended = stack.end(
            *("promote", "--yes", "--drain", "3s", "--json", "--report", str(report)),
            *("--source-profile", PERSON, "--target-profile", PERSON),
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

        target = stack.values["target"]
        asked = roles_assumed(tmp_path / "calls.jsonl")
        assert asked == {target["importerRoleArn"], target["switchRoleArn"]}
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
