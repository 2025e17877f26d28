"""The watchdog where the buffer is the table's own stream: lost, waiting, and unknown changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from replicator import names
from replicator.buffers import KINESIS, STREAMS
from replicator.settings import ConfigurationError
from replicator.watchdog import detectors
from replicator.watchdog.backlog import (
    RECENT_SECONDS,
    SETTLED_SECONDS,
    Known,
    Reception,
    backlog_of,
)
from replicator.watchdog.detectors import Level
from replicator.watchdog.judge import judge
from replicator.watchdog.readings import Outage
from replicator.watchdog.watchdog_config import WatchdogConfig
from tests.support.replicator.table_stream_watchdog import (
    ANOTHER,
    BEGIN,
    HOUR,
    OURS,
    findings,
    settle,
    switch_stream,
)
from tests.support.replicator.watchdog_harness import TABLE_STREAM_CONFIG, WatchdogHarness

pytestmark = pytest.mark.promise("C7", "C10")


@pytest.fixture
def world() -> WatchdogHarness:
    """A table that replicates, an hour after its snapshot, and takes no writes."""
    made = WatchdogHarness(config=TABLE_STREAM_CONFIG)
    made.clock.advance(BEGIN + HOUR - made.clock())
    switch_stream(made)
    settle(made)
    made.round()
    return made


def wait(world: WatchdogHarness, seconds: float) -> dict[str, float]:
    """Let rounds of the watchdog pass; return the gauges of the last."""
    gauges = {}
    for _ in range(round(seconds / 300)):
        world.clock.advance(300)
        gauges = world.round()
    return gauges


def test_a_healthy_table_has_the_gauges_of_its_own_buffer_and_none_of_kinesis(
    world: WatchdogHarness,
) -> None:
    gauges = wait(world, 300)
    assert gauges["TableStreamOurs"] == 1.0
    assert gauges["UnreadAge"] == 0.0
    assert gauges["BufferUsed"] == 0.0
    assert gauges["ReadingsMissed"] == 0.0
    assert gauges["MappingEnabled"] == gauges["MappingAsIntended"] == 1.0
    others = {each.metric for each in detectors.ALL} - {
        each.metric for each in detectors.of_buffer(STREAMS)
    }
    assert not gauges.keys() & (others | {names.PROBE_LAG})
    assert world.probes == [], "nothing is put into a table's stream"
    assert world.logger.lines == []


def test_every_detector_of_the_buffer_is_judged_once_in_the_order_of_the_worst_first(
    world: WatchdogHarness,
) -> None:
    found = judge(world.watchdog.round(lambda: 240.0), world.config.expected)
    assert [each.detector for each in found] == list(detectors.of_buffer(STREAMS))


def test_each_detector_is_of_one_buffer_at_least() -> None:
    both = {*detectors.of_buffer(KINESIS), *detectors.of_buffer(STREAMS)}
    assert both == set(detectors.ALL)


def test_no_text_of_a_table_stream_names_the_other_buffer(world: WatchdogHarness) -> None:
    switch_stream(world, ANOTHER)
    world.mapping = None
    world.source_id = "another"
    for each in findings(world).values():
        text = f"{each.detail} {each.first} {each.detector.means}".lower()
        for word in ("kinesis", "destination is", "probe", "shard sequence", "adopted"):
            assert word not in text, each.detector.metric


# -- before the bootstrap has made stream and mapping ----------------------------------------------


def test_nothing_is_wrong_before_the_bootstrap_has_made_stream_and_mapping() -> None:
    world = WatchdogHarness(config=TABLE_STREAM_CONFIG)
    world.settle()
    found = findings(world)
    assert {each.level for each in found.values()} == {Level.FINE}
    gauges = world.round()
    assert gauges["MappingAsIntended"] == gauges["TableStreamOurs"] == 1.0
    assert gauges["UnreadAge"] == 0.0


@pytest.mark.parametrize("gone", ["stream", "mapping"])
def test_a_settings_row_that_lost_a_name_is_a_fault_once_the_consumer_is_on(gone: str) -> None:
    world = WatchdogHarness(config=TABLE_STREAM_CONFIG)
    switch_stream(world)
    kept = {"stream": OURS, "mapping": "a-mapping"}
    del kept[gone]
    world.settle(consume=True, floor=int(BEGIN * 1e6), **kept)
    metric = {"stream": "TableStreamOurs", "mapping": "MappingAsIntended"}[gone]
    assert findings(world)[metric].value == 0.0


# -- a stream that is off, or another one ----------------------------------------------------------


def off(world: WatchdogHarness) -> None:
    switch_stream(world, on=False)


def replaced(world: WatchdogHarness) -> None:
    switch_stream(world, ANOTHER)


def replaced_and_off(world: WatchdogHarness) -> None:
    switch_stream(world, ANOTHER, on=False)


def never(world: WatchdogHarness) -> None:
    world.source_state = {"TableStatus": "ACTIVE"}


@pytest.mark.parametrize("change", [off, replaced, replaced_and_off, never])
def test_a_stream_that_the_consumer_does_not_read_is_a_loss(
    world: WatchdogHarness, change: Callable[[WatchdogHarness], None]
) -> None:
    seen = world.clock()
    change(world)
    gauges = wait(world, 300)
    assert gauges["TableStreamOurs"] == 0.0
    assert findings(world)["TableStreamOurs"].level is Level.LOSS
    assert world.book().outage == Outage(seen - SETTLED_SECONDS)


def test_a_gap_keeps_its_begin_and_its_end_after_the_consumer_reads_the_new_stream(
    world: WatchdogHarness,
) -> None:
    seen = world.clock()
    replaced(world)
    wait(world, 600)
    settle(world, stream=ANOTHER, mapping="another-mapping")
    gauges = wait(world, 300)
    over = world.clock()
    assert gauges["TableStreamOurs"] == 1.0, "the gauge shows the present alone"
    wait(world, 600)
    assert world.book().outage == Outage(seen - SETTLED_SECONDS, over)
    found = findings(world)["TableStreamOurs"]
    assert found.level is Level.LOSS
    assert "between" in found.detail


def test_a_stream_that_was_replaced_between_two_rounds_leaves_a_gap(world: WatchdogHarness) -> None:
    seen = world.clock()
    replaced(world)
    settle(world, stream=ANOTHER, mapping="another-mapping")
    wait(world, 300)
    assert world.book().outage == Outage(seen - SETTLED_SECONDS, world.clock())


def test_a_table_that_cannot_be_read_says_nothing_of_its_stream(world: WatchdogHarness) -> None:
    world.broken.add("DescribeTable")
    gauges = wait(world, 300)
    assert "TableStreamOurs" not in gauges, "missing data fires the alarm"
    assert findings(world)["TableStreamOurs"].level is Level.UNKNOWN
    assert world.book().outage is None


# -- what waits ------------------------------------------------------------------------------------


def test_a_consumer_that_receives_young_changes_follows(world: WatchdogHarness) -> None:
    world.clock.advance(600)
    now = world.clock()
    world.consumed = [(now - 480, 5.0)]
    world.receive(now - 480, 0.5)
    assert findings(world)["UnreadAge"].level is Level.FINE
    assert world.round()["UnreadAge"] == 0.5


def test_a_consumer_that_is_behind_shows_the_hours_that_are_left(world: WatchdogHarness) -> None:
    world.clock.advance(12 * HOUR)
    now = world.clock()
    world.consumed = [(now - 7 * HOUR, 5.0)]
    world.ages = [(now - 120, 7 * HOUR)]
    found = findings(world)
    assert found["UnreadAge"].level is Level.WARNING
    assert found["UnreadAge"].value == pytest.approx(7 * HOUR + 120, abs=60)
    assert found["BufferUsed"].level is Level.WARNING, "a quarter of 24 hours"
    assert "forgets it from" in found["UnreadAge"].detail


@pytest.mark.parametrize("metric", ["consumed", "expired"])
def test_a_pause_counts_from_the_first_change_that_waits(
    world: WatchdogHarness, metric: str
) -> None:
    settle(world, paused=True)
    world.mapping = "Disabled"
    assert wait(world, 2 * HOUR)["UnreadAge"] == 0.0, "nothing was written"
    written = world.clock()
    setattr(world, metric, [(written, 1.0)])
    assert wait(world, HOUR / 2)["UnreadAge"] == pytest.approx(HOUR / 2, abs=60)
    assert findings(world)["UnreadAge"].level is Level.FINE
    assert wait(world, HOUR)["UnreadAge"] == pytest.approx(1.5 * HOUR, abs=60)
    assert findings(world)["UnreadAge"].level is Level.WARNING


def test_changes_that_waited_for_a_day_are_lost_and_the_loss_outlives_the_pause(
    world: WatchdogHarness,
) -> None:
    settle(world, paused=True)
    world.mapping = "Disabled"
    written = world.clock() // 60 * 60
    world.consumed = [(world.clock(), 1.0)]
    wait(world, 24 * HOUR - 300)
    assert world.book().overrun is None
    wait(world, 900)
    assert world.book().overrun is not None
    assert findings(world)["BufferUsed"].level is Level.LOSS
    settle(world, through=int(world.clock() * 1e6))
    world.mapping = "Enabled"
    world.clock.advance(300)
    world.receive(world.clock() - 60, 1.0)
    world.round()
    found = findings(world)["BufferUsed"]
    assert found.level is Level.LOSS
    assert found.value is not None and found.value < 0.01, "the gauge shows the present alone"
    over = world.book().overrun
    assert over is not None and over.end is not None
    assert written - 60 <= over.begin <= written + 60


def test_writes_that_may_have_changed_nothing_are_in_doubt_until_they_may_be_forgotten(
    world: WatchdogHarness,
) -> None:
    world.clock.advance(300)
    world.consumed = [(world.clock(), 5.0)]
    wait(world, 600)
    found = findings(world)
    assert found["UnreadAge"].level is Level.UNKNOWN
    assert (found["UnreadAge"].value or 0) > 500, "its alarm fires in time"
    assert found["BufferUsed"].level is Level.FINE
    wait(world, 23 * HOUR)
    assert world.book().overrun is None
    wait(world, 2 * HOUR)
    assert world.book().overrun is not None


def test_a_mapping_whose_batches_fail_to_be_read_leaves_no_doubt(world: WatchdogHarness) -> None:
    world.mapping_settings["LastProcessingResult"] = "PROBLEM: Access denied"
    world.consumed = [(world.clock() + 60, 5.0)]
    wait(world, 900)
    assert findings(world)["UnreadAge"].level is Level.WARNING


@pytest.mark.parametrize("broken", ["GetMetricStatistics", "AssumeRole"])
def test_metrics_that_cannot_be_read_are_unknown(world: WatchdogHarness, broken: str) -> None:
    world.broken.add(broken)
    another = world.another_container().round(lambda: 240.0)
    found = {each.detector.metric: each for each in judge(another, world.config.expected)}
    assert found["UnreadAge"].level is found["BufferUsed"].level is Level.UNKNOWN
    assert found["UnreadAge"].value is None, "missing data fires the alarm"


def test_a_watchdog_that_was_away_for_days_counts_a_pause_from_its_last_round(
    world: WatchdogHarness,
) -> None:
    settle(world, paused=True)
    world.mapping = "Disabled"
    wait(world, 600)
    last = world.clock()
    world.consumed = [(last + 60, 1.0)]
    world.clock.advance(48 * HOUR)
    world.round()
    over = world.book().overrun
    assert over is not None and over.begin <= last


# -- the rule itself -------------------------------------------------------------------------------

AT = 100_000 * 60.0


def seen(
    *, ages: tuple[tuple[float, float], ...] = (), writes: tuple[float, ...] = ()
) -> Reception:
    """What was handed over ended at once."""
    return Reception(AT - 3600, ages, [(minute, 1.0) for minute in writes], ended=ages)


KNOWN = Known(AT - 3600, AT - 3600)


def test_old_values_of_a_lag_are_over_while_nothing_else_was_written() -> None:
    old = AT - RECENT_SECONDS - 60
    written = old - 6_000
    found = backlog_of(KNOWN, seen(ages=((old, 5_000.0),), writes=(written,)), AT)
    assert found.since is found.doubtful is found.lag is None


def test_the_worst_of_the_recent_values_counts() -> None:
    found = backlog_of(KNOWN, seen(ages=((AT - 540, 2_000.0), (AT - 60, 0.1))), AT)
    assert found.since == AT - 540 - 2_000.0


def test_values_older_than_what_is_known_do_not_count() -> None:
    known = replace(KNOWN, since=AT - 100)
    assert backlog_of(known, seen(ages=((AT - 120, 5_000.0),)), AT).since is None


def test_what_was_known_to_wait_goes_on_waiting_while_nothing_is_received() -> None:
    known = replace(KNOWN, held=AT - 3000, receiving=False, off=True)
    assert backlog_of(known, seen(), AT).since == AT - 3000
    again = backlog_of(replace(known, receiving=True, off=False), seen(), AT)
    assert (again.since, again.doubtful) == (None, AT - 3000)


def test_everything_before_the_first_write_that_waits_is_known() -> None:
    found = backlog_of(
        replace(KNOWN, receiving=False, off=True), seen(writes=(AT - 1200, AT - 600)), AT
    )
    assert (found.since, found.known_to) == (AT - 1200, AT - 1200)


def test_a_write_of_the_last_minutes_is_not_judged_yet() -> None:
    found = backlog_of(KNOWN, seen(writes=(AT - 120,)), AT)
    assert found.doubtful is None
    assert found.known_to == AT - 300


# -- the environment -------------------------------------------------------------------------------

ENVIRONMENT = {
    "BUFFER": "streams",
    "STACK": "test",
    "SOURCE_TABLE": "orders",
    "SOURCE_ACCOUNT": "111111111111",
    "SOURCE_REGION": "eu-west-1",
    "TARGET_TABLE": "orders-replica",
    "TARGET_REGION": "eu-west-1",
    "LEDGER_TABLE": "ledger",
    "QUARANTINE_BUCKET": "quarantine",
    "ON_FAILURE_BUCKET": "on-failure",
    "CONSUMER_FUNCTION": "consumer",
    "OBSERVER_ROLE_ARN": "arn:aws:iam::111111111111:role/observer",
    "RETENTION_HOURS": "24",
}


def test_the_environment_names_neither_stream_nor_mapping() -> None:
    assert WatchdogConfig.from_environment(ENVIRONMENT) == TABLE_STREAM_CONFIG


def test_a_buffer_that_this_version_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="unknown BUFFER: 'kafka'"):
        WatchdogConfig.from_environment({**ENVIRONMENT, "BUFFER": "kafka"})


# -- after a switch --------------------------------------------------------------------------------


def test_the_old_source_is_watched_until_its_stream_is_off(world: WatchdogHarness) -> None:
    since = world.clock()
    settle(world, armed="n1", closed="n1", primary=int(since * 1e6))
    world.clock.advance(300)
    world.consumed = [(world.clock() - 60, 4.0)]
    assert findings(world)[names.SOURCE_WRITTEN].level is Level.LOSS
    off(world)
    assert findings(world)[names.SOURCE_WRITTEN].detail == "the old source streams no more"


def test_after_a_switch_an_unreachable_source_leaves_its_writes_unknown(
    world: WatchdogHarness,
) -> None:
    settle(world, armed="n1", closed="n1", primary=int(world.clock() * 1e6))
    world.broken |= {"DescribeTable", "GetMetricStatistics"}
    world.clock.advance(300)
    assert findings(world)[names.SOURCE_WRITTEN].level is Level.UNKNOWN
    assert world.round()["ReadingsMissed"] == 0.0


# -- during a switch -------------------------------------------------------------------------------


def test_behind_a_closed_gate_the_mapping_is_off_and_what_waits_is_the_switchs(
    world: WatchdogHarness,
) -> None:
    world.mapping = "Disabled"
    world.consumed = [(world.clock() - 600, 5.0)]
    assert findings(world)["MappingAsIntended"].level is not Level.FINE
    world.settle(expire=True, armed="n", closed="n", stream=OURS, mapping="a-mapping")
    found = findings(world)
    off = {name for name, each in found.items() if each.detail.startswith("off: ")}
    assert {"MappingAsIntended", "UnreadAge"} <= off
    assert {each.level for each in found.values()} == {Level.FINE}


def test_before_the_gate_is_closed_the_mapping_has_to_be_on(world: WatchdogHarness) -> None:
    world.mapping = "Disabled"
    world.settle(expire=True, armed="n", stream=OURS, mapping="a-mapping")
    assert findings(world)["MappingAsIntended"].level is Level.WARNING


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ParallelizationFactor": 10}, "runs 10 batches of a shard at once"),
        ({"TumblingWindowInSeconds": 30}, "has a tumbling window of 30 s"),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{}"}]}}, "filters records out"),
    ],
)
def test_a_mapping_under_which_an_ended_record_proves_nothing_is_a_loss(
    world: WatchdogHarness, changes: dict[str, object], words: str
) -> None:
    world.mapping_settings |= changes
    found = findings(world)["MappingAsIntended"]
    assert (found.level, found.value) == (Level.LOSS, 0.0)
    assert words in found.detail
    assert "pulumi" not in found.first
