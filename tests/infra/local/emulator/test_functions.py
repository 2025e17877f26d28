"""Functions: their role, their environment, their time limit, their packages, their logs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import TARGET, LocalCloud
from tests.support.infra.clouds import (
    archive,
    make_function,
    make_table,
    messages,
    policy,
    processes_below,
    until,
)

pytestmark = pytest.mark.slow

LOGS = (["logs:PutLogEvents", "logs:CreateLogStream"], ["arn:aws:logs:*:*:*"])


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("USERS_OWN_SETTING", "secret")
        running = LocalCloud(tmp_path_factory.mktemp("cloud")).start()
    with running:
        yield running


def invoke(cloud: LocalCloud, name: str, payload: Any = None) -> Any:
    answer = cloud.client("lambda", TARGET).invoke(
        FunctionName=name, Payload=json.dumps(payload).encode()
    )
    return json.loads(answer["Payload"].read())


def test_a_function_has_its_roles_permissions_and_no_more(cloud: LocalCloud) -> None:
    arn = make_table(cloud.client("dynamodb", TARGET), "roles")
    code = """
import boto3
def handler(event, context):
    client = boto3.client("dynamodb")
    client.put_item(TableName="roles", Item={"pk": {"S": "a"}})
    try:
        client.scan(TableName="roles")
    except client.exceptions.ClientError as error:
        return [boto3.client("sts").get_caller_identity()["Arn"], error.response["Error"]["Code"]]
"""
    name, _role = make_function(cloud, "roles", code, policy((["dynamodb:PutItem"], [arn]), LOGS))
    caller, refusal = invoke(cloud, name)
    assert caller == f"arn:aws:sts::{TARGET.account_id}:assumed-role/roles-role/roles"
    assert refusal == "AccessDeniedException"


def test_a_function_sees_its_own_environment_only(cloud: LocalCloud) -> None:
    code = "import os\ndef handler(event, context):\n    return dict(os.environ)\n"
    name, _role = make_function(
        cloud, "environment", code, policy(LOGS), Environment={"Variables": {"STACK": "local"}}
    )
    seen = invoke(cloud, name)
    assert seen["STACK"] == "local"
    assert seen["AWS_ENDPOINT_URL"] == cloud.endpoint
    assert seen["AWS_REGION"] == TARGET.region
    assert seen["AWS_LAMBDA_FUNCTION_NAME"] == name
    assert "AWS_CONFIG_FILE" not in seen
    assert "USERS_OWN_SETTING" not in seen
    assert "LOG_LEVEL" not in seen, "the emulator's own: a function would log less than on AWS"


def test_a_function_at_work_ends_with_its_cloud(tmp_path: Path) -> None:
    code = "import time\ndef handler(event, context):\n    time.sleep(100)\n"
    cloud = LocalCloud(tmp_path).start()
    try:
        name, _role = make_function(cloud, "sleeper", code, policy(LOGS), Timeout=120)
        cloud.client("lambda", TARGET).invoke(FunctionName=name, InvocationType="Event")
        until(lambda: processes_below(tmp_path / "tmp"), "the function's process")
        time.sleep(1)  # it has read its event: one that waits for none ends by itself
    finally:
        cloud.stop()
    until(lambda: not processes_below(tmp_path / "tmp"), "the end of its process", seconds=5)


def test_only_lambdas_own_packages_can_be_imported(cloud: LocalCloud) -> None:
    code = """
import importlib
def handler(event, context):
    def found(name):
        try:
            importlib.import_module(name)
        except ImportError:
            return False
        return True
    return {name: found(name) for name in event}
"""
    name, _role = make_function(cloud, "packages", code, policy(LOGS))
    wanted = ["boto3", "botocore", "urllib3", "dateutil", "ministack", "pytest", "pulumi"]
    answer = invoke(cloud, name, wanted)
    assert [package for package in wanted if answer[package]] == wanted[:4]


def test_a_function_that_takes_too_long_is_killed(cloud: LocalCloud) -> None:
    code = """
import os, time
started = time.time()
def handler(event, context):
    if event:
        time.sleep(60)
    return [os.getpid(), context.get_remaining_time_in_millis()]
"""
    name, _role = make_function(cloud, "slow", code, policy(LOGS), Timeout=1)
    first, remaining = invoke(cloud, name)
    assert 0 < remaining <= 1000
    begin = time.monotonic()
    answer = invoke(cloud, name, True)
    assert "Task timed out after 1.00 seconds" in answer["errorMessage"]
    assert time.monotonic() - begin < 3
    assert invoke(cloud, name)[0] != first


def test_an_exception_does_not_cost_the_execution_environment(cloud: LocalCloud) -> None:
    code = """
