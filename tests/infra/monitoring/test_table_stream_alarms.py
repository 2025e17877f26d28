"""C7: alarms and dashboard of a table whose buffer is its own stream, which keeps 24 hours."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from infra.alarm_config import Thresholds
from infra.local.emulator.alarm_evaluator import ALARM, OK, rule_of
from infra.monitoring import dashboard
from infra.monitoring.catalog import alarms
from infra.monitoring.definition import DESCRIPTION_LIMIT, Alarm, AlarmInputs
from replicator import names
from replicator.buffers import STREAMS
from replicator.watchdog import detectors

pytestmark = pytest.mark.promise("C7")

TABLE = AlarmInputs("prod", "111111111111", "orders", "replica", 30, 120, buffer=STREAMS)
FOUND = {each.name: each for each in alarms(TABLE, Thresholds())}
OF_KINESIS = {each.name for each in alarms(AlarmInputs("p", "1", "o", "r", 30, 120), Thresholds())}
HOUR, MS = 3600.0, 1000.0


def state(alarm: Alarm, values: Sequence[float | None]) -> str:
    rule = rule_of(
        {
            "Namespace": alarm.namespace,
            "ComparisonOperator": alarm.comparison,
            "Threshold": alarm.threshold,
            "EvaluationPeriods": alarm.periods,
            "DatapointsToAlarm": alarm.datapoints,
            "TreatMissingData": alarm.missing,
        }
    )
    return rule.state(list(values)[-rule.looks_back :], OK)


def test_the_alarms_of_a_table_stream_are_those_of_every_buffer_and_its_own() -> None:
    assert set(FOUND) - OF_KINESIS == {
        "table-stream-gone",
        "order-contradicted",
        "iterator-age-critical",
        "unread",
    }
    assert OF_KINESIS - set(FOUND) == {
        "destination-gone",
        "records-skipped",
        "replication-failed",
        "foreign-records",
        "stream-unhealthy",
        "precision-lost",
        "ledger-expiring",
        "probes-late",
        "unreplicated-warning",
        "unreplicated-critical",
        "puts-throttled",
        "stream-write-throttled",
        "stream-read-throttled",
    }


def test_every_loss_detector_of_the_buffer_has_an_alarm() -> None:
    watched = {each.metric for each in FOUND.values()}
    assert {each.metric for each in detectors.of_buffer(STREAMS)} <= watched


@pytest.mark.parametrize("name", FOUND)
def test_no_alarm_stands_on_a_metric_or_speaks_of_the_other_buffer(name: str) -> None:
    alarm = FOUND[name]
    assert alarm.namespace != "AWS/Kinesis"
    assert "DelegatedOperation" not in alarm.dimensions
    text = f"{alarm.fires} {alarm.description}".lower()
    assert "kinesis" not in text
    assert "probe" not in text
    assert "destination is" not in text
    assert len(alarm.description) < DESCRIPTION_LIMIT


@pytest.mark.parametrize(
    ("name", "quiet", "fires", "silence"),
    [
        ("table-stream-gone", 1.0, 0.0, ALARM),
        # A consumer that is behind: Lambda says it.
        ("iterator-age", 0.9 * HOUR * MS, 1.1 * HOUR * MS, OK),
        ("iterator-age-critical", 5.9 * HOUR * MS, 6.1 * HOUR * MS, OK),
        # A pause: Lambda says nothing, and the watchdog's gauges grow.
        ("unread", 0.9 * HOUR, 1.1 * HOUR, ALARM),
        ("retention-used", 5.9 / 24, 6.1 / 24, ALARM),
        ("order-contradicted", 0.0, 1.0, OK),
    ],
)
def test_an_alarm_fires_in_time_and_says_what_silence_means(
    name: str, quiet: float, fires: float, silence: str
) -> None:
    alarm = FOUND[name]
    assert state(alarm, [quiet] * 12) == OK
    assert state(alarm, [quiet] * 9 + [fires] * 3) == ALARM
    assert state(alarm, [None] * 12) == silence


def test_what_becomes_a_loss_within_the_day_is_critical() -> None:
    critical = {"table-stream-gone", "iterator-age-critical", "retention-used"}
    assert all(FOUND[name].critical for name in critical)
    assert not FOUND["unread"].critical


def test_the_thresholds_of_the_stack_file_reach_the_alarms() -> None:
    limits = Thresholds(iterator_age_minutes=30, retention_used_percent=50)
    changed = {each.name: each.threshold for each in alarms(TABLE, limits)}
    assert changed["unread"] == 1800
    assert changed["iterator-age"] == 1800 * MS
    assert changed["retention-used"] == 0.5
    assert changed["iterator-age-critical"] == 12 * HOUR * MS


def test_the_dashboard_shows_the_gauges_of_the_buffer_alone() -> None:
    body = dashboard.body(
        [TABLE], {"orders": []}, elsewhere={}, region="eu-west-1", target_region="eu-west-1"
    )
    text = json.dumps(body)
    shown = {each.metric for each in detectors.ALL if f'"{each.metric}"' in text}
    ours = {each.metric for each in detectors.of_buffer(STREAMS)}
    assert {detectors.TABLE_STREAM.metric, detectors.UNREAD.metric} <= shown <= ours
    assert names.PROBE_LAG not in text
    assert names.ORDER_CONTRADICTED in text
