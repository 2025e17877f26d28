"""The watchdog during a switch and after it: what is judged, what is off, and what is new."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from replicator import names
from replicator.buffers import KINESIS, STREAMS
from replicator.watchdog.aws_readings import BOOK_KEY
from replicator.watchdog.detectors import (
    ALL,
    MAPPING,
    SOURCE_WRITTEN,
    SWITCH_UNFINISHED,
    UNREAD,
    Level,
)
from replicator.watchdog.finding import Finding
from replicator.watchdog.judge import judge
from replicator.watchdog.phases import RULES, SwitchPhase, phase_of, rules_of
from replicator.watchdog.readings import Intent, Unneeded, Unread
from replicator.watchdog.source_writes import source_table_arn
from tests.support.replicator.watchdog_harness import (
    CONFIG,
    OTHER,
    ROUND,
    WatchdogHarness,
    set_destination,
    steady,
)

pytestmark = pytest.mark.promise("C7", "C9")

DENY = json.dumps({"Statement": [{"Sid": names.DENY_SID + "n1", "Effect": "Deny"}]})
USERS = json.dumps({"Statement": {"Sid": "Theirs", "Effect": "Deny"}})


@pytest.fixture
def world() -> WatchdogHarness:
    return steady()


def switched(world: WatchdogHarness) -> float:
    """The commit, in the settings row; returns its moment."""
    at = world.clock()
    world.settle(expire=True, armed="n1", closed="n1", primary=int(at * 1e6))
    world.policy = DENY
    return at


def findings(world: WatchdogHarness) -> dict[str, Finding]:
    readings = world.watchdog.round(lambda: 240.0)
    return {each.detector.metric: each for each in judge(readings, CONFIG.expected)}


@pytest.mark.parametrize("phase", SwitchPhase)
def test_the_table_decides_every_detector_with_a_reason(phase: SwitchPhase) -> None:
    assert set(RULES[phase]) == set(ALL)
    assert all(rule.because for rule in RULES[phase].values())


@pytest.mark.parametrize("phase", SwitchPhase)
def test_the_rules_of_a_table_stream_differ_behind_a_closed_gate_alone(phase: SwitchPhase) -> None:
    theirs, ours = rules_of(phase, KINESIS), rules_of(phase, STREAMS)
    assert theirs == RULES[phase] and set(ours) == set(ALL)
    different = {each for each in ALL if theirs[each] != ours[each]}
    assert different == ({MAPPING, UNREAD} if phase is SwitchPhase.CLOSED else set())


def test_an_unreadable_settings_row_leaves_every_detector_judged() -> None:
    phase = phase_of(Unread("AccessDeniedException"))
    off = {each for each, rule in RULES[phase].items() if not rule.judged}
    assert off == set()


@pytest.mark.parametrize(
    ("intent", "phase"),
    [
        (Intent(), SwitchPhase.NORMAL),
        (Intent(armed="n"), SwitchPhase.ARMED),
        (Intent(armed="n", closed="n"), SwitchPhase.CLOSED),
        (Intent(closed="n"), SwitchPhase.CLOSED),
        (Intent(closed="n", primary=1.0), SwitchPhase.PRIMARY),
    ],
)
def test_the_settings_row_says_the_phase(intent: Intent, phase: SwitchPhase) -> None:
    assert phase_of(intent) is phase


# -- a primary ---------------------------------------------------------------------------------


def broken_by_a_switch(world: WatchdogHarness) -> None:
    """Everything that is wrong for a replica, and right after a switch."""
    world.mapping = "Disabled"
    world.function = None
    world.stream = None
    world.source_id = "another"
    world.skipped.append((world.clock(), 3))
    world.undelivered.append((world.clock(), 3))
    world.waiting_ms = 9e9
    world.target.delete_table(TableName="orders-replica")
    set_destination(ApproximateCreationDateTimePrecision="MILLISECOND")(world)


def test_nothing_that_a_switch_ends_is_an_alarm_after_it(world: WatchdogHarness) -> None:
    switched(world)
    broken_by_a_switch(world)
    for _ in range(8):
        world.clock.advance(ROUND)
        gauges = world.round()
    good = {
        names.MAPPING_AS_INTENDED: 1.0,
        names.DESTINATION_ACTIVE: 1.0,
        names.DESTINATION_PRECISE: 1.0,
        names.STREAM_HEALTHY: 1.0,
        names.FUNCTION_HEALTHY: 1.0,
        names.SOURCE_TABLE_CHANGED: 0.0,
        names.TARGET_TABLE_CHANGED: 0.0,
        names.RECORDS_NEVER_REPLICATED: 0.0,
        names.DELIVERIES_FAILED: 0.0,
        names.UNREPLICATED_AGE: 0.0,
        names.BUFFER_USED: 0.0,
        names.SOURCE_WRITTEN: 0.0,
        names.SWITCH_UNFINISHED: 0.0,
        names.READINGS_MISSED: 0.0,
        names.WATCHDOG_RAN: 1.0,
    }
    assert {name: gauges.get(name) for name in good} == good
    assert names.PROBE_AGE not in gauges
    assert all(each.level is Level.FINE for each in findings(world).values())


def test_the_same_is_an_alarm_while_the_target_is_a_replica(world: WatchdogHarness) -> None:
    broken_by_a_switch(world)
    world.clock.advance(ROUND)
    gauges = world.round()
    assert gauges[names.MAPPING_AS_INTENDED] == 0.0
    assert gauges[names.SOURCE_TABLE_CHANGED] == 1.0


def test_no_probe_is_put_to_a_primarys_stream_and_the_heartbeat_continues(
    world: WatchdogHarness,
) -> None:
    world.consume()
    switched(world)
    for _ in range(4):
        world.clock.advance(ROUND)
        world.round()
    assert world.probes == []
    assert findings(world)[names.WATCHDOG_RAN].level is Level.FINE


def test_what_is_in_quarantine_counts_after_a_switch_too(world: WatchdogHarness) -> None:
    switched(world)
    world.s3.put_object(Bucket="quarantine", Key="open/late-write/s/1-0.json", Body=b"{}")
    assert world.round()[names.QUARANTINE_OBJECTS] == 1.0


def test_a_destination_that_was_finished_is_no_outage_of_the_replica(
    world: WatchdogHarness,
) -> None:
    switched(world)
    set_destination(DestinationStatus="DISABLED")(world)
    world.clock.advance(ROUND)
    world.round()
    assert world.book().outage is None


# -- the old source's writers ------------------------------------------------------------------


def test_a_write_to_the_old_source_is_a_loss_that_says_how_much_and_since_when(
    world: WatchdogHarness,
) -> None:
    at = switched(world)
    assert world.after()[names.SOURCE_WRITTEN] == 0.0
    world.consumed.append((world.clock() - 60, 4.0))
    assert world.after()[names.SOURCE_WRITTEN] == 1.0
    found = findings(world)[names.SOURCE_WRITTEN]
    assert found.level is Level.LOSS
    assert found.detail.startswith("4 write units since ")
    assert at > 0


def test_writes_of_before_the_switch_do_not_count(world: WatchdogHarness) -> None:
    world.clock.advance(60 - world.clock() % 60 + 20)
    world.consumed.append((world.clock() - 1, 7.0))
    switched(world)
    assert world.after()[names.SOURCE_WRITTEN] == 0.0


def test_a_deny_that_was_taken_off_by_others_is_a_loss(world: WatchdogHarness) -> None:
    switched(world)
    assert world.after()[names.SOURCE_WRITTEN] == 0.0
    world.policy = USERS
    assert world.after()[names.SOURCE_WRITTEN] == 1.0
    world.policy = None
    world.watchdog = world.another_container()
    assert world.after()[names.SOURCE_WRITTEN] == 1.0
    assert "gone from its policy" in findings(world)[names.SOURCE_WRITTEN].detail


def test_a_source_that_never_had_a_deny_is_judged_by_its_writes_alone(
    world: WatchdogHarness,
) -> None:
    switched(world)
    world.policy = None
    assert world.after()[names.SOURCE_WRITTEN] == 0.0
    world.broken.add("GetResourcePolicy")
    assert world.after()[names.SOURCE_WRITTEN] == 0.0
    assert findings(world)[names.SOURCE_WRITTEN].level is Level.FINE


def stop_streaming(world: WatchdogHarness) -> None:
    set_destination(DestinationStatus="DISABLED")(world)


def stream_elsewhere(world: WatchdogHarness) -> None:
    set_destination(StreamArn=OTHER)(world)


def drop_the_source(world: WatchdogHarness) -> None:
    world.source_id = None


@pytest.mark.parametrize("finish", [stop_streaming, stream_elsewhere, drop_the_source])
def test_the_watch_on_the_old_source_ends_with_its_stream(
    world: WatchdogHarness, finish: Callable[[WatchdogHarness], None]
) -> None:
    switched(world)
    world.consumed.append((world.clock() + 90, 4.0))
    assert world.after()[names.SOURCE_WRITTEN] == 1.0
    finish(world)
    world.policy = None
    assert world.after()[names.SOURCE_WRITTEN] == 0.0


def test_a_finished_switch_ends_the_watch_where_others_keep_the_source_streaming(
    world: WatchdogHarness,
) -> None:
    at = switched(world)
    world.consumed.append((world.clock() + 90, 4.0))
    assert world.after()[names.SOURCE_WRITTEN] == 1.0
    world.settle(
        expire=True, armed="n1", closed="n1", primary=int(at * 1e6), finished=int(at * 1e6) + 1
    )
    world.policy = None
    assert world.after()[names.SOURCE_WRITTEN] == 0.0
    assert findings(world)[names.SOURCE_WRITTEN].level is Level.FINE


def test_an_old_source_out_of_reach_is_unknown_and_no_alarm(world: WatchdogHarness) -> None:
    switched(world)
    world.after()
    for operation in (
        "GetMetricStatistics",
        "GetResourcePolicy",
        "DescribeKinesisStreamingDestination",
    ):
        world.broken.add(operation)
    gauges = world.after()
    assert names.SOURCE_WRITTEN not in gauges
    assert gauges[names.READINGS_MISSED] == 0.0
    assert findings(world)[names.SOURCE_WRITTEN].level is Level.UNKNOWN


def test_a_policy_that_can_no_longer_be_read_is_unknown(world: WatchdogHarness) -> None:
    switched(world)
    world.after()
    world.broken.add("GetResourcePolicy")
    world.after()
    assert findings(world)[names.SOURCE_WRITTEN].level is Level.UNKNOWN


def test_the_tables_arn_follows_from_the_streams() -> None:
    arn = source_table_arn(CONFIG.observer_role, "eu-west-1", "orders")
    assert arn == "arn:aws:dynamodb:eu-west-1:111111111111:table/orders"


# -- a switch without an end -------------------------------------------------------------------


def rounds(world: WatchdogHarness, seconds: float) -> dict[str, float]:
    gauges: dict[str, float] = {}
    for _ in range(int(seconds // ROUND)):
        gauges = world.after()
    return gauges


def test_during_a_switch_probes_are_put_and_every_detector_is_judged(
    world: WatchdogHarness,
) -> None:
    world.settle(expire=True, armed="n1", closed="n1")
    world.consume()
    world.clock.advance(ROUND)
    world.round()
    assert world.probes
    world.mapping = "Disabled"
    assert world.after()[names.MAPPING_AS_INTENDED] == 0.0


def test_a_gate_that_stays_closed_for_half_an_hour_is_an_unfinished_switch(
    world: WatchdogHarness,
) -> None:
    world.settle(expire=True, armed="n1", closed="n1")
    assert rounds(world, 1_800)[names.SWITCH_UNFINISHED] == 0.0
    assert rounds(world, 600)[names.SWITCH_UNFINISHED] == 1.0
    found = findings(world)[SWITCH_UNFINISHED.metric]
    assert found.level is Level.WARNING
    assert "n1, seen since" in found.detail
    world.settle(expire=True)
    assert world.after()[names.SWITCH_UNFINISHED] == 0.0


def test_an_armed_switch_has_two_hours_and_another_attempt_begins_anew(
    world: WatchdogHarness,
) -> None:
    world.settle(expire=True, armed="n1")
    assert rounds(world, 7_200)[names.SWITCH_UNFINISHED] == 0.0
    assert rounds(world, 600)[names.SWITCH_UNFINISHED] == 1.0
    world.settle(expire=True, armed="n2")
    assert world.after()[names.SWITCH_UNFINISHED] == 0.0


def test_a_switch_whose_age_cannot_be_read_is_unknown(world: WatchdogHarness) -> None:
    world.settle(expire=True, armed="n1", closed="n1")
    item = {"k": {"B": BOOK_KEY}, "book": {"S": "not a book"}}
    world.target.put_item(TableName="ledger", Item=item)
    assert findings(world)[SWITCH_UNFINISHED.metric].level is Level.UNKNOWN


def test_a_commit_ends_the_switch(world: WatchdogHarness) -> None:
    world.settle(expire=True, armed="n1", closed="n1")
    rounds(world, 2_700)
    switched(world)
    assert world.after()[names.SWITCH_UNFINISHED] == 0.0


def test_a_reading_that_is_not_needed_is_not_missed() -> None:
    world = steady()
    switched(world)
    readings = world.watchdog.round(lambda: 240.0)
    assert isinstance(readings.stream, Unneeded)
    assert readings.missed == {}
    assert SOURCE_WRITTEN in ALL
