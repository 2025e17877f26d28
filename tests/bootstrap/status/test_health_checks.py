"""`status` and the loss detectors (C7): what it reads, and what it says of a switch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap.aws.calls import Calls
from bootstrap.aws.ledger import AwsLedger
from bootstrap.core.errors import AccountError, Side
from bootstrap.core.journal_rows import Row
from bootstrap.core.stack_outputs import AlarmLimits, parse
from bootstrap.journal.verification_records import Verified
from bootstrap.status import status
from bootstrap.status.backfill_suggestion import gap
from bootstrap.status.health_checks import HealthReader, expected
from bootstrap.status.render import page
from bootstrap.status.snapshot import StatusSnapshot, as_json
from replicator.watchdog.aws_readings import UnreadableError
from replicator.watchdog.detectors import (
    ALL,
    Destination,
    Identity,
    Intent,
    Level,
    Outage,
    Probed,
    Readings,
    Stream,
    Unread,
    judge,
)
from replicator.watchdog.probe_rounds import WatchdogState
from tests.infra.least_privilege import dry_run_policies
from tests.support.bootstrap.fake_accounts import FakeSource, FakeTarget
from tests.support.bootstrap.killed_process import Process, journal_verified, replicated
from tests.support.bootstrap.world import COMMAND, LEDGER, STREAM_ARN, World, outputs
from tests.support.infra.recording_engine import CONFIG

NOW = 2_000_000_000.0


class Answers:
    """Either side, with answers for every reading; what is an exception is raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def __getattr__(self, name: str) -> Any:
        def read(*given: Any) -> Any:
            answer = self.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return read


def healthy(at: float = NOW, **changes: Any) -> Readings:
    values: dict[str, Any] = {
        "at": at,
        "intent": Intent(replicating=True),
        "mapping": "Enabled",
        "destinations": [Destination(STREAM_ARN, "ACTIVE", "MICROSECOND")],
        "stream": Stream("ACTIVE", 8760, 10_240, "USER_PARTITION_KEY", at - 9_000),
        "source": Identity("source-1", "source-1"),
        "target": Identity("target-1", "target-1"),
        "quarantine": 0,
        "failures": 0,
        "skipped": 0,
        "unreplicated": 0.0,
        "probed": Probed(at - 60, None, 2.5),
    }
    return Readings(**{**values, **changes})


