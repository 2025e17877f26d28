"""C7: every alarm, as the program declares it, is quiet in health and fires for its fault.

The series are datapoints per period of the alarm, oldest first; None is a missing one. A fault
lasts, and the alarm has to last with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.alarm_config import Thresholds, key_of
from infra.local.emulator.alarm_evaluator import ALARM, OK, rule_of
from infra.monitoring.definition import DESCRIPTION_LIMIT
from replicator import names
from replicator.buffers import KINESIS
from replicator.watchdog import detectors
from tests.support.infra.recording_engine import CONFIG, TARGET, Deployment, Registered, record

pytestmark = pytest.mark.promise("C7")

Values = Sequence[float | None]
PREFIX = "replicate-orders-alarm-"
SECOND, HOUR = 1000.0, 3_600_000.0
GONE: Values = [None] * 12


@dataclass(frozen=True)
class Case:
    """What the metric looks like in health, and once something is wrong."""

    healthy: Values
    fault: Values
    within: int
    """Periods from the fault's beginning to the alarm, at most."""
    silence: str
    """The state after a long time without any data."""


ONES: Values = [1.0] * 12
ZEROS: Values = [0.0] * 12

CASES: Mapping[str, Case] = {
    # The watchdog's gauges: a state, so that one value tells; silence is as bad.
    "destination-gone": Case(ONES, ZEROS, 1, ALARM),
    "source-changed": Case(ZEROS, ONES, 1, ALARM),
    "target-changed": Case(ZEROS, ONES, 1, ALARM),
    "records-skipped": Case(ZEROS, [3.0] * 12, 1, ALARM),
    "quarantine-not-empty": Case(ZEROS, ONES, 1, ALARM),
    "on-failure-objects": Case(ZEROS, ONES, 1, ALARM),
    "foreign-records": Case(ZEROS, ONES, 1, ALARM),
    "switch-unfinished": Case(ZEROS, ONES, 1, ALARM),
    # A promoted target's source may be out of reach.
    "source-written": Case(ZEROS, ONES, 1, "as before"),
    "batches-lost": Case(ZEROS, ONES, 1, ALARM),
    "mapping-off": Case(ONES, ZEROS, 1, ALARM),
    "function-unhealthy": Case(ONES, ZEROS, 1, ALARM),
    "stream-unhealthy": Case(ONES, ZEROS, 1, ALARM),
    "precision-lost": Case(ONES, ZEROS, 1, ALARM),
    "retention-used": Case([0.001] * 12, [0.26] * 12, 1, ALARM),
    "probes-late": Case([300.0] * 12, [1800.0 + n * 300 for n in range(12)], 1, OK),
    # The watchdog itself.
    "watchdog-silent": Case(ONES, GONE, 5, ALARM),
    "watchdog-blind": Case([0.0, 1.0, 0.0] * 4, [2.0] * 12, 3, "as before"),
    # Events that last as long as their cause: a batch that fails comes again.
    "delivery-failed": Case(GONE, [1.0] * 12, 1, OK),
    "burst-breaker": Case(GONE, [40.0, None, None, None] * 3, 1, OK),
    "function-errors": Case([0.0, 1.0, 0.0] * 4, [3.0] * 12, 3, OK),
    "function-throttled": Case(ZEROS, [5.0] * 12, 3, OK),
    "function-slow": Case([20 * SECOND] * 12, [112 * SECOND] * 12, 3, OK),
    "writes-throttled": Case([4.0] * 12, [400.0] * 12, 3, OK),
    "replication-lag": Case([0.4 * SECOND, None] * 6, [90 * SECOND] * 12, 5, OK),
    "iterator-age": Case([2 * SECOND] * 12, [1.5 * HOUR] * 12, 3, OK),
    "ledger-expiring": Case([1 * HOUR] * 12, [7.5 * 24 * HOUR] * 12, 3, OK),
    # AWS's own metrics, which are there only while there is something to say.
    "replication-failed": Case(GONE, [1.0, None, None, None] * 3, 1, "as before"),
    "unreplicated-warning": Case([50.0, None] * 6, [1.1 * HOUR] * 12, 1, "as before"),
    "unreplicated-critical": Case([1.1 * HOUR] * 12, [25 * HOUR] * 12, 1, "as before"),
    "puts-throttled": Case([None, None, 20.0, None, None, 0.0] * 2, [20.0] * 12, 3, "as before"),
    "stream-write-throttled": Case([0.0, 7.0, 0.0] * 4, [9.0] * 12, 3, OK),
    "stream-read-throttled": Case([0.0, 7.0, 0.0] * 4, [9.0] * 12, 3, OK),
    "target-throttled": Case([2.0] * 12, [200.0] * 12, 3, "as before"),
    "ledger-throttled": Case([2.0] * 12, [200.0] * 12, 3, "as before"),
}


