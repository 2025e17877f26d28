"""A consumer or a watchdog that stands: why, as far as AWS says it, and a command that works."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bootstrap.aws.calls import Calls
from bootstrap.aws.usage import Metrics
from bootstrap.core.errors import Side
from bootstrap.core.facts import ConsumerActivity
from bootstrap.status.health_checks import expected_settings
from bootstrap.status.remedies import name_commands
from replicator import names
from replicator.watchdog.detectors import HEARTBEAT, MAPPING, PROBES
from replicator.watchdog.finding import Finding
from replicator.watchdog.judge import judge
from replicator.watchdog.lambda_states import MappingState
from replicator.watchdog.readings import Probed
from tests.support.bootstrap.cloudwatch import CloudWatch
from tests.support.bootstrap.fake_aws import outputs
from tests.support.bootstrap.status import NOW, healthy

pytestmark = pytest.mark.promise("C10")

TABLE = replace(
    outputs().tables[0], log_group="orders-consumer-logs-1", watchdog_log_group="orders-watchdog-2"
)
STUCK = Probed(NOW - 641, NOW - 341, 2.5, "", NOW - 41)
IDLE = ConsumerActivity(900.0, 0.0, 0.0, 0.0, 0.0, 0.0)

OURS = names.dimensions("prod", "orders", "111111111111", "orders-consumer")


def found(detector: Any, activity: ConsumerActivity | None, **changes: Any) -> Finding:
    judged = judge(healthy(**changes), expected_settings(TABLE))
    completed = name_commands(judged, TABLE, None if activity is None else lambda: activity)
    return next(each for each in completed if each.detector is detector)


CASES: list[tuple[str, ConsumerActivity, str, str]] = [
    (
        "failing each invocation",
        replace(IDLE, invocations=34.0, errors=34.0),
        "each of the consumer's 34 runs failed",
        "`aws logs tail orders-consumer-logs-1 --since 15m --region",
    ),
    (
        "denied a permission",
        replace(IDLE, invocations=9.0, retried=900.0),
        "applied no change and gave 900 back",
        "pulumi up --refresh restores it",
    ),
    (
        "throttled to nothing",
        replace(IDLE, throttles=12.0),
        "Lambda throttled the consumer 12 times and ran it 0 times",
        "`aws lambda get-function-concurrency --function-name orders-consumer --region",
    ),
    (
        "not run",
        IDLE,
        "Lambda did not run the consumer",
        f"`aws lambda get-event-source-mapping --uuid {TABLE.mapping_uuid} --region",
    ),
    (
        "behind",
        replace(IDLE, invocations=9.0, applied=4_000.0),
        "the consumer applied 4000 changes",
        "bootstrap park SHARD SEQUENCE",
    ),
    (
        "unreadable",
        replace(IDLE, invocations=None),
        "what the consumer did could not be read",
        "`aws logs tail orders-consumer-logs-1",
    ),
]


@pytest.mark.parametrize(
    ("activity", "why", "remedy"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_outstanding_probes_say_why_the_consumer_stands(
    activity: ConsumerActivity, why: str, remedy: str
) -> None:
    finding = found(PROBES, activity, probed=STUCK)
    assert finding.detail.startswith("at least 341 s, and growing")
    assert why in finding.detail
    assert remedy in finding.first


def test_a_consumer_that_is_off_is_not_asked_what_it_did() -> None:
    def never() -> ConsumerActivity:
        raise AssertionError("asked")

    judged = judge(
        healthy(probed=STUCK, mapping=MappingState("Disabled")), expected_settings(TABLE)
    )
    completed = name_commands(judged, TABLE, never)
    finding = next(each for each in completed if each.detector is PROBES)
    assert "see MappingAsIntended" in finding.first


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (MappingState("Disabled"), "`bootstrap run` switches it on again"),
        (None, "Replace the event source map"),
    ],
)
def test_a_consumer_that_is_off_or_deleted_has_a_remedy_of_its_own(
    state: MappingState | None, words: str
) -> None:
    assert words in found(MAPPING, None, mapping=state).first


def test_healthy_findings_ask_for_nothing() -> None:
    def never() -> ConsumerActivity:
        raise AssertionError("asked")

    judged = judge(healthy(), expected_settings(TABLE))
    assert name_commands(judged, TABLE, never) == judged


def test_a_silent_watchdog_names_its_log() -> None:
    silent = Probed(NOW - 2_000, None, 2.5, "", NOW - 2_000)
    for detector in (HEARTBEAT, PROBES):
        finding = found(detector, IDLE, probed=silent)
        assert "`aws logs tail orders-watchdog-2 --since 15m --region" in finding.first
        assert "park" not in finding.first


def test_outputs_of_an_older_program_name_no_log() -> None:
    older = replace(TABLE, log_group="", watchdog_log_group="")
    judged = [Finding(HEARTBEAT, HEARTBEAT.level, 0.0, "silent")]
    (finding,) = name_commands(judged, older, None)
    assert "aws logs tail" not in finding.first
    assert "in the target account" in finding.first


def test_what_the_consumer_did_is_read_from_its_metrics_and_lambdas() -> None:
    cloudwatch = CloudWatch({"Sum": 3.0}, {"Sum": 4.0})
    metrics = Metrics(Calls(Side.TARGET, "Role importer"), cloudwatch)
    did = metrics.activity("orders-consumer", OURS, NOW)
    assert did == ConsumerActivity(900.0, 7.0, 7.0, 7.0, 7.0, 7.0)
    asked = {(each["Namespace"], each["MetricName"]) for each in cloudwatch.asked if each}
    assert asked == {
        ("AWS/Lambda", "Invocations"),
        ("AWS/Lambda", "Errors"),
        ("AWS/Lambda", "Throttles"),
        ("DynamoDBReplication", "ChangesApplied"),
        ("DynamoDBReplication", "ChangesRetried"),
    }
    dark = Metrics(Calls(Side.TARGET, "Role importer"), CloudWatch(code="AccessDenied"))
    assert dark.activity("f", OURS, NOW).invocations is None
