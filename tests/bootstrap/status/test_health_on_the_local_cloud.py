"""What `status` says while another table streams in, the consumer stands or the watchdog is silent.

On the local cloud, with the real watchdog and consumer.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra.local.cloud import SOURCE, TARGET
from replicator.watchdog.aws_readings import BOOK_KEY
from replicator.watchdog.readings import SILENT_SECONDS
from tests.support.bootstrap.local_stack import ITEMS, Stack, deployed

pytestmark = [pytest.mark.slow, pytest.mark.promise("C3", "C7", "C10")]

OTHER = "invoices"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with deployed(tmp_path_factory.mktemp("cloud"), "orders") as stack:
        ended = stack.end("run", "--table", "orders")
        assert ended.returncode == 0, ended.stderr
        assert "orders → orders-replica: REPLICATING" in ended.stdout
        yield stack


@pytest.fixture
def lane(stack: Stack) -> dict[str, Any]:
    (lane,) = stack.values["tables"]
    return dict(lane)


def until(stack: Stack, said: Callable[[dict[str, Any]], bool], seconds: float) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while not said(shown := stack.status("orders")):
        assert time.monotonic() < deadline, json.dumps(shown, indent=1)
        time.sleep(1)
    return shown


def put(stack: Stack, table: str, keys: list[str]) -> None:
    dynamodb = stack.cloud.client("dynamodb", SOURCE)
    for start in range(0, len(keys), 25):
        requests = [
            {"PutRequest": {"Item": {"pk": {"S": key}, "of": {"S": table}}}}
            for key in keys[start : start + 25]
        ]
        assert not dynamodb.batch_write_item(RequestItems={table: requests})["UnprocessedItems"]


def arrived(stack: Stack, keys: list[str]) -> bool:
    return set(keys) <= stack.items(TARGET, "orders-replica").keys()


def test_another_tables_records_delay_none_of_ours_and_are_named_with_the_command(
    stack: Stack, lane: dict[str, Any]
) -> None:
    dynamodb = stack.cloud.client("dynamodb", SOURCE)
    dynamodb.create_table(
        TableName=OTHER,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    until(stack, lambda shown: bool(shown["state"] == "REPLICATING"), 30)
    dynamodb.enable_kinesis_streaming_destination(TableName=OTHER, StreamArn=lane["streamArn"])

    def active() -> bool:
        found = dynamodb.describe_kinesis_streaming_destination(TableName=OTHER)
        (destination,) = found["KinesisDataStreamDestinations"]
        return bool(destination["DestinationStatus"] == "ACTIVE")

    deadline = time.monotonic() + 30
    while not active():
        assert time.monotonic() < deadline
        time.sleep(0.5)
    ours = [f"beside the others {n}" for n in range(100)]
    # Whole batches of theirs first, then mixed with ours.
    put(stack, OTHER, [f"{n}" for n in range(400)])
    for start in range(0, len(ours), 10):
        put(stack, OTHER, [f"{start}-{n}" for n in range(25)])
        put(stack, "orders", ours[start : start + 10])
    deadline = time.monotonic() + 60
    while not arrived(stack, ours):
        assert time.monotonic() < deadline, "records of another table delay ours"
        time.sleep(0.5)
    items = stack.items(TARGET, "orders-replica")
    assert {item["of"]["S"] for item in items.values() if "of" in item} == {"orders"}
    assert len(items) == ITEMS + len(ours)

    shown = until(stack, lambda shown: bool(shown["state"] == "DEGRADED"), 30)
    assert [each.partition(":")[0] for each in shown["stateBecause"]] == ["ForeignRecords"]
    assert f"from table {OTHER}" in shown["stateBecause"][0]
    assert shown["safeToSwitch"] is False
    assert shown["quarantined"] == 0
    (advice,) = [each["try"] for each in shown["detectors"] if each["try"]]
    command = shlex.split(advice.removeprefix("in the source account: "))
    assert command[:3] == ["aws", "dynamodb", "disable-kinesis-streaming-destination"]
    given = dict(zip(command[3::2], command[4::2], strict=True))
    assert given["--region"] == SOURCE.region
    dynamodb.disable_kinesis_streaming_destination(
        TableName=given["--table-name"], StreamArn=given["--stream-arn"]
    )
    text = stack.end("status", "--table", "orders").stdout
    assert "state         DEGRADED" in text
    assert f"--table-name {OTHER}" in text


def test_a_consumer_that_is_denied_a_permission_is_lag_that_grows(
    stack: Stack, lane: dict[str, Any]
) -> None:
    iam, role = stack.cloud.client("iam", TARGET), consumer_role(stack, lane)
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    granted = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    denied = json.loads(json.dumps(granted).replace("dynamodb:PutItem", "dynamodb:DenyItem"))
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(denied))
    try:
        put(stack, "orders", ["held back"])
        shown = until(stack, lambda shown: bool(shown["lag"]["probeSecondsGrow"]), 120)
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(granted))
    assert shown["state"] == "DEGRADED"
    assert shown["lag"]["probeSeconds"] > 30
    (because,) = [each for each in shown["stateBecause"] if each.startswith("ProbeAge")]
    assert "and growing" in because
    (advice,) = [each["try"] for each in shown["detectors"] if each["metric"] == "ProbeAge"]
    assert f"aws logs tail {lane['logGroup']}" in advice
    assert shown["safeToSwitch"] is False
    until(stack, lambda shown: not shown["lag"]["probeSecondsGrow"], 120)
    assert arrived(stack, ["held back"])


def consumer_role(stack: Stack, lane: dict[str, Any]) -> str:
    function = stack.cloud.client("lambda", TARGET).get_function_configuration(
        FunctionName=lane["functionName"]
    )
    return str(function["Role"].rpartition("/")[2])


def test_a_watchdog_whose_schedule_is_off_is_silent(stack: Stack, lane: dict[str, Any]) -> None:
    events = stack.cloud.client("events", TARGET)
    (rule,) = [each["Name"] for each in events.list_rules()["Rules"] if "watchdog" in each["Name"]]
    events.disable_rule(Name=rule)
    try:
        time.sleep(8)  # the round that runs ends
        back_date(stack, lane["ledgerTable"], SILENT_SECONDS + 60)
        shown = stack.status("orders")
        text = stack.end("status", "--table", "orders").stdout
    finally:
        events.enable_rule(Name=rule)
    silent = [each for each in shown["stateBecause"] if each.startswith("WatchdogRan: silent for")]
    assert len(silent) == 1
    assert shown["safeToSwitch"] is False
    assert f"aws logs tail {lane['watchdogLogGroup']}" in text
    assert "park" not in text


def back_date(stack: Stack, ledger: str, seconds: float) -> None:
    """Move every moment in the watchdog's row into the past."""
    dynamodb = stack.cloud.client("dynamodb", TARGET)
    key = {"k": {"B": BOOK_KEY}}
    book = json.loads(dynamodb.get_item(TableName=ledger, Key=key)["Item"]["book"]["S"])
    assert book["ran"] is not None
    for name in ("ran", "through"):
        book[name] -= seconds
    book["waiting"] = []
    dynamodb.put_item(TableName=ledger, Item={**key, "book": {"S": json.dumps(book)}})
