"""The messages about each use of a switch role, as the program declares them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.cloud import LocalCloud
from infra.monitoring import event_messages, role_use
from infra.resource_names import RULE_NAME_LIMIT, SUFFIX, TARGET_ID_LIMIT
from infra.switch_grants import OLD_SOURCE_ACTIONS, POLICY_ACTIONS
from tests.support.infra.recording_engine import CONFIG, TARGET, Deployment, record, statements

pytestmark = pytest.mark.promise("C8")
ROLE = "arn:aws:iam::111111111111:role/replication-switch-source"


@pytest.fixture(scope="module")
def switching(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return deployed(tmp_path_factory.mktemp("switching"))


def deployed(folder: Path, **values: Any) -> Deployment:
    return record({**CONFIG, "switch": True, **values}, folder / "archive")


def policy_sides(stack: Deployment) -> set[str]:
    return {each.side for each in stack.of("TopicPolicy")}


def test_each_switch_role_has_a_rule_in_its_account_and_its_tables_region(tmp_path: Path) -> None:
    stack = deployed(tmp_path, target={**TARGET, "region": "us-east-1"})
    for side, region in (("source", "eu-west-1"), ("target", "us-east-1")):
        rule = stack.one("EventRule", f"replication-switch-use-{side}")
        target = stack.one("EventTarget", f"replication-switch-use-{side}")
        role, topic = stack.one("Role", f"switch-{side}"), stack.one("Topic", side)
        assert {rule.side, target.side, topic.side} == {side}
        assert {stack.region(each) for each in (rule, target, topic)} == {region}
        assert json.loads(rule.inputs["eventPattern"]) == role_use.pattern(stack.arn(role))
        assert (target.inputs["rule"], target.inputs["arn"]) == (rule.name, stack.arn(topic))
        assert len(rule.name + SUFFIX) <= RULE_NAME_LIMIT
        assert len(target.name + SUFFIX) <= TARGET_ID_LIMIT


def test_the_rules_see_also_what_cloudtrail_counts_as_read_only(switching: Deployment) -> None:
    rules = [rule for rule in switching.of("EventRule") if "switch-use" in rule.name]
    assert [rule.inputs["state"] for rule in rules] == [event_messages.STATE] * 2


def test_every_call_by_which_the_sources_role_changes_a_table_is_told() -> None:
    reads = ("dynamodb:Describe", "dynamodb:Get")
    rights = {*POLICY_ACTIONS, *OLD_SOURCE_ACTIONS}
    changes = {each for each in rights if not each.startswith(reads)}
    assert changes == {f"dynamodb:{name}" for name in role_use.CHANGES}


def test_a_topic_of_the_stack_lets_eventbridge_and_its_accounts_alarms_publish(
    switching: Deployment,
) -> None:
    policy = switching.one("TopicPolicy", "source")
    topic = switching.one("Topic", "source")
    assert policy.inputs["arn"] == switching.arn(topic)
    alarms, rules = statements(policy.inputs["policy"])
    assert alarms["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert alarms["Condition"] == {"StringEquals": {"aws:SourceAccount": "111111111111"}}
    assert alarms["Action"] == ["sns:Publish"]
    assert rules["Principal"] == {"Service": "events.amazonaws.com"}
    assert rules["Action"] == ["sns:Publish"]
    assert policy.name in switching.one("EventTarget", "use-source").depends_on


def test_the_policy_of_a_given_topic_is_left_alone(tmp_path: Path) -> None:
    accounts = {"source": "111111111111", "consumer": "222222222222", "target": "222222222222"}
    given = {place: f"arn:aws:sns:eu-west-1:{of}:{place}" for place, of in accounts.items()}
    stack = deployed(tmp_path, alarms={"topics": given})
    for side in ("source", "target"):
        assert stack.one("EventTarget", f"use-{side}").inputs["arn"] == given[side]
    assert policy_sides(stack) == set()


def test_a_stack_without_switch_roles_has_no_such_rule(stack: Deployment) -> None:
    assert [each.name for each in stack.of("EventRule") if "switch" in each.name] == []
    assert policy_sides(stack) == set()


def test_a_stack_with_the_targets_role_alone_has_its_rule_alone(tmp_path: Path) -> None:
    table = {**CONFIG["tables"][0], "denyOtherWriters": True}
    stack = record({**CONFIG, "tables": [table]}, tmp_path / "archive")
    rules = [each.name for each in stack.of("EventRule") if "switch" in each.name]
    assert rules == ["replication-switch-use-target"]
    assert policy_sides(stack) == {"target"}


def test_the_message_is_one_json_string_and_names_nothing_that_no_event_fills(
    switching: Deployment,
) -> None:
    given = switching.one("EventTarget", "use-source").inputs["inputTransformer"]
    text = json.loads(given["inputTemplate"])
    assert isinstance(text, str)
    for name in given["inputPaths"]:
        assert text.count(f"<{name}>") == 1, name
    assert text.count("<") == len(given["inputPaths"])


# -- the pattern, as the local cloud matches it ----------------------------------------------------


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as started:
        yield started


def matches(cloud: LocalCloud, source: str, detail: dict[str, Any]) -> bool:
    event = {
        "id": "1",
        "version": "0",
        "account": "111111111111",
        "region": "eu-west-1",
        "time": "2026-01-01T00:00:00Z",
        "resources": [],
        "source": source,
        "detail-type": "AWS API Call via CloudTrail",
        "detail": detail,
    }
    events = cloud.client("events", cloud.source)
    pattern = json.dumps(role_use.pattern(ROLE))
    found = events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))
    return bool(found["Result"])


def session_of(role: str) -> dict[str, Any]:
    return {"sessionContext": {"sessionIssuer": {"arn": role}}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "detail", "told"),
    [
        ("aws.sts", {"eventName": "AssumeRole", "requestParameters": {"roleArn": ROLE}}, True),
        ("aws.sts", {"eventName": "AssumeRole", "requestParameters": {"roleArn": "o"}}, False),
        *(
            ("aws.dynamodb", {"eventName": name, "userIdentity": session_of(ROLE)}, True)
            for name in role_use.CHANGES
        ),
        (
            "aws.dynamodb",
            {"eventName": "PutResourcePolicy", "userIdentity": session_of("o")},
            False,
        ),
        ("aws.dynamodb", {"eventName": "DescribeTable", "userIdentity": session_of(ROLE)}, False),
    ],
)
def test_the_pattern_takes_the_roles_sessions_and_changes_alone(
    cloud: LocalCloud, source: str, detail: dict[str, Any], told: bool
) -> None:
    assert matches(cloud, source, detail) is told
