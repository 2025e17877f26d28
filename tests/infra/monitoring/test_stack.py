"""The watchdog's function, roles and schedule, and the dashboard, as the program declares them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.monitoring import dashboard
from infra.monitoring.definition import AlarmInputs
from infra.stack_config import MOST_TABLES
from infra.watchdog import INTERVAL_MINUTES
from replicator.stream import MAX_RECORD_KIB
from replicator.watchdog.watchdog_config import WatchdogConfig
from tests.support.infra.recording_engine import CONFIG, TARGET, Deployment, record, statements

pytestmark = pytest.mark.promise("C5", "C8")


def grants(stack: Deployment, name: str) -> dict[str, set[str]]:
    """What a role may do: action -> resources."""
    found: dict[str, set[str]] = {}
    for statement in statements(stack.one("RolePolicy", name).inputs["policy"]):
        for action in statement["Action"]:
            found.setdefault(action, set()).update(statement["Resource"])
    return found


def test_the_observer_is_in_the_source_account_and_trusts_the_watchdog_alone(
    stack: Deployment,
) -> None:
    observer = stack.one("Role", "observer")
    [trust] = statements(observer.inputs["assumeRolePolicy"])
    assert observer.side == "source"
    assert trust["Principal"] == {"AWS": [stack.arn(stack.one("Role", "watchdog"))]}
    assert trust["Action"] == ["sts:AssumeRole"]


def test_the_observer_describes_and_probes_and_sees_no_item(stack: Deployment) -> None:
    """C5, C8."""
    table = "arn:aws:dynamodb:eu-west-1:111111111111:table/orders"
    stream = stack.arn(stack.one("Stream"))
    assert grants(stack, "observer") == {
        "dynamodb:DescribeKinesisStreamingDestination": {table},
        "dynamodb:DescribeTable": {table},
        "kinesis:DescribeStreamSummary": {stream},
        "kinesis:ListShards": {stream},
        "kinesis:PutRecords": {stream},
        "kms:GenerateDataKey": {stack.arn(stack.one("Key"))},
        "cloudwatch:GetMetricStatistics": {"*"},
    }


def test_the_watchdog_may_look_and_keep_its_book_and_nothing_else(stack: Deployment) -> None:
    """C8: it switches nothing, reads no object and writes no item of a table's."""
    ledger = stack.arn(stack.one("Table", "ledger"))
    log = f"{stack.arn(stack.one('LogGroup', 'watchdog'))}:*"
    assert grants(stack, "watchdog") == {
        "sts:AssumeRole": {stack.arn(stack.one("Role", "observer"))},
        "lambda:GetEventSourceMapping": {stack.arn(stack.one("EventSourceMapping"))},
        "lambda:GetFunctionConfiguration": {stack.arn(stack.one("Function", "consumer"))},
        "cloudwatch:GetMetricStatistics": {"*"},
        "dynamodb:DescribeTable": {"arn:aws:dynamodb:eu-west-1:222222222222:table/orders-replica"},
        "dynamodb:BatchGetItem": {ledger},
        "dynamodb:GetItem": {ledger},
        "dynamodb:PutItem": {ledger},
        "s3:ListBucket": {
            stack.arn(stack.one("Bucket", "quarantine")),
            stack.arn(stack.one("Bucket", "on-failure")),
        },
        "logs:CreateLogStream": {log},
        "logs:PutLogEvents": {log},
    }


def test_the_function_is_told_everything_that_it_asks_for(tmp_path: Path) -> None:
    table = {"source": "orders", "target": "replica", "parallelizationFactor": 3}
    far = {**TARGET, "region": "us-east-1"}
    changes = {"tables": [table], "target": far, "retentionHours": 48}
    stack = record({**CONFIG, **changes}, tmp_path / "archive")
    function = stack.one("Function", "watchdog")
    assert (function.side, stack.region(function)) == ("target", "eu-west-1")
    assert function.inputs["handler"] == "replicator.watchdog.handler"
    assert function.inputs["timeout"] < INTERVAL_MINUTES * 60, "no two rounds at once"
    config = WatchdogConfig.from_environment(function.inputs["environment"]["variables"])
    assert config == WatchdogConfig(
        stack="test",
        source_table="orders",
        source_account="111111111111",
        source_region="eu-west-1",
        target_table="replica",
        target_region="us-east-1",
        ledger_table="replicate-orders-ledger",
        quarantine_bucket="replicate-orders-quarantine",
        on_failure_bucket="replicate-orders-on-failure",
        stream_name="replicate-orders-buffer-stream",
        stream_arn=stack.arn(stack.one("Stream")),
        mapping_uuid="uuid-of-replicate-orders-consumer-mapping",
        consumer_function="replicate-orders-consumer",
        observer_role=stack.arn(stack.one("Role", "observer")),
        parallelization_factor=3,
        retention_hours=48,
        record_kib=MAX_RECORD_KIB,
    )


def test_it_is_woken_every_five_minutes_by_its_schedule_alone(stack: Deployment) -> None:
    rule, function = stack.one("EventRule"), stack.one("Function", "watchdog")
    assert rule.inputs["scheduleExpression"] == "rate(5 minutes)"
    assert rule.inputs["state"] == "ENABLED", "so that up --refresh switches it on again"
    target, permission = stack.one("EventTarget").inputs, stack.one("Permission").inputs
    assert (target["rule"], target["arn"]) == (rule.name, stack.arn(function))
    assert permission["principal"] == "events.amazonaws.com"
    assert permission["sourceArn"] == stack.arn(rule)
    assert permission["function"] == function.name