import os
def handler(event, context):
    if event:
        raise ValueError("no")
    return os.getpid()
"""
    name, _role = make_function(cloud, "raises", code, policy(LOGS))
    first = invoke(cloud, name)
    assert invoke(cloud, name, True)["errorMessage"] == "no"
    assert invoke(cloud, name) == first


def test_a_process_that_dies_is_an_error_and_is_replaced(cloud: LocalCloud) -> None:
    code = """
import os
def handler(event, context):
    if event:
        os._exit(3)
    return os.getpid()
"""
    name, _role = make_function(cloud, "dies", code, policy(LOGS))
    first = invoke(cloud, name)
    assert "exit status 3" in invoke(cloud, name, True)["errorMessage"]
    assert invoke(cloud, name) != first


def test_a_new_environment_runs_the_code_that_is_unpacked_and_new_code_is_seen(
    cloud: LocalCloud,
) -> None:
    code = """
import os
def handler(event, context):
    if event:
        os._exit(3)
    return [os.getpid(), os.path.realpath(__file__), os.path.exists("function.py")]
"""
    name, _role = make_function(cloud, "unpacked", code, policy(LOGS))
    first, folder, beside = invoke(cloud, name)
    assert beside, "a function works in the folder of its code"
    invoke(cloud, name, True)
    second, same, _ = invoke(cloud, name)
    assert second != first
    assert same == folder
    changed = archive("def handler(event, context):\n    return 'new'\n")
    cloud.client("lambda", TARGET).update_function_code(FunctionName=name, ZipFile=changed)
    assert invoke(cloud, name) == "new"


def test_every_line_is_in_the_configured_group_and_pages_reach_them_all(cloud: LocalCloud) -> None:
    code = """
def handler(event, context):
    for n in range(event):
        print(f"line {n}")
    print("last line")
"""
    group = "/replication/lines"
    name, _role = make_function(
        cloud, "lines", code, policy(LOGS), LoggingConfig={"LogGroup": group}
    )
    for _ in range(3):
        invoke(cloud, name, 8000)
    found = messages(cloud, group)
    assert sum(line.startswith("line ") for line in found) == 24_000
    assert found.count("last line") == 3
    assert sum(line.startswith("REPORT RequestId: ") for line in found) == 3
    logs = cloud.client("logs", TARGET)
    first = logs.filter_log_events(logGroupName=group)
    assert len(first["events"]) <= 10_000
    assert first["nextToken"]
    only = logs.filter_log_events(logGroupName=group, filterPattern='"last line"', limit=2)
    assert [event["message"] for event in only["events"]] == ["last line"] * 2


def test_without_permission_to_write_logs_there_are_none(cloud: LocalCloud) -> None:
    code = 'def handler(event, context):\n    print("never heard")\n'
    name, _role = make_function(cloud, "silent", code, policy((["s3:ListBucket"], ["*"])))
    invoke(cloud, name)
    with pytest.raises(ClientError, match="does not exist"):
        messages(cloud, f"/aws/lambda/{name}")


def test_metrics_in_log_lines_become_metrics(cloud: LocalCloud) -> None:
    code = """
import json, time
def handler(event, context):
    print(json.dumps({
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [
            {"Namespace": "Ours", "Dimensions": [["Stack", "Table"]],
             "Metrics": [{"Name": "Lag", "Unit": "Milliseconds"}]}]},
        "Stack": "local", "Table": "orders", "Lag": [5, 7, 9]}))
"""
    name, _role = make_function(cloud, "metrics", code, policy(LOGS))
    invoke(cloud, name)

    def points() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = cloud.client("cloudwatch", TARGET).get_metric_statistics(
            Namespace="Ours",
            MetricName="Lag",
            Dimensions=[{"Name": "Stack", "Value": "local"}, {"Name": "Table", "Value": "orders"}],
            StartTime=time.time() - 60,
            EndTime=time.time() + 60,
            Period=60,
            Statistics=["SampleCount", "Maximum", "Average"],
        )["Datapoints"]
        return found

    points_found = until(points, "the metric")
    assert sum(point["SampleCount"] for point in points_found) == 3
    assert max(point["Maximum"] for point in points_found) == 9
