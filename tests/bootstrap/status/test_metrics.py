"""`status` shows the lag by metric and by probe, and what the stream's retention costs."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import pytest

from bootstrap.aws.usage import usage
from bootstrap.core.facts import Lag, Usage
from bootstrap.status.json_members import as_json
from bootstrap.status.metrics import Retention, retention
from bootstrap.status.page import page
from bootstrap.status.snapshot import StatusSnapshot
from replicator import names
from replicator.stream import StreamFacts
from replicator.watchdog.readings import Probed, Unread
from tests.support.bootstrap.cloudwatch import CloudWatch, metrics
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.killed_process import replicated
from tests.support.bootstrap.status import FixedHealth, look

NOW = 1_767_229_230.0  # 2026-01-01T01:00:30Z
GB = 1e9
DAY = 86_400
OURS = names.dimensions("prod", "orders", "111111111111", "orders-consumer")


def lag_point(minute: int, p50: float, p99: float) -> dict[str, Any]:
    at = datetime.datetime(2026, 1, 1, 0, minute, tzinfo=datetime.UTC)
    return {"Timestamp": at, "ExtendedStatistics": {"p50": p50, "p99": p99}}


def test_the_lag_is_the_newest_that_the_consumer_measured() -> None:
    cloudwatch = CloudWatch(lag_point(50, 120, 900), lag_point(40, 1, 2))
    lag = metrics(cloudwatch).lag(OURS, NOW)
    assert lag == Lag(NOW - 630, 300, 0.12, 0.9)
    asked = cloudwatch.asked[-1]
    assert (asked["Namespace"], asked["MetricName"]) == ("DynamoDBReplication", "ReplicationLag")
    assert {each["Name"]: each["Value"] for each in asked["Dimensions"]} == OURS


def test_the_stream_is_measured_over_a_day_up_to_the_last_five_minutes() -> None:
    cloudwatch = CloudWatch({"Sum": 2 * GB}, {"Sum": GB})
    assert metrics(cloudwatch).stream_bytes("orders-stream", NOW) == 3 * GB
    asked = cloudwatch.asked[-1]
    assert (asked["EndTime"] - asked["StartTime"]).total_seconds() == DAY
    assert asked["EndTime"] == datetime.datetime(2026, 1, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize("code", ["AccessDenied", "Throttling", "ExpiredToken"])
def test_metrics_that_cannot_be_read_end_nothing(code: str) -> None:
    dark = metrics(CloudWatch(code=code))
    found = usage(dark, dark, dimensions=OURS, stream="s", now=NOW)
    assert found == Usage(None, None, frozenset({"ReplicationLag", "IncomingBytes"}))


def test_a_metric_that_cannot_be_read_is_not_taken_for_a_quiet_table(replica: FakeAws) -> None:
    unread = frozenset({"ReplicationLag", "IncomingBytes"})
    text = page(shown(replica, Usage(None, None, unread)))
    assert "the consumer's metric could not be read" in text
    assert "no change applied in the last hour" not in text
    assert "the metric IncomingBytes could not be read" in text


def test_metrics_without_a_datapoint_are_unknown_and_not_zero() -> None:
    idle = metrics(CloudWatch())
    found = usage(idle, idle, dimensions=OURS, stream="s", now=NOW)
    assert found == Usage(None, None)


def costs(hours: int, age: float) -> Retention:
    found = retention(hours, age, 10 * GB)
    assert found is not None
    return found


def test_retention_costs_what_lies_in_the_stream_beyond_its_first_day() -> None:
    # $0.10 a GB-month from the second to the seventh day, $0.023 from then on.
    kept = costs(8760, 3 * DAY)
    assert (kept.gb_per_day, kept.hours) == (10, 8760)
    assert kept.now == pytest.approx(10 * 2 * 0.10)
    assert kept.full == pytest.approx(10 * (6 * 0.10 + 358 * 0.023))
    assert costs(168, 500 * DAY).now == pytest.approx(10 * 6 * 0.10)
    assert costs(24, 5 * DAY).full == 0
    assert costs(8760, DAY / 4).gb_per_day == 40
    assert retention(8760, 899, 10 * GB) is None, "too young to tell"


@pytest.fixture(scope="module")
def replica() -> FakeAws:
    return replicated()


def shown(world: FakeAws, found: Usage, **readings: Any) -> StatusSnapshot:
    at = look(world, FixedHealth()).at
    two_days = StreamFacts("ACTIVE", 8760, 10_240, "USER_PARTITION_KEY", at - 2 * DAY)
    readings = {"stream": two_days, **readings}
    return dataclasses.replace(look(world, FixedHealth(**readings)), usage=found)


MEASURED = Usage(Lag(NOW, 300, 0.12, 0.9), 10 * GB)


def test_status_shows_both_lags_and_the_cost_of_retention(replica: FakeAws) -> None:
    seen = shown(replica, MEASURED)
    text = page(seen)
    assert "p50 0.12 s, p99 0.90 s, by the consumer's metric since 2026-01-01T01:00:30Z" in text
    assert "2.5 s, by the watchdog's latest probes" in text
    assert "keeps changes for 365 d, of which the oldest unapplied one has used 0.0 %" in text
    assert "at 10.00 GB a day it costs $1.00 a month now, $88.34 once it is full" in text
    value = as_json(seen)
    assert (value["lag"]["probeSeconds"], value["lag"]["metricP99Seconds"]) == (2.5, 0.9)
    assert (value["retention"]["hours"], value["retention"]["monthlyUsdFull"]) == (8760, 88.34)


def test_status_says_what_is_not_known_of_lag_and_retention(replica: FakeAws) -> None:
    text = page(shown(replica, Usage(), probed=Probed(None, None, None)))
    assert (
        "no change applied in the last hour, by the consumer's metric; no probes through yet"
        in text
    )
    assert "its cost is unknown: CloudWatch has no IncomingBytes" in text
    young = StreamFacts(
        "ACTIVE", 8760, 10_240, "USER_PARTITION_KEY", look(replica, FixedHealth()).at - 60
    )
    assert "shown once the stream is 15 min old" in page(shown(replica, MEASURED, stream=young))
    dark = shown(replica, MEASURED, stream=Unread("AccessDenied"))
    assert "buffer        could not be read" in page(dark)
    assert as_json(dark)["retention"] is None
    assert as_json(shown(replica, Usage()))["lag"]["metricP50Seconds"] is None


def test_the_metrics_are_asked_as_of_awss_time_and_only_of_a_run(replica: FakeAws) -> None:
    asked: list[float] = []

    def measured(at: float) -> Usage:
        asked.append(at)
        return MEASURED

    assert look(FakeAws(), FixedHealth(), measured).usage == Usage()
    assert asked == []
    seen = look(replica, FixedHealth(), measured)
    assert seen.usage == MEASURED
    assert asked == [seen.at]


def test_an_old_stream_costs_by_what_it_has_kept(replica: FakeAws) -> None:
    at = look(replica, FixedHealth()).at
    stream = StreamFacts("ACTIVE", 8760, 10_240, "USER_PARTITION_KEY", at - 7 * DAY)
    assert "$6.00 a month now" in page(shown(replica, MEASURED, stream=stream))