def definition(stack: Deployment, name: str) -> dict[str, Any]:
    """An alarm of the program in the API's terms."""
    inputs = stack.one("MetricAlarm", f"{PREFIX}{name}").inputs
    return {
        "Namespace": inputs["namespace"],
        "ComparisonOperator": inputs["comparisonOperator"],
        "Threshold": inputs["threshold"],
        "EvaluationPeriods": inputs["evaluationPeriods"],
        "DatapointsToAlarm": inputs["datapointsToAlarm"],
        "TreatMissingData": inputs["treatMissingData"],
    }


def states(stack: Deployment, name: str, history: Values, new: Values, before: str) -> list[str]:
    """The alarm's state after each of the new datapoints."""
    rule, found, seen = rule_of(definition(stack, name)), [], list(history)
    for value in new:
        seen.append(value)
        before = rule.state(seen[-rule.looks_back :], before)
        found.append(before)
    return found


def alarms(stack: Deployment) -> dict[str, Registered]:
    return {r.name.removeprefix(PREFIX): r for r in stack.of("MetricAlarm")}


def test_every_alarm_has_a_case_and_every_case_an_alarm(stack: Deployment) -> None:
    assert set(alarms(stack)) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_an_alarm_is_quiet_in_health(stack: Deployment, name: str) -> None:
    case = CASES[name]
    assert ALARM not in states(stack, name, case.healthy[:5], [*case.healthy, *case.healthy], OK)


@pytest.mark.parametrize("name", CASES)
def test_an_alarm_fires_for_its_fault_and_lasts_as_long(stack: Deployment, name: str) -> None:
    case = CASES[name]
    seen = states(stack, name, case.healthy, case.fault, OK)
    assert ALARM in seen[: case.within], seen
    assert set(seen[case.within :]) == {ALARM}, seen


@pytest.mark.parametrize("name", CASES)
def test_an_alarm_without_data_does_what_was_decided_for_it(stack: Deployment, name: str) -> None:
    case = CASES[name]
    for before in (OK, ALARM):
        end = states(stack, name, case.healthy, GONE, before)[-1]
        quiet = before if not [v for v in case.healthy if v is not None] else OK
        expected = quiet if case.silence == "as before" else case.silence
        assert end == expected, (name, before)


def test_one_missing_round_of_the_watchdog_wakes_nobody(stack: Deployment) -> None:
    for name, case in CASES.items():
        if case.silence == ALARM:
            assert states(stack, name, case.healthy, [None, case.healthy[-1]], OK)[-1] == OK
            assert ALARM not in states(stack, name, case.healthy, [None], OK)


def test_an_alarm_goes_out_once_its_gauge_is_well_again(stack: Deployment) -> None:
    for name, case in CASES.items():
        if case.silence == ALARM:
            assert states(stack, name, case.fault, case.healthy, ALARM)[-1] == OK


def test_every_alarm_tells_what_it_means_and_what_to_do_first(stack: Deployment) -> None:
    for name, alarm in alarms(stack).items():
        description = alarm.inputs["alarmDescription"]
        assert description.startswith(("CRITICAL. ", "WARNING. ")), name
        meaning, _, action = description.partition(" First: ")
        assert len(meaning) > 30, name
        assert len(action) > 20, name
        assert action.endswith("."), name
        assert len(description) < DESCRIPTION_LIMIT, "cut short"