# -- the dashboard -------------------------------------------------------------------------------


def widgets(stack: Deployment) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = json.loads(stack.one("Dashboard").inputs["dashboardBody"])[
        "widgets"
    ]
    return shown


def test_the_dashboard_answers_four_questions_from_top_to_bottom(stack: Deployment) -> None:
    texts = [
        (widget["y"], widget["properties"]["markdown"])
        for widget in widgets(stack)
        if widget["type"] == "text" and widget["properties"]["markdown"].startswith("# ")
    ]
    asked = (dashboard.LOST, dashboard.BEHIND, dashboard.FLOW, dashboard.USE)
    assert [text for _, text in sorted(texts)] == [f"# {question}" for question in asked]


def test_there_is_one_dashboard_with_every_table_on_it(tmp_path: Path) -> None:
    tables = [{"source": "orders"}, {"source": "customers"}]
    stack = record({**CONFIG, "tables": tables}, tmp_path / "archive")
    titles = [widget["properties"].get("title", "") for widget in widgets(stack)]
    for name in ("orders", "customers"):
        assert sum(title.startswith(f"{name}: ") for title in titles) == 9


@pytest.mark.slow
def test_the_dashboard_of_a_stack_with_any_legal_name_has_a_name_that_cloudwatch_accepts(
    tmp_path: Path,
) -> None:
    """Pulumi allows dots in a stack's name, CloudWatch none in a dashboard's."""

    def name(stack: str) -> str:
        made = record(CONFIG, tmp_path / "archive", stack=stack).one("Dashboard")
        return str(made.inputs["dashboardName"])

    dotted, hyphened, longest = name("prod.eu"), name("prod-eu"), name("a." * 50)
    assert re.fullmatch(r"dynamodb-replication-prod-eu-111111111111-[0-9a-f]{7}", hyphened)
    assert dotted != hyphened
    for found in (dotted, longest):
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,255}", found)


def test_the_most_tables_of_a_stack_fit_on_a_dashboard() -> None:
    """500 widgets, and 2,500 metrics on all of them ("CloudWatch service quotas")."""
    tables = [
        AlarmInputs("prod", "111111111111", f"orders-{n}", "replica", 30, 120)
        for n in range(MOST_TABLES)
    ]
    arns: dict[str, Sequence[object]] = {each.source_table: ["arn"] * 15 for each in tables}
    page = dashboard.body(
        tables,
        arns,
        elsewhere={"eu-west-1": ["lag"]},
        region="eu-west-1",
        target_region="eu-west-1",
    )
    shown = page["widgets"]
    assert 400 < len(shown) <= 500
    assert sum(len(widget["properties"].get("metrics", ())) for widget in shown) <= 2500


def test_no_widget_lies_on_another_or_beyond_the_edge(stack: Deployment) -> None:
    cells: set[tuple[int, int]] = set()
    for widget in widgets(stack):
        mine = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not mine & cells
        assert max(x for x, _ in mine) < dashboard.WIDTH
        cells |= mine


def test_the_dashboard_shows_every_alarm_of_its_account_and_region(stack: Deployment) -> None:
    [shown] = [w["properties"]["alarms"] for w in widgets(stack) if w["type"] == "alarm"]
    there = [stack.arn(each) for each in stack.of("MetricAlarm") if each.side == "target"]
    assert set(shown) == set(there)


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1"])
def test_an_alarm_that_the_dashboard_cannot_list_is_named_there_with_its_place(
    region: str, tmp_path: Path
) -> None:
    stack = record({**CONFIG, "target": {**TARGET, "region": region}}, tmp_path / "archive")
    [listed] = [w["properties"]["alarms"] for w in widgets(stack) if w["type"] == "alarm"]
    [note] = [
        widget["properties"]["markdown"]
        for widget in widgets(stack)
        if widget["type"] == "text" and not widget["properties"]["markdown"].startswith("# ")
    ]
    named = 0
    for alarm in stack.of("MetricAlarm"):
        account = {"source": "111111111111", "target": "222222222222"}[alarm.side]
        place = f"{alarm.side} account {account}, {stack.region(alarm)}: "
        name = alarm.name.removeprefix("replicate-orders-alarm-")
        lines = [line for line in note.splitlines() if place in line]
        assert (stack.arn(alarm) in listed) is not any(name in line for line in lines), name
        named += stack.arn(alarm) not in listed
    assert named == (6 if region == "eu-west-1" else 8)


def test_throttles_of_a_far_target_are_shown_although_their_alarms_are_not(tmp_path: Path) -> None:
    far = {**TARGET, "region": "us-east-1"}
    stack = record({**CONFIG, "target": far}, tmp_path / "archive")
    shown = {
        series[3]
        for widget in widgets(stack)
        for series in widget["properties"].get("metrics", ())
        if series[1] == "WriteThrottleEvents" and widget["properties"]["region"] == "us-east-1"
    }
    assert shown == {"orders-replica", "replicate-orders-ledger"}


def test_the_writes_are_looked_up_where_the_target_is(tmp_path: Path) -> None:
    far = {**TARGET, "region": "us-east-1"}
    stack = record({**CONFIG, "target": far}, tmp_path / "archive")
    for widget in widgets(stack):
        for series in widget["properties"].get("metrics", ()):
            expected = "us-east-1" if series[0] == "AWS/DynamoDB" else "eu-west-1"
            assert widget["properties"]["region"] == expected
