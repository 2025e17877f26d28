"""C7: the watchdog sees each way in which changes are lost, and says what it cannot see."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from replicator.buffers import KINESIS
from replicator.settings import ConfigurationError
from replicator.watchdog import detectors, watchdog_config
from replicator.watchdog.detectors import Level
from replicator.watchdog.judge import judge
from replicator.watchdog.probe_rounds import MOST_WAITING, ProbeRound, WatchdogState
from replicator.watchdog.readings import Outage, Probed, Readings, Unread
from tests.support.replicator.watchdog_harness import (
    CONFIG,
    OTHER,
    WatchdogHarness,
    set_destination,
    steady,
)

pytestmark = pytest.mark.promise("C7")

DAY = 86_400.0
HEALTHY = {
    "DestinationActive": 1.0,
    "DestinationPrecise": 1.0,
    "StreamHealthy": 1.0,
    "MappingAsIntended": 1.0,
    "MappingEnabled": 1.0,
    "SourceTableChanged": 0.0,
    "TargetTableChanged": 0.0,
    "QuarantineObjects": 0.0,
    "OnFailureObjects": 0.0,
    "ForeignRecords": 0.0,
    "FunctionHealthy": 1.0,
    "OnFailureDeliveriesFailed": 0.0,
    "RecordsNeverReplicated": 0.0,
    "UnreplicatedAge": 0.0,
    "ReadingsMissed": 0.0,
    "WatchdogRan": 1.0,
}


def test_a_healthy_replication_shows_nothing_but_good_values() -> None:
    world = steady()
    gauges = world.after()
    assert {name: gauges[name] for name in HEALTHY} == HEALTHY
    assert gauges["ProbeAge"] == 300.0
    assert gauges["ProbeLag"] == 1.0
    assert gauges["BufferUsed"] == pytest.approx(300 / (8760 * 3600))
    assert world.logger.lines == []


def set_stream(**changes: object) -> Callable[[WatchdogHarness], None]:
    def change(world: WatchdogHarness) -> None:
        assert world.stream is not None
        world.stream = {**world.stream, **changes}

    return change


def attribute(name: str, value: object) -> Callable[[WatchdogHarness], None]:
    return lambda world: setattr(world, name, value)


def put(bucket: str, key: str) -> Callable[[WatchdogHarness], None]:
    def change(world: WatchdogHarness) -> None:
        world.s3.put_object(Bucket=bucket, Key=key, Body=b"{}")

    return change


def recreate_target(world: WatchdogHarness) -> None:
    world.target.tables["orders-replica"].description["TableId"] = "another"


FAULTS: list[tuple[Callable[[WatchdogHarness], Any], str, float]] = [
    (set_destination(DestinationStatus="DISABLED"), "DestinationActive", 0),
    (set_destination(DestinationStatus="DISABLING"), "DestinationActive", 0),
    (set_destination(DestinationStatus="ENABLING"), "DestinationActive", 0),
    (set_destination(StreamArn=OTHER), "DestinationActive", 0),
    (attribute("destination", None), "DestinationActive", 0),
    (
        set_destination(ApproximateCreationDateTimePrecision="MILLISECOND"),
        "DestinationPrecise",
        0,
    ),
    (attribute("source_id", "another"), "SourceTableChanged", 1),
    (attribute("source_id", None), "SourceTableChanged", 1),
    (attribute("source_id", None), "DestinationActive", 0),
    (recreate_target, "TargetTableChanged", 1),
    (lambda world: world.target.tables.pop("orders-replica"), "TargetTableChanged", 1),
    (attribute("mapping", "Disabled"), "MappingAsIntended", 0),
    (attribute("mapping", "Disabling"), "MappingAsIntended", 0),
    (attribute("mapping", None), "MappingAsIntended", 0),
    (attribute("mapping", None), "MappingEnabled", 0),
    (attribute("function", None), "FunctionHealthy", 0),
    (
        attribute("function", {"State": "Failed", "LastUpdateStatus": "Failed"}),
        "FunctionHealthy",
        0,
    ),
    (set_stream(StreamStatus="DELETING"), "StreamHealthy", 0),
    (set_stream(RetentionPeriodHours=24), "StreamHealthy", 0),
    (set_stream(MaxRecordSizeInKiB=1024), "StreamHealthy", 0),
    (set_stream(RecordDistributionStrategy="AUTO"), "StreamHealthy", 0),
    (attribute("stream", None), "StreamHealthy", 0),
    (put("quarantine", "open/unreadable/shard/1-0.json"), "QuarantineObjects", 1),
    (put("on-failure", "aws/lambda/x"), "OnFailureObjects", 1),
    (lambda world: world.skipped.append((world.clock(), 3)), "RecordsNeverReplicated", 3),
    (
        lambda world: world.undelivered.append((world.clock(), 2)),
        "OnFailureDeliveriesFailed",
        2,
    ),
    (attribute("waiting_ms", 7_200_000.0), "UnreplicatedAge", 7200),
]


@pytest.mark.parametrize(
    ("fault", "gauge", "value"), FAULTS, ids=[f"{each[1]}-{n}" for n, each in enumerate(FAULTS)]
)
def test_a_fault_shows_in_its_gauge_for_as_long_as_it_lasts(
    fault: Callable[[WatchdogHarness], None], gauge: str, value: float
) -> None:
    world = steady()
    fault(world)
    for _ in range(3):
        assert world.after()[gauge] == value
    assert any(
        line.startswith(f"{gauge}:") and "\nTry: " in line for line in world.logger.lines
    ) or (gauge == "MappingEnabled")


# The reading -> a call without which it cannot be made, and the gauges that are then unknown.
BLINDNESS = {
    "mapping": (
        "GetEventSourceMapping",
        {"MappingAsIntended", "MappingEnabled", "FunctionHealthy"},
    ),
    "destinations": (
        "DescribeKinesisStreamingDestination",
        {"DestinationActive", "DestinationPrecise"},
    ),
    "stream": ("DescribeStreamSummary", {"StreamHealthy", "BufferUsed"}),
    "quarantine": ("ListObjectsV2", {"QuarantineObjects", "OnFailureObjects"}),
    "skipped": (
        "GetMetricStatistics",
        {"RecordsNeverReplicated", "OnFailureDeliveriesFailed", "UnreplicatedAge"},
    ),
    "probed": ("PutRecords", {"ProbeAge", "ProbeLag", "BufferUsed"}),
    "function": ("GetFunctionConfiguration", {"FunctionHealthy"}),
    "source": ("DescribeTable", {"SourceTableChanged", "TargetTableChanged"}),
    "intent": (
        "GetItem",
        {
            "ProbeAge",
            "ProbeLag",
            "BufferUsed",
            "SourceTableChanged",
            "TargetTableChanged",
            "ForeignRecords",
            "SourceWritten",
            "SwitchUnfinished",
        },
    ),
}


@pytest.mark.parametrize("reading", BLINDNESS)
def test_what_cannot_be_read_is_never_healthy_and_keeps_nothing_else_from_being_read(
    reading: str,
) -> None:
    operation, unknown = BLINDNESS[reading]
    world = steady()
    expected = set(world.after())
    world.broken = {operation}
    gauges = world.after()
    assert set(gauges) == expected - unknown
    assert gauges["ReadingsMissed"] > 0
    assert gauges["WatchdogRan"] == 1.0
    for name in set(HEALTHY) & set(gauges) - {"ReadingsMissed"}:
        assert gauges[name] == HEALTHY[name]


def test_a_source_account_that_does_not_let_it_in_leaves_it_alive_and_saying_so() -> None:
    world = WatchdogHarness()
    world.broken = {"AssumeRole"}
    gauges = world.round()
    assert gauges["WatchdogRan"] == 1.0
    assert gauges["ReadingsMissed"] == 6
    assert gauges["MappingAsIntended"] == 1.0
    assert "DestinationActive" not in gauges


def test_a_bug_in_one_reading_does_not_blind_the_others() -> None:
    world = steady()
    world.stream = {"StreamStatus": "ACTIVE"}
    gauges = world.after()
    assert "StreamHealthy" not in gauges
    assert gauges["DestinationActive"] == 1.0
    assert gauges["ReadingsMissed"] == 1.0


def test_what_it_has_seen_is_said_before_its_time_is_up() -> None:
    world = steady()
    gauges = world.round(seconds_left=20)
    assert gauges["WatchdogRan"] == 1.0
    assert set(gauges) == {"WatchdogRan", "ReadingsMissed"}


# -- what should be ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"expire": False},
        {"consume": True, "paused": True},
        {"consume": True, "expire": True, "paused": True},
    ],
)
def test_a_consumer_that_is_off_on_purpose_is_as_intended(settings: dict[str, bool]) -> None:
    world = WatchdogHarness(mapping="Disabled")
    world.settle(**settings)
    gauges = world.round()
    assert (gauges["MappingAsIntended"], gauges["MappingEnabled"]) == (1.0, 0.0)
    assert "ProbeAge" not in gauges, "no consumer takes them, on purpose"


def test_a_consumer_that_is_switched_off_while_it_catches_up_is_a_fault_at_once() -> None:
    world = WatchdogHarness(mapping="Enabled")
    world.settle(consume=True)
    assert world.round()["MappingAsIntended"] == 1.0
    world.mapping = "Disabled"
    gauges = world.round()
    assert (gauges["MappingAsIntended"], gauges["MappingEnabled"]) == (0.0, 0.0)
    assert "ProbeAge" not in gauges, "a backlog of days makes probes late, and is no fault"


def test_a_mapping_that_is_gone_is_never_intended() -> None:
    world = WatchdogHarness(mapping=None)
    world.settle()
    assert world.round()["MappingAsIntended"] == 0.0


def test_while_nobody_knows_what_is_intended_the_consumer_should_be_on() -> None:
    world = WatchdogHarness(mapping="Disabled")
    world.target.put_item(
        TableName="ledger", Item={"k": {"B": b"settings"}, "paused": {"S": "perhaps"}}
    )
    gauges = world.round()
    assert gauges["MappingAsIntended"] == 0.0
    assert gauges["ReadingsMissed"] == 1.0


def test_a_target_may_be_imported_anew_until_it_is_replicating() -> None:
    world = WatchdogHarness(mapping="Disabled")
    world.settle()
    world.round()
    recreate_target(world)
    assert world.round()["TargetTableChanged"] == 0.0
    world.settle(expire=True)
    assert world.round()["TargetTableChanged"] == 0.0
    world.target.tables["orders-replica"].description["TableId"] = "a third"
    assert world.round()["TargetTableChanged"] == 1.0


def test_the_first_identity_outlives_the_container() -> None:
    world = steady()
    world.source_id = "another"
    world.watchdog = world.another_container()
    assert world.after()["SourceTableChanged"] == 1.0


def test_records_skipped_before_the_snapshot_are_in_it() -> None:
    world = WatchdogHarness()
    now = world.clock()
    world.skipped = [(now - 7200, 5.0), (now - 120, 2.0)]
    assert world.round()["RecordsNeverReplicated"] == 7
    world.settle(expire=True, floor=round((now - 600) * 1e6))
    assert world.round()["RecordsNeverReplicated"] == 2
    world.settle(expire=True, floor=round((now - 600) * 1e6), settled=round(now * 1e6))
    assert world.round()["RecordsNeverReplicated"] == 0


@pytest.mark.parametrize("days", [13, 40, 400])
def test_a_skipped_record_shows_until_a_verification_has_settled_it(days: int) -> None:
    world = steady()
    at = world.clock()
    world.settle(expire=True, floor=round((at - 600) * 1e6))
    world.skipped = [(at, 1.0)]
    world.clock.advance(days * DAY)
    assert world.round()["RecordsNeverReplicated"] == 1
    world.settle(expire=True, floor=round((at - 600) * 1e6), settled=round((at + 3600) * 1e6))
    assert world.round()["RecordsNeverReplicated"] == 0


def test_resolved_records_are_not_counted() -> None:
    world = steady()
    put("quarantine", "resolved/unreadable/a.json")(world)
    assert world.after()["QuarantineObjects"] == 0


# -- probes --------------------------------------------------------------------------------------


def test_a_round_has_one_probe_for_each_open_shard() -> None:
    world = WatchdogHarness(shards=3)
    world.round()
    assert [n for _, n in world.probes] == [0, 1, 2]


def test_a_shard_that_is_read_in_parallel_gets_a_probe_for_every_lane() -> None:
    config = dataclasses.replace(CONFIG, parallelization_factor=4)
    world = WatchdogHarness(config=config, shards=5)
    world.round()
    assert len(world.probes) == 5 * 128
    assert "ProbeLag" in world.after()


def test_a_consumer_that_stops_shows_in_the_age_of_the_probes() -> None:
    world = steady()
    ages = []
    for _ in range(12):
        world.clock.advance(300)
        ages.append(world.round()["ProbeAge"])
    assert ages == [600.0 + 300 * n for n in range(12)]
    assert any(line.startswith("ProbeAge") for line in world.logger.lines)


def test_one_probe_that_is_missing_keeps_a_round_from_being_through() -> None:
    world = steady()
    world.clock.advance(1)
    stuck = world.probes.pop()
    world.consume()
    world.clock.advance(299)
    assert world.round()["ProbeAge"] == 600.0
    world.probes.append(stuck)
    assert world.after()["ProbeAge"] < 600.0


def test_a_backlog_that_is_worked_off_is_measured_from_its_oldest_probe_on() -> None:
    world = steady()
    for _ in range(30):
        world.clock.advance(300)
        world.round()
    assert len(world.book().waiting) == MOST_WAITING
    behind = list(world.probes)
    world.probes = behind[: len(behind) // 10]
    world.consume()
    gauges = world.round()
    assert 26 * 300 < gauges["ProbeAge"] < 31 * 300
    world.probes = [*behind, *world.probes]
    assert world.after()["ProbeAge"] == pytest.approx(300, abs=1)


def test_probes_do_not_pile_up_while_nobody_takes_them() -> None:
    world = WatchdogHarness(mapping="Disabled")
    for _ in range(50):
        world.round()
        world.clock.advance(300)
    assert len(world.probes) == world.shards


def test_a_long_pause_shows_in_the_buffer() -> None:
    world = steady()
    world.settle(expire=True, paused=True)
    world.mapping = "Disabled"
    world.clock.advance(90 * DAY)
    gauges = world.round()
    assert gauges["BufferUsed"] == pytest.approx(90 / 365, rel=0.01)
    world.clock.advance(5 * DAY)
    world.round()
    assert any(line.startswith("BufferUsed") for line in world.logger.lines)


def test_before_any_probe_the_buffer_counts_from_its_beginning() -> None:
    world = WatchdogHarness()
    world.clock.advance(73 * DAY)
    assert world.round()["BufferUsed"] == pytest.approx(0.2)


def test_the_age_of_a_stream_does_not_count_before_there_is_a_snapshot() -> None:
    """An adopted stream is months older than the stack: its critical alarm would fire at once."""
    world = WatchdogHarness()
    world.settle()
    world.clock.advance(300 * DAY)
    assert world.round()["BufferUsed"] == 0.0
    assert not any(line.startswith("BufferUsed") for line in world.logger.lines)
    world.settle(consume=True, floor=int((world.clock() - 146 * DAY) * 1e6))
    world.mapping = "Disabled"
    world.watchdog = world.another_container()
    assert world.round()["BufferUsed"] == pytest.approx(0.4, rel=0.01)


@pytest.mark.parametrize(
    ("adopted", "settings", "said"),
    [
        (True, {}, "its first is due"),
        (True, {"floor": 1}, "silent"),
        (False, {}, "silent"),
    ],
)
def test_in_an_old_stream_that_was_adopted_a_first_round_may_be_due(
    adopted: bool, settings: dict[str, int], said: str
) -> None:
    world = WatchdogHarness()
    world.settle(**settings)
    world.clock.advance(300 * DAY)
    readings = dataclasses.replace(
        world.watchdog.round(lambda: 240.0), probed=Probed(None, None, ran=None)
    )
    expected = dataclasses.replace(CONFIG.expected, adopted_stream=adopted)
    [found] = [each for each in judge(readings, expected) if each.detector is detectors.HEARTBEAT]
    assert found.level is Level.UNKNOWN
    assert said in found.detail


def test_probes_that_kinesis_throttles_are_put_again() -> None:
    world = WatchdogHarness(refusing=3)
    world.round()
    assert sorted(n for _, n in world.probes) == [0, 1]
    assert "ProbeLag" in world.after()


def test_a_round_that_could_not_be_put_whole_is_not_waited_for() -> None:
    world = steady()
    world.after()
    outstanding = world.book().waiting
    world.refusing = 1000
    assert world.after()["ReadingsMissed"] == 1.0
    assert world.book().waiting == ()
    assert outstanding
    world.refusing = 0
    assert world.after()["ReadingsMissed"] == 0


def test_throttled_probes_are_put_again_after_a_wait() -> None:
    world = WatchdogHarness(refusing=3)
    begun = world.clock.monotonic()
    world.round()
    assert sorted(n for _, n in world.probes) == [0, 1]
    assert world.clock.monotonic() - begun >= 1.0


def test_throttled_probes_leave_what_is_known_and_are_named_as_throttled() -> None:
    world = steady()
    world.after()
    world.refusing = 1000
    readings = world.watchdog.round(lambda: 240.0)
    assert isinstance(readings.probed, Probed)
    assert readings.probed.through is not None
    [found] = [
        each for each in judge(readings, CONFIG.expected) if each.detector is detectors.PROBES
    ]
    assert found.level is Level.UNKNOWN
    assert found.value is not None
    assert "throttled" in found.detail
    assert "capacity" in found.first
    assert not any("may lack a right" in line for line in world.logger.lines)


def test_a_round_during_a_split_is_no_proof() -> None:
    world = steady()
    world.after()
    world.splitting = True
    assert "ProbeAge" not in world.after()
    assert world.book().waiting == ()
    world.splitting = False
    assert "ProbeAge" in world.after()


def test_a_round_of_which_another_shard_took_a_probe_is_no_proof() -> None:
    world = steady()
    world.after()
    world.elsewhere = 1
    readings = world.watchdog.round(lambda: 240.0)
    assert readings.missed["probed"] == "ShardsChanged"
    assert len(world.book().waiting) == 1, "the round before"
    assert world.book().not_put == "ShardsChanged"
    world.elsewhere = 0
    assert "ProbeAge" in world.after()
    assert world.book().not_put == ""


def test_the_book_records_when_a_round_ended_for_readers_elsewhere() -> None:
    world = steady()
    assert world.book().ran == world.clock()
    world.broken.add("PutRecords")
    world.after()
    assert (world.book().ran, world.book().not_put) == (world.clock(), "AccessDeniedException")


# -- the small print -----------------------------------------------------------------------------


def test_the_observers_credentials_are_renewed_before_they_end() -> None:
    world = WatchdogHarness()
    for _ in range(24):  # two hours
        world.after()
    assert 2 <= world.assumed <= 4


def test_a_book_survives_as_text() -> None:
    book = WatchdogState(
        (ProbeRound("a", 2, 5.0), ProbeRound("b", 1, 9.0)), 3.0, None, {"source": "id"}
    )
    assert WatchdogState.from_text(book.as_text()) == book
    for outage in (Outage(1.0), Outage(1.0, 2.0)):
        off = dataclasses.replace(book, flowed=0.5, outage=outage)
        assert WatchdogState.from_text(off.as_text()) == off
    with pytest.raises(ValueError, match="watchdog row"):
        WatchdogState.from_text('{"waiting": 5}')


def test_an_unreadable_book_is_told_and_not_written_over() -> None:
    world = steady()
    row = {"k": {"B": b"watchdog"}, "book": {"S": "{}"}}
    world.target.put_item(TableName="ledger", Item=row)
    gauges = world.after()
    assert gauges["ReadingsMissed"] == 3.0
    assert "SourceTableChanged" not in gauges
    [item] = [
        world.target.get_item(TableName="ledger", Key={"k": {"B": b"watchdog"}})["Item"],
    ]
    assert item == row


def test_every_detector_is_judged_once_in_the_order_of_the_worst_first() -> None:
    world = steady()
    findings = judge(world.watchdog.round(lambda: 240.0), CONFIG.expected)
    assert [finding.detector for finding in findings] == list(detectors.of_buffer(KINESIS))
    nothing = Readings(world.clock(), *[Unread("AccessDenied")] * 14)  # type: ignore[arg-type]
    assert {each.level for each in judge(nothing, CONFIG.expected)} == {Level.UNKNOWN}


def test_an_environment_that_lacks_something_says_so() -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)STACK.*Try: deploy"):
        watchdog_config.WatchdogConfig.from_environment({})