class Given:
    """Looks that see what a test says."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes

    def readings(self, row: Row, at: float) -> Readings:
        return healthy(at, **self.changes)


def look(world: World, looks: Any, usage: Any = None) -> StatusSnapshot:
    watcher = Process(world, pid=99)
    (table,) = outputs().tables
    return status.look(
        table,
        watcher.store,
        FakeSource(world, lambda: None),
        FakeTarget(world, lambda: None),
        AwsLedger(Calls(Side.TARGET, "Role importer"), world.dynamodb, LEDGER),
        watcher.machine,
        COMMAND,
        looks,
        usage,
    )


@pytest.fixture(scope="module")
def replica() -> World:
    return replicated()


def test_every_detector_is_shown_with_its_reading(replica: World) -> None:
    shown = as_json(look(replica, Given()))
    assert [each["metric"] for each in shown["detectors"]] == [each.metric for each in ALL]
    assert {each["level"] for each in shown["detectors"]} == {"fine"}
    lag = shown["lag"]
    assert (lag["probeSeconds"], lag["unreplicatedSeconds"]) == (2.5, 0.0)
    assert shown["quarantined"] == 0
    assert shown["bufferUsed"] < 0.001


def test_the_thresholds_of_the_stack_file_are_those_that_status_judges_by(tmp_path: Path) -> None:
    alarms = {"retentionUsedPercent": 50, "probeAgeMinutes": 60, "unreplicatedWarningHours": 3}
    deployed = dry_run_policies.declare({**CONFIG, "alarms": {"thresholds": alarms}}, tmp_path)
    (table,) = parse(json.dumps(deployed.outputs), "test").tables
    half = Stream("ACTIVE", 8760, 10_240, "USER_PARTITION_KEY", NOW - 0.4 * 8760 * 3600)
    late = {"probed": Probed(None, NOW - 3000, None), "unreplicated": 7200.0, "stream": half}
    by_default = {"BufferUsed", "ProbeAge", "UnreplicatedAge"}
    for limits, warned in ((table.limits, set()), (AlarmLimits(), by_default)):
        judged = judge(healthy(**late), expected(replace(outputs().tables[0], limits=limits)))
        assert {each.detector.metric for each in judged if each.level != Level.FINE} == warned


def test_with_nothing_against_it_a_switch_is_safe(replica: World) -> None:
    shown = look(replica, Given())
    assert as_json(shown)["safeToSwitch"] is True
    assert as_json(shown)["notSafeBecause"] == []
    assert "nothing known stands against it" in page(shown)


LOSSES: list[tuple[dict[str, Any], str]] = [
    ({"quarantine": 3}, "QuarantineObjects: 3"),
    ({"failures": 1}, "OnFailureObjects: 1"),
    ({"skipped": 2}, "RecordsNeverReplicated: 2"),
    ({"destinations": []}, "DestinationActive: none"),
    ({"source": Identity("source-2", "source-1")}, "SourceTableChanged: source-2"),
    ({"target": Identity(None, "target-1")}, "TargetTableChanged: no such table"),
    ({"stream": Stream("ACTIVE", 24, 10_240, "AUTO", 0)}, "StreamHealthy: keeps 24 h"),
    ({"mapping": "Disabled"}, "MappingAsIntended: Disabled"),
    ({"unreplicated": 7_200.0}, "UnreplicatedAge: 7200 s"),
    ({"quarantine": Unread("AccessDenied")}, "could not be read: AccessDenied"),
]


@pytest.mark.parametrize(("changes", "words"), LOSSES)
def test_each_known_loss_and_each_blind_eye_stands_against_a_switch(
    replica: World, changes: dict[str, Any], words: str
) -> None:
    shown = look(replica, Given(**changes))
    value = as_json(shown)
    assert value["safeToSwitch"] is False
    assert any(words in reason for reason in value["notSafeBecause"])
    text = page(shown)
    assert "not safe, because" in text
    assert "Try: " in text


def test_a_table_that_is_not_replicating_is_not_safe_to_switch_to() -> None:
    world = World()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.exports))
    reasons = as_json(look(world, Given()))["notSafeBecause"]
    assert "the table is EXPORTING, not REPLICATING" in reasons


def test_before_a_run_nothing_is_looked_for() -> None:
    shown = as_json(look(World(), Given()))
    assert (shown["detectors"], shown["safeToSwitch"]) == ([], None)


def looks(
    source: dict[str, Any] | None = None,
    target: dict[str, Any] | None = None,
    book: WatchdogState | None = None,
) -> HealthReader:
    good = healthy()
    ok_source = {
        "table_id": "source-1",
        "destinations": good.destinations,
        "stream": good.stream,
        "skipped": 0,
        "unreplicated": 0.0,
    }
    ok_target = {"table_id": "target-1", "mapping": "Enabled"}
    ledger = {"intent": good.intent, "book": book or WatchdogState(through=NOW - 60, lag=2.5)}
    sides: list[Any] = [
        Answers(**{**ok_source, **(source or {})}),
        Answers(**{**ok_target, **(target or {})}),
        Answers(**ledger),
    ]
    return HealthReader(*sides, lambda: 0, lambda: 0)


def test_a_reading_that_is_denied_keeps_nobody_from_the_others() -> None:
    denied = UnreadableError("AccessDeniedException")
    lost = AccountError(Side.SOURCE, "no such role", fix="-")
    read = looks({"destinations": denied, "stream": lost}).readings(Row(), NOW)
    assert read.missed == {"destinations": "AccessDeniedException", "stream": "no such role"}
    whole = looks().readings(Row(), NOW)
    assert whole.missed == {}


def test_what_cannot_be_read_for_one_reason_is_told_once_with_what_helps(replica: World) -> None:
    why = Unread("There are no usable credentials")
    shown = look(replica, Given(stream=why, skipped=why))
    named = "RecordsNeverReplicated, StreamHealthy, BufferUsed: could not be read: There are no"
    text = page(shown)
    assert f"not safe, because {named}" in " ".join(text.split())
    assert text.count("Try: ") == 1
    assert "`python -m bootstrap plan" in text
    advice = {each["try"] for each in as_json(shown)["detectors"]} - {None}
    assert len(advice) == 1


def test_tables_are_held_against_the_ids_in_the_journal(replica: World) -> None:
    row, _ = Process(replica, pid=98).store.read("orders")
    assert row is not None
    same = looks().readings(row, NOW)
    other = looks({"table_id": "source-2"}, {"table_id": None}).readings(row, NOW)
    assert [isinstance(each, Identity) and each.changed for each in (same.source, same.target)] == [
        False,
        False,
    ]
    assert [
        isinstance(each, Identity) and each.changed for each in (other.source, other.target)
    ] == [True, True]


def verified_as_of(world: World, at: float) -> None:
    """A whole verification that found nothing to be missing of what was changed before."""
    counts = dict.fromkeys(("changed_since", "missing", "extra", "different", "foreign"), 0)
    counts |= dict.fromkeys(("source_items", "target_items", "equal"), 3)
    found = Verified("r", at + 120, at + 120, at + 120, 1.0, **counts, complete_until=at)
    journal_verified(world, found)


def test_an_outage_of_an_hour_stands_against_a_switch_until_a_whole_verification() -> None:
    world = replicated()
    off, on = world.clock() + 600, world.clock() + 4200
    world.clock.advance(9000)

    def shown(outage: Outage, **source: Any) -> StatusSnapshot:
        found = looks(
            source, book=WatchdogState(through=world.clock() - 60, lag=2.5, outage=outage)
        )
        return look(world, found)

    nowhere = [Destination(STREAM_ARN, "DISABLED", "MICROSECOND")]
    while_off = gap(shown(Outage(off), destinations=nowhere), None, COMMAND)
    assert while_off is not None
    assert (while_off.begin, while_off.open) == (off - 60, True)
    assert while_off.command == COMMAND.format("status")

    again = shown(Outage(off, on))
    assert as_json(again)["safeToSwitch"] is False
    assert "DestinationActive: ACTIVE, but it was not between" in page(again)
    named = gap(again, None, COMMAND)
    assert named is not None
    assert (named.begin, named.end, named.open) == (off - 60, on + 60, False)
    assert COMMAND.format("backfill") in named.line

    unseen_by_the_watchdog = gap(shown(Outage(off)), None, COMMAND)
    assert unseen_by_the_watchdog is not None
    assert unseen_by_the_watchdog.end >= on

    verified_as_of(world, on - 100)
    assert "but it was not between" in page(shown(Outage(off, on)))
    verified_as_of(world, on + 100)
    mended = shown(Outage(off, on))
    assert "but it was not between" not in page(mended)
    assert gap(mended, None, COMMAND) is None
