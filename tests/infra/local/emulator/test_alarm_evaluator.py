"""The evaluation of alarms: all examples of CloudWatch's user guide."""

from __future__ import annotations

from typing import Any

import pytest

from infra.local.emulator.alarm_evaluator import ALARM, OK, UNKNOWN, AlarmRule, rule_of

KEEPS = "keeps"
# User guide, "How alarm state is evaluated when data is missing": three of three datapoints.
# Datapoints -> the state when missing data is: missing, ignore, breaching, notBreaching.
ALL_OF_THREE = {
    "0 - X - X": (OK, OK, OK, OK),
    "0 - - - -": (OK, OK, OK, OK),
    "- - - - -": (UNKNOWN, KEEPS, ALARM, OK),
    "0 X X - X": (ALARM, ALARM, ALARM, ALARM),
    "- - X - -": (ALARM, KEEPS, ALARM, OK),
}
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")


def datapoints(text: str) -> list[float | None]:
    return [{"0": 0.0, "X": 1.0, "-": None}[each] for each in text.split()]


@pytest.mark.parametrize("before", [OK, ALARM, UNKNOWN])
@pytest.mark.parametrize("treatment", TREATMENTS)
@pytest.mark.parametrize("shown", ALL_OF_THREE)
def test_an_alarm_of_three_in_three_goes_where_the_user_guide_says(
    shown: str, treatment: str, before: str
) -> None:
    rule = AlarmRule("GreaterThanThreshold", 0, periods=3, datapoints=3, missing=treatment)
    expected = ALL_OF_THREE[shown][TREATMENTS.index(treatment)]
    assert rule.state(datapoints(shown), before) == (before if expected == KEEPS else expected)


@pytest.mark.parametrize(
    ("shown", "state"),
    [("0 0 0 X 0", ALARM), ("0 0 X 0 0", ALARM), ("X 0 0 0 0", OK), ("X X - - -", ALARM)],
)
def test_one_bad_datapoint_in_three_is_enough_where_one_is_asked_for(
    shown: str, state: str
) -> None:
    rule = AlarmRule("GreaterThanThreshold", 0, periods=3, datapoints=1, missing="notBreaching")
    assert rule.state(datapoints(shown), OK) == state


def definition(namespace: str) -> dict[str, Any]:
    return {
        "Namespace": namespace,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 0,
        "EvaluationPeriods": 1,
        "TreatMissingData": "notBreaching",
    }


def test_an_alarm_on_a_metric_of_dynamodb_keeps_its_state_while_data_is_missing() -> None:
    assert rule_of(definition("AWS/DynamoDB")).state([None] * 3, ALARM) == ALARM
    assert rule_of(definition("AWS/Lambda")).state([None] * 3, ALARM) == OK
