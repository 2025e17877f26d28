"""The messages about bulk puts of others, as the program declares them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.cloud import LocalCloud
from infra.monitoring import other_bulk_puts
from infra.resource_names import RULE_NAME_LIMIT, SUFFIX, TARGET_ID_LIMIT
from tests.support.infra.recording_engine import CONFIG, TARGET, Deployment, record, statements

pytestmark = pytest.mark.promise("C7")
IMPORTER = "arn:aws:iam::222222222222:role/replication-importer"
TABLE_ARN = "arn:aws:dynamodb:eu-west-1:222222222222:table/orders-replica"


def deployed(folder: Path, **values: Any) -> Deployment:
    table = {**CONFIG["tables"][0], "load": "bulk"}
    return record({**CONFIG, "tables": [table], **values}, folder / "archive")


def rules(stack: Deployment) -> list[Any]:
    return [each for each in stack.of("EventRule") if each.name.endswith("-bulk-puts")]


def test_a_bulk_loaded_table_has_a_rule_where_it_is_that_tells_the_alarms_topic(
    tmp_path: Path,
) -> None:
    stack = deployed(tmp_path, target={**TARGET, "region": "us-east-1"})
    (rule,) = rules(stack)
    target, topic = stack.one("EventTarget", "bulk-puts-message"), stack.one("Topic", "target")
    assert {rule.side, target.side, topic.side} == {"target"}
    assert {stack.region(each) for each in (rule, target, topic)} == {"us-east-1"}
    assert (target.inputs["rule"], target.inputs["arn"]) == (rule.name, stack.arn(topic))
    assert len(rule.name + SUFFIX) <= RULE_NAME_LIMIT
    assert len(target.name + SUFFIX) <= TARGET_ID_LIMIT
    importer = stack.arn(stack.one("Role", "importer"))
    name = str(CONFIG["tables"][0]["target"])
    arn = f"arn:aws:dynamodb:us-east-1:222222222222:table/{name}"
    wanted = other_bulk_puts.pattern(name, arn, importer)
    assert json.loads(rule.inputs["eventPattern"]) == wanted


def test_the_topic_lets_the_rule_publish_before_it_has_a_target(tmp_path: Path) -> None:
    stack = deployed(tmp_path)
    (policy,) = stack.of("TopicPolicy")
    services = [each["Principal"]["Service"] for each in statements(policy.inputs["policy"])]
    assert services == ["cloudwatch.amazonaws.com", "events.amazonaws.com"]
    assert policy.name in stack.one("EventTarget", "bulk-puts-message").depends_on


def test_a_topic_has_one_policy_for_the_rules_of_switch_roles_and_of_bulk_puts(
    tmp_path: Path,
) -> None:
    stack = deployed(tmp_path, switch=True)
    assert sorted(each.side for each in stack.of("TopicPolicy")) == ["source", "target"]


def test_a_table_that_is_imported_has_no_such_rule(stack: Deployment) -> None:
    assert rules(stack) == []


def test_the_message_is_one_json_string_and_names_nothing_that_no_event_fills(
    tmp_path: Path,
) -> None:
    given = deployed(tmp_path).one("EventTarget", "bulk-puts").inputs["inputTransformer"]
    text = json.loads(given["inputTemplate"])
    for name in given["inputPaths"]:
        assert text.count(f"<{name}>") == 1, name
    assert text.count("<") == len(given["inputPaths"])


# -- the pattern, as the local cloud matches it ----------------------------------------------------


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as started:
        yield started


def by(role: str) -> dict[str, Any]:
    return {"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"arn": role}}}


OTHERS, USER = by("arn:aws:iam::222222222222:role/other"), {"type": "IAMUser"}
INTO, NAMED = {"tableArn": TABLE_ARN}, {"tableArn": "orders-replica"}
ELSEWHERE = {"tableArn": f"{TABLE_ARN}-2"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "who", "parameters", "told"),
    [
        ("StartBulkPutItems", OTHERS, INTO, True),
        ("StartBulkPutItems", OTHERS, NAMED, True),
        ("StartBulkPutItems", USER, INTO, True),
        ("StartBulkPutItems", OTHERS, {}, True),
        ("StartBulkPutItems", by(IMPORTER), INTO, False),
        ("StartBulkPutItems", by(IMPORTER), {}, False),
        ("StartBulkPutItems", OTHERS, ELSEWHERE, False),
        ("DescribeBulkOperation", OTHERS, INTO, False),
    ],
)
def test_the_pattern_takes_the_starts_of_others_into_the_table_alone(
    cloud: LocalCloud, name: str, who: dict[str, Any], parameters: dict[str, Any], told: bool
) -> None:
    event = {
        "id": "1",
        "version": "0",
        "account": "222222222222",
        "region": "eu-west-1",
        "time": "2026-01-01T00:00:00Z",
        "resources": [],
        "source": "aws.dynamodb",
        "detail-type": "AWS API Call via CloudTrail",
        "detail": {"eventName": name, "userIdentity": who, "requestParameters": parameters},
    }
    pattern = json.dumps(other_bulk_puts.pattern("orders-replica", TABLE_ARN, IMPORTER))
    events = cloud.client("events", cloud.target)
    found = events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))
    assert bool(found["Result"]) is told
