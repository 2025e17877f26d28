"""The warnings of an `up` that puts something under another key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from infra.key_changes import warn_of_new_keys
from infra.stack_config import StackConfig
from tests.support.infra.recording_engine import CONFIG

SOURCE_KEY = "arn:aws:kms:eu-west-1:111111111111:key/source"
CONSUMER_KEY = "arn:aws:kms:eu-west-1:222222222222:key/consumer"
LIVING = {"tables": [{"sourceTable": "orders", "streamArn": "arn:of-it"}]}


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", found.append)
    monkeypatch.setattr(pulumi, "get_stack", lambda: "prod")
    return found


def warn(before: Mapping[str, Any], **config: Any) -> None:
    values = {**CONFIG, "tables": [{"source": "orders"}], **config}
    warn_of_new_keys(StackConfig.parse(values), before)


@pytest.mark.promise("C7")
def test_a_topic_that_gets_a_key_names_the_service_without_which_no_alarm_arrives(
    warnings: list[str],
) -> None:
    warn(LIVING, keys={"consumer": CONSUMER_KEY})
    [text] = warnings
    assert f"the alarms' topic of account 222222222222 in eu-west-1: {CONSUMER_KEY}" in text
    assert "unless its policy names cloudwatch.amazonaws.com" in text
    assert "python -m infra.review keys --config Pulumi.prod.yaml" in text
    assert "python -m bootstrap plan --stack prod" in text


@pytest.mark.promise("C7")
def test_a_living_stream_and_the_sources_topic_that_get_a_key_are_both_named(
    warnings: list[str],
) -> None:
    warn(LIVING, keys={"source": SOURCE_KEY})
    [text] = warnings
    assert f"the stream of orders: {SOURCE_KEY}" in text
    assert f"the alarms' topic of account 111111111111 in eu-west-1: {SOURCE_KEY}" in text


def test_an_up_that_changes_no_key_warns_of_nothing(warnings: list[str]) -> None:
    keys = {"source": SOURCE_KEY, "consumer": CONSUMER_KEY}
    same = [LIVING["tables"][0] | {"streamKeyArn": SOURCE_KEY}]
    warn({"tables": same, "keys": keys}, keys=keys)
    warn(LIVING)
    warn(LIVING, keys={"consumer": "create"})
    warn({}, keys=keys)
    assert warnings == []


def test_topics_of_ones_own_get_no_key_and_no_warning(warnings: list[str]) -> None:
    topics = {
        "source": "arn:aws:sns:eu-west-1:111111111111:alarms",
        "consumer": "arn:aws:sns:eu-west-1:222222222222:alarms",
        "target": "arn:aws:sns:eu-west-1:222222222222:alarms",
    }
    warn(LIVING, keys={"consumer": CONSUMER_KEY}, alarms={"topics": topics})
    assert warnings == []


def test_what_an_older_program_left_out_of_the_targets_key_is_named(warnings: list[str]) -> None:
    key = CONSUMER_KEY
    warn({**LIVING, "keptKeyArn": key}, keys={"target": key})
    [text] = warnings
    assert f"the snapshot bucket: {key}, which the exporter of account 111111111111" in text
    assert f"the target table of orders, if it is made anew: {key}" in text
    warnings.clear()
    warn({**LIVING, "keptKeyArn": key, "keys": {"target": key}}, keys={"target": key})
    assert warnings == []