def test_every_alarm_stands_where_its_metric_is_and_tells_somebody_there(tmp_path: Path) -> None:
    far = {**TARGET, "region": "us-east-1"}
    stack = record({**CONFIG, "target": far}, tmp_path / "archive")
    topics = {stack.arn(topic): topic for topic in stack.of("Topic")}
    places = {"source": ("source", "eu-west-1"), "target": ("target", "us-east-1")}
    for alarm in stack.of("MetricAlarm"):
        [topic] = alarm.inputs["alarmActions"]
        assert alarm.inputs["okActions"] == [topic]
        here = (alarm.side, stack.region(alarm))
        assert (topics[topic].side, stack.region(topics[topic])) == here
        of = alarm.inputs["dimensions"]
        if alarm.inputs["namespace"] in ("AWS/Lambda", names.NAMESPACE):
            assert here == ("target", "eu-west-1"), alarm.name
        elif of.get("StreamName") or of.get("TableName") == "orders":
            assert here == places["source"], alarm.name
        else:
            assert here == places["target"], alarm.name


def test_places_that_are_one_share_a_topic(stack: Deployment) -> None:
    assert {t.name for t in stack.of("Topic")} == {
        "replication-alarms-source",
        "replication-alarms-consumer",
    }


def test_everybody_named_is_subscribed_in_every_place(tmp_path: Path) -> None:
    emails = ["a@example.com", "b@example.com"]
    stack = record({**CONFIG, "alarms": {"emails": emails}}, tmp_path / "archive")
    subscribed = {(s.inputs["topic"], s.inputs["endpoint"]) for s in stack.of("TopicSubscription")}
    assert subscribed == {(stack.arn(t), address) for t in stack.of("Topic") for address in emails}
    assert {s.inputs["protocol"] for s in stack.of("TopicSubscription")} == {"email"}


def test_topics_of_ones_own_are_used_and_none_is_made(tmp_path: Path) -> None:
    own = {
        "source": "arn:aws:sns:eu-west-1:111111111111:ops",
        "consumer": "arn:aws:sns:eu-west-1:222222222222:ops",
        "target": "arn:aws:sns:eu-west-1:222222222222:data",
    }
    stack = record({**CONFIG, "alarms": {"topics": own}}, tmp_path / "archive")
    assert not stack.of("Topic")
    assert {a for alarm in stack.of("MetricAlarm") for a in alarm.inputs["alarmActions"]} == set(
        own.values()
    )


def test_a_threshold_of_the_stack_file_reaches_its_alarm(stack: Deployment, tmp_path: Path) -> None:
    doubled = {key_of(name): value * 2 + 1 for name, value in vars(Thresholds()).items()}
    doubled |= {"durationUsedPercent": 50}
    changed = record({**CONFIG, "alarms": {"thresholds": doubled}}, tmp_path / "archive")
    before, after = alarms(stack), alarms(changed)
    moved = {n for n in before if before[n].inputs["threshold"] != after[n].inputs["threshold"]}
    fixed = {name for name, case in CASES.items() if case.healthy in (ONES, ZEROS)}
    counted = {"watchdog-blind", "burst-breaker", "replication-failed", "delivery-failed"}
    assert moved | fixed >= set(CASES) - counted
    assert len(moved) >= len(vars(Thresholds()))


def test_the_alarms_stand_on_metrics_that_somebody_emits(stack: Deployment) -> None:
    emitted = {each.metric for each in detectors.ALL} | {names.WATCHDOG_RAN, names.READINGS_MISSED}
    emitted |= {names.REPLICATION_LAG, names.TARGET_THROTTLES, names.QUARANTINE_REFUSED}
    for alarm in stack.of("MetricAlarm"):
        if alarm.inputs["namespace"] == names.NAMESPACE:
            assert alarm.inputs["metricName"] in emitted
            assert alarm.inputs["dimensions"] == {
                "Stack": "test",
                "Table": "orders",
                "SourceAccount": "111111111111",
                "Function": "replicate-orders-consumer",
            }


def test_every_loss_detector_has_an_alarm(stack: Deployment) -> None:
    watched = {alarm.inputs["metricName"] for alarm in stack.of("MetricAlarm")}
    # In the source account there are two alarms on the metric that this gauge is a copy of.
    ours = {each.metric for each in detectors.of_buffer(KINESIS)}
    assert ours - watched == {detectors.UNREPLICATED.metric}
