"""`status` and the loss detectors (C7): what it reads, and what it says of a switch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap.core.errors import AccountError, Side
from bootstrap.core.journal_rows import Row
from bootstrap.core.stack_outputs import AlarmLimits, parse
from bootstrap.status.health_checks import expected_settings
from bootstrap.status.json_members import as_json
from bootstrap.status.page import page
from bootstrap.status.snapshot import StatusSnapshot
from replicator.buffers import KINESIS
from replicator.foreign_rows import ForeignRow
from replicator.stream import Destination, StreamFacts
from replicator.watchdog.aws_readings import UnreadableError
from replicator.watchdog.aws_states import TableState
from replicator.watchdog.detectors import Level, of_buffer
from replicator.watchdog.judge import judge
from replicator.watchdog.lambda_states import FunctionState, MappingState
from replicator.watchdog.probe_rounds import WatchdogState
from replicator.watchdog.readings import Identity, Outage, Probed, Undelivered, Unread
from tests.infra.least_privilege import dry_run_policies
from tests.support.bootstrap.fake_aws import COMMAND, STREAM_ARN, FakeAws, outputs
from tests.support.bootstrap.killed_process import Process, replicated
from tests.support.bootstrap.status import (
    NOW,
    FixedHealth,
    health_reader,
    healthy,
    identity,
    look,
    verify_as_of,
)
from tests.support.infra.recording_engine import CONFIG, record

pytestmark = pytest.mark.promise("C7", "C10")


@pytest.fixture(scope="module")
def replica() -> FakeAws:
    return replicated()


def test_every_detector_is_shown_with_its_reading(replica: FakeAws) -> None:
    shown = as_json(look(replica, FixedHealth()))
    assert [each["metric"] for each in shown["detectors"]] == [
        each.metric for each in of_buffer(KINESIS)
    ]
    assert {each["level"] for each in shown["detectors"]} == {"fine"}
    lag = shown["lag"]
    assert (lag["probeSeconds"], lag["unreplicatedSeconds"]) == (2.5, 0.0)
    assert shown["quarantined"] == 0
    assert shown["bufferUsed"] < 0.001


def test_the_thresholds_of_the_stack_file_are_those_that_status_judges_by(tmp_path: Path) -> None:
    alarms = {"retentionUsedPercent": 50, "probeAgeMinutes": 60, "unreplicatedWarningHours": 3}
    deployed = dry_run_policies.declare({**CONFIG, "alarms": {"thresholds": alarms}})
    (table,) = parse(json.dumps(deployed.outputs), "test").tables
    half = StreamFacts("ACTIVE", 8760, 10_240, "USER_PARTITION_KEY", NOW - 0.4 * 8760 * 3600)
    behind = healthy(probed=Probed(NOW - 3000, None, 2.5, "", NOW), unreplicated=7200.0)
    unproved = healthy(probed=Probed(None, None), stream=half)
    by_default = {"BufferUsed", "ProbeAge", "UnreplicatedAge"}
    for limits, warned in ((table.limits, set()), (AlarmLimits(), by_default)):
        expected = expected_settings(replace(outputs().tables[0], limits=limits))
        judged = (*judge(behind, expected), *judge(unproved, expected))
        assert {each.detector.metric for each in judged if each.level is Level.WARNING} == warned


@pytest.mark.parametrize("hours", [24, 720])
def test_status_and_the_watchdog_hold_the_stream_against_the_same_settings(
    tmp_path: Path, hours: int
) -> None:
    config = {**CONFIG, "retentionHours": hours}
    function = record(config, tmp_path / "archive").one("Function", "watchdog")
    environment = function.inputs["environment"]["variables"]
    deployed = dry_run_policies.declare(config)
    by_stack = expected_settings(parse(json.dumps(deployed.outputs), "test").tables[0])
    assert str(by_stack.retention_hours) == environment["RETENTION_HOURS"] == str(hours)
    assert str(by_stack.record_kib) == environment["MAX_RECORD_KIB"]
    for kept, level in ((hours, Level.FINE), (hours - 1, Level.WARNING)):
        stream = StreamFacts("ACTIVE", kept, by_stack.record_kib, "USER_PARTITION_KEY", 0)
        [found] = [
            each
            for each in judge(healthy(stream=stream), by_stack)
            if each.detector.metric == "StreamHealthy"
        ]
        assert found.level is level


def test_with_nothing_against_it_a_switch_is_safe(replica: FakeAws) -> None:
    shown = look(replica, FixedHealth())
    assert as_json(shown)["safeToSwitch"] is True
    assert as_json(shown)["notSafeBecause"] == []
    assert "no known problem; run `verify` first" in page(shown)


LOSSES: list[tuple[dict[str, Any], str]] = [
    ({"quarantine": 3}, "QuarantineObjects: 3"),
    ({"failures": 1}, "OnFailureObjects: 1"),
    (
        {"foreign": [ForeignRow("invoices", 7, int(NOW * 1e6), "shardId-000000000003", "4711")]},
        "ForeignRecords: about 7 from table invoices",
    ),
    ({"skipped": 2}, "RecordsNeverReplicated: 2"),
    ({"undelivered": Undelivered(1, NOW - 60, NOW)}, "OnFailureDeliveriesFailed: 1"),
    ({"destinations": []}, "DestinationActive: none"),
    ({"source": identity("source-2", "source-1")}, "SourceTableChanged: source-2"),
    (
        {"target": Identity(TableState("target-1", "ARCHIVED"), "target-1")},
        "TargetTableChanged: ARCHIVED",
    ),
    ({"target": Identity(None, "target-1")}, "TargetTableChanged: no such table"),
    ({"stream": StreamFacts("ACTIVE", 24, 10_240, "AUTO", 0)}, "StreamHealthy: keeps 24 h"),
    ({"mapping": MappingState("Disabled")}, "MappingAsIntended: Disabled"),
    ({"unreplicated": 7_200.0}, "UnreplicatedAge: 7200 s"),
    ({"quarantine": Unread("AccessDenied")}, "could not be read: AccessDenied"),
]


@pytest.mark.parametrize(("changes", "words"), LOSSES)
def test_each_known_loss_and_each_blind_eye_stands_against_a_switch(
    replica: FakeAws, changes: dict[str, Any], words: str
) -> None:
    shown = look(replica, FixedHealth(**changes))
    value = as_json(shown)
    assert value["safeToSwitch"] is False
    assert any(words in reason for reason in value["notSafeBecause"])
    text = page(shown)
    assert "not safe, because" in text
    assert "Try: " in text


def test_a_table_that_is_not_replicating_is_not_safe_to_switch_to() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.exports))
    reasons = as_json(look(world, FixedHealth()))["notSafeBecause"]
    assert "the table is EXPORTING, not REPLICATING" in reasons


def test_before_a_run_nothing_is_looked_for() -> None:
    shown = as_json(look(FakeAws(), FixedHealth()))
    assert (shown["detectors"], shown["safeToSwitch"]) == ([], None)


def test_a_reading_that_is_denied_keeps_nobody_from_the_others() -> None:
    denied = UnreadableError("AccessDeniedException")
    lost = AccountError(Side.SOURCE, "no such role", fix="-")
    read = health_reader({"destinations": denied, "stream": lost}).readings(Row(), NOW)
    assert read.missed == {"destinations": "AccessDeniedException", "stream": "no such role"}
    whole = health_reader().readings(Row(), NOW)
    assert whole.missed == {}


def test_what_cannot_be_read_for_one_reason_is_told_once_with_what_helps(replica: FakeAws) -> None:
    why = Unread("There are no usable credentials")
    shown = look(replica, FixedHealth(stream=why, skipped=why))
    named = "RecordsNeverReplicated, StreamHealthy, BufferUsed: could not be read: There are no"
    text = page(shown)
    assert f"not safe, because {named}" in " ".join(text.split())
    assert text.count("Try: ") == 1
    assert "`python -m bootstrap plan" in text
    advice = {each["try"] for each in as_json(shown)["detectors"]} - {None}
    assert len(advice) == 1


def test_tables_are_held_against_the_ids_in_the_journal(replica: FakeAws) -> None:
    row, _ = Process(replica, pid=98).store.read("orders")
    assert row is not None
    same = health_reader().readings(row, NOW)
    other = health_reader({"table": TableState("source-2", "ACTIVE")}, {"table": None}).readings(
        row, NOW
    )
    assert [isinstance(each, Identity) and each.changed for each in (same.source, same.target)] == [
        False,
        False,
    ]
    assert [
        isinstance(each, Identity) and each.changed for each in (other.source, other.target)
    ] == [True, True]


def test_an_outage_of_an_hour_stands_against_a_switch_until_a_whole_verification() -> None:
    world = replicated()
    off, on = world.clock() + 600, world.clock() + 4200
    world.clock.advance(9000)

    def shown(outage: Outage, **source: Any) -> StatusSnapshot:
        found = health_reader(
            source, book=WatchdogState(through=world.clock() - 60, lag=2.5, outage=outage)
        )
        return look(world, found)

    nowhere = [Destination(STREAM_ARN, "DISABLED", "MICROSECOND")]
    while_off = shown(Outage(off), destinations=nowhere).gap
    assert while_off is not None
    assert (while_off.begin, while_off.open) == (off - 60, True)
    assert while_off.command == COMMAND.format("status")

    again = shown(Outage(off, on))
    assert as_json(again)["safeToSwitch"] is False
    assert "DestinationActive: ACTIVE, but it was not between" in page(again)
    named = again.gap
    assert named is not None
    assert (named.begin, named.end, named.open) == (off - 60, on + 60, False)
    assert COMMAND.format("backfill") in named.lines[1]

    unseen_by_the_watchdog = shown(Outage(off)).gap
    assert unseen_by_the_watchdog is not None
    assert unseen_by_the_watchdog.end >= on

    verify_as_of(world, on - 100)
    assert "but it was not between" in page(shown(Outage(off, on)))
    verify_as_of(world, on + 100)
    verified = shown(Outage(off, on))
    assert "but it was not between" not in page(verified)
    assert verified.gap is None


def test_what_lambda_says_of_its_mapping_is_shown(replica: FakeAws) -> None:
    quiet = look(replica, FixedHealth())
    assert as_json(quiet)["lastProcessingResult"] == "OK"
    assert as_json(quiet)["stateTransitionReason"] == "User action"
    assert "Lambda reports" not in page(quiet)
    said = "PROBLEM: Function call failed"
    shown = replace(quiet, processing_result=said, transition_reason="Lambda stopped it")
    text = " ".join(page(shown).split())
    assert (
        f"consumer Enabled; Lambda reports: {said}; Lambda stopped it (StateTransitionReason)"
        in text
    )
    assert as_json(shown)["lastProcessingResult"] == said
    assert as_json(shown)["stateTransitionReason"] == "Lambda stopped it"


def test_the_function_is_known_from_the_watchdog_while_that_is_recent() -> None:
    seen = WatchdogState(through=NOW - 60).saw_function(FunctionState("Failed", "Successful"), NOW)
    assert health_reader(book=seen).readings(Row(), NOW).function == FunctionState(
        "Failed", "Successful"
    )
    old = health_reader(book=seen).readings(Row(), NOW + 1000).function
    assert isinstance(old, Unread)
    assert "the watchdog read it last at" in old.why
    no_function = WatchdogState(through=NOW - 60).saw_function(None, NOW)
    assert health_reader(book=no_function).readings(Row(), NOW).function is None


def test_a_batch_that_was_put_nowhere_stands_against_a_switch_until_a_whole_verification() -> None:
    world = replicated()
    begin, end = world.clock() + 600, world.clock() + 4200
    world.clock.advance(9000)
    lost = Undelivered(1, end - 60, end)

    def shown(undelivered: Undelivered, given_up: Outage | None) -> StatusSnapshot:
        book = WatchdogState(through=world.clock() - 60, lag=2.5, given_up=given_up)
        return look(world, health_reader(target={"undelivered": undelivered}, book=book))

    found = shown(lost, Outage(begin, end))
    assert as_json(found)["safeToSwitch"] is False
    text = " ".join(page(found).split())
    assert "LOSS OnFailureDeliveriesFailed: 1, between" in text
    assert "Lambda gave batches up and could not put them into the on-failure bucket" in text
    assert found.gap is not None
    assert (found.gap.begin, found.gap.end) == (begin - 60, end + 60)
    assert COMMAND.format("backfill") in found.gap.lines[1]

    unseen_by_the_watchdog = shown(lost, None).gap
    assert unseen_by_the_watchdog is not None
    assert unseen_by_the_watchdog.begin < begin
    assert unseen_by_the_watchdog.end >= end

    still_known = shown(Undelivered(), Outage(begin, end))
    assert "LOSS OnFailureDeliveriesFailed" in " ".join(page(still_known).split())
    verify_as_of(world, end - 100)
    assert shown(lost, Outage(begin, end)).gap is not None
    verify_as_of(world, end + 100)
    verified = shown(Undelivered(), Outage(begin, end))
    assert "LOSS OnFailureDeliveriesFailed" not in " ".join(page(verified).split())
    assert "gave batches up" not in page(verified)
    assert verified.gap is None
