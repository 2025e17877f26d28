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


OWN_STREAM = "customers"
"""A table whose buffer is its own stream."""
TABLES = ("orders", OWN_STREAM)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    recording = tmp_path / "calls.jsonl"
    with deployed(
        tmp_path / "cloud", *TABLES, own_stream=[OWN_STREAM], recording=recording, switch=True
    ) as stack:
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


def test_promoted_targets_take_writes_and_nothing_more_of_the_source(
    stack: Stack, tmp_path: Path
) -> None:
    assert stack.end("run").returncode == 0
    until(lambda: not any(put(stack, TARGET, f"{table}-replica", ITEM) for table in TABLES))
    with Writer(stack, "orders"), Writer(stack, OWN_STREAM):
        cut_off(stack)
        log_in(stack)
        shown = promote(stack, tmp_path)
        target = stack.values["target"]
        asked = roles_assumed(tmp_path / "calls.jsonl")
        assert asked == {target["importerRoleArn"], target["switchRoleArn"]}
        there = {}
        for table in TABLES:
            assert put(stack, TARGET, f"{table}-replica", ITEM)
            there[table] = stack.items(TARGET, f"{table}-replica")
            assert put(stack, SOURCE, table, {"pk": {"S": "too late"}, "v": {"N": "9"}})
        wake_up(stack)
        for table in TABLES:
            assert stack.items(TARGET, f"{table}-replica") == there[table]
    for report in shown.values():
        assert report["open"] == []
        assert report["done"] == ["target-deny", "target-open", "mapping", "target-expiry"]
        assert report["lossWindow"]["lanes"] and report["lossWindow"]["newestVersion"]
    assert shown["orders"]["lossWindow"]["newestFullRound"] is not None
    assert shown["orders"]["drain"]["ended"] in ("probes-through", "time-up")
    window = shown[OWN_STREAM]["lossWindow"]
    assert (window["buffer"], window["newestFullRound"]) == ("streams", None)
    assert window["lanesAreWatermarks"] is False
    assert "has no watermark" in (tmp_path / f"{OWN_STREAM}.md").read_text()

    again = stack.end(*promotion("orders", tmp_path))
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["nonce"] == shown["orders"]["nonce"]


def promotion(table: str, directory: Path) -> tuple[str, ...]:
    report = ("--report", str(directory / f"{table}.json"))
    return ("promote", "--table", table, "--yes", "--drain", "3s", "--json", *report)


def promote(stack: Stack, directory: Path) -> dict[str, Any]:
    """Promote both tables at the same time, as that person; return what is shown of each."""
    profiles = ("--source-profile", PERSON, "--target-profile", PERSON)
    running = {table: stack.start(*promotion(table, directory), *profiles) for table in TABLES}
    shown = {}
    for table, process in running.items():
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        shown[table] = json.loads(out)
        assert shown[table] == json.loads((directory / f"{table}.json").read_text())
        page = (directory / f"{table}.md").read_text()
        assert "may still be taking writes" in page
    return shown


def wake_up(stack: Stack) -> None:
    """Another hand switches the mappings on: the consumers are given what the source took."""
    began, cloudwatch = datetime.now(UTC), stack.cloud.client("cloudwatch", TARGET)
    functions = [table["functionName"] for table in stack.values["tables"]]
    lambda_ = stack.cloud.client("lambda", TARGET)
    for name in functions:
        (mapping,) = lambda_.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        assert mapping["State"] in ("Disabling", "Disabled")
        lambda_.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    def invoked(name: str) -> bool:
        answer = cloudwatch.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="Invocations",
            Dimensions=[{"Name": "FunctionName", "Value": name}],
            StartTime=began,
            EndTime=began + timedelta(hours=1),
            Period=3600,
            Statistics=["Sum"],
        )
        return sum(each["Sum"] for each in answer["Datapoints"]) >= 3

    until(lambda: all(map(invoked, functions)))
