"""A source table that was restored or made again under its name, and how a replica adopts it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bootstrap.aws.calls import Calls
from bootstrap.aws.ledger import AwsLedger
from bootstrap.core.errors import BlockedError, Side
from bootstrap.core.run_options import Goal, RunOptions
from bootstrap.journal.records import Adopting, Buffered
from bootstrap.journal.verification_records import Verified
from bootstrap.status.health_checks import expected_settings
from bootstrap.status.json_members import as_json
from replicator.stream import Destination
from replicator.watchdog.aws_states import TableState
from replicator.watchdog.judge import judge
from replicator.watchdog.probe_rounds import WatchdogState
from replicator.watchdog.readings import Identity, Outage
from tests.support.bootstrap.fake_aws import LEDGER, STREAM_ARN, FakeAws, outputs
from tests.support.bootstrap.kill_points import kill_at
from tests.support.bootstrap.killed_process import Process, journal_verified
from tests.support.bootstrap.pauses import paused
from tests.support.bootstrap.status import FixedHealth, healthy, look
from tests.support.fakes.errors import Killed

pytestmark = pytest.mark.promise("C6", "C7")

HOUR = 3_600.0
ADOPT = RunOptions(adopt_source=True)
RESUME = RunOptions(goal=Goal.RESUME, adopt_source=True)
OFF: list[Destination] = []
ON = [Destination(STREAM_ARN, "ACTIVE", "MICROSECOND")]


def restored() -> FakeAws:
    """A paused replica whose source is another table, which has its stream again."""
    world = paused()
    world.clock.advance(2 * HOUR)
    world.source = dataclasses.replace(world.source, table_id="source-2", created=world.clock())
    world.clock.advance(60)
    return world


def go(world: FakeAws, options: RunOptions, pid: int = 9) -> Process:
    process = Process(world, pid=pid, options=options)
    process.go()
    return process


def verify(world: FakeAws, until: float, **changes: Any) -> None:
    """Record a verification of all keys that covers every change before `until`."""
    counts = dict.fromkeys(("changed_since", "missing", "extra", "different", "foreign"), 0)
    counts |= dict.fromkeys(("source_items", "target_items", "equal"), 3)
    at = world.clock()
    found = Verified("r", at, at, at, 1.0, **counts, complete_until=until)
    journal_verified(world, dataclasses.replace(found, **changes))


def resumed() -> FakeAws:
    world = restored()
    go(world, RESUME)
    return world


def known_id(world: FakeAws) -> str:
    process = Process(world, pid=96)
    with world.unwatched():
        row, _ = process.store.read("orders")
    assert row is not None
    buffered = row.record(Buffered)
    assert buffered is not None
    return buffered.table_id


def watchdog_row(world: FakeAws, **members: object) -> None:
    book = dataclasses.replace(WatchdogState(tables={"source": "source-1"}), **members)  # type: ignore[arg-type]
    with world.unwatched():
        item = {"k": {"B": b"watchdog"}, "book": {"S": book.as_text()}}
        world.dynamodb.put_item(TableName=LEDGER, Item=item)


def watched_id(world: FakeAws) -> str | None:
    ledger = AwsLedger(Calls(Side.TARGET, "Role importer"), world.dynamodb, LEDGER)
    with world.unwatched():
        return ledger.book().tables.get("source")


@pytest.mark.parametrize("goal", [Goal.REPLICATE, Goal.RESUME])
def test_unasked_no_run_continues_with_another_table(goal: Goal) -> None:
    world = restored()
    with pytest.raises(BlockedError, match="deleted and created again") as caught:
        go(world, RunOptions(goal=goal))
    first, *_ = caught.value.fix.split(";")
    assert first == "`python -m bootstrap pause`"
    for command in ("resume --adopt-source", "verify --repair", "run --adopt-source"):
        assert f"`python -m bootstrap {command}`" in caught.value.fix
    assert world.mapping_enabled_at is None


@pytest.mark.parametrize("options", [RunOptions(), ADOPT, RESUME])
def test_no_run_continues_without_a_source(options: RunOptions) -> None:
    world = resumed() if options.goal is Goal.REPLICATE else paused()
    world.source = None  # type: ignore[assignment]
    with pytest.raises(BlockedError, match="was deleted since this run began") as caught:
        go(world, options)
    assert caught.value.fix.startswith("`python -m bootstrap pause`")


def test_a_table_without_its_stream_is_not_resumed() -> None:
    world = restored()
    world.destinations = OFF
    with pytest.raises(BlockedError, match="do not go to stream") as caught:
        go(world, RESUME)
    assert "pulumi up --refresh" in caught.value.fix
    assert world.mapping_enabled_at is None


def test_resume_switches_the_consumer_on_and_adopts_nothing() -> None:
    world = resumed()
    assert world.mapping_enabled_at is not None
    assert known_id(world) == "source-1"


def test_an_equal_verification_since_then_adopts_the_table() -> None:
    world = resumed()
    watchdog_row(world)
    verify(world, world.clock())
    process = go(world, ADOPT)
    assert (known_id(world), watched_id(world)) == ("source-2", "source-2")
    assert process.run.journal.get(Adopting) is None
    go(world, RunOptions(), pid=10)


@pytest.mark.parametrize(
    "changes",
    [
        {"different": 1},
        {"missing": 1, "repaired": 1},
        {"foreign": 2},
        {"sample": 0.5},
        {"complete_until": 0},
    ],
)
def test_any_other_verification_does_not(changes: dict[str, Any]) -> None:
    world = resumed()
    verify(world, world.clock(), **changes)
    with pytest.raises(BlockedError, match="no verification has found both tables equal") as caught:
        go(world, ADOPT)
    assert "`python -m bootstrap verify --repair`" in caught.value.fix
    assert known_id(world) == "source-1"


def test_a_verification_from_before_the_tables_stream_does_not() -> None:
    world = restored()
    verify(world, world.clock() - 1)
    go(world, RESUME)
    with pytest.raises(BlockedError, match="no verification"):
        go(world, ADOPT, pid=10)


def test_a_verification_of_the_old_table_does_not_adopt_a_third_one() -> None:
    world = resumed()
    verify(world, world.clock())
    world.clock.advance(60)
    world.source = dataclasses.replace(world.source, table_id="source-3", created=world.clock())
    with pytest.raises(BlockedError, match="no verification"):
        go(world, ADOPT)
    assert known_id(world) == "source-1"


def test_what_the_watchdog_saw_of_the_new_tables_stream_counts() -> None:
    world = restored()
    created = world.source.created
    watchdog_row(world, outage=Outage(created - 60, created + 30))
    verify(world, created + 31)
    go(world, RESUME)
    assert known_id(world) == "source-2"


def test_what_the_watchdog_saw_of_the_old_tables_stream_does_not() -> None:
    world = restored()
    created = world.source.created
    watchdog_row(world, outage=Outage(created - 60, created - 30))
    verify(world, created + 31)
    go(world, RESUME)
    assert known_id(world) == "source-1"


def test_the_same_table_needs_no_adoption() -> None:
    world = paused()
    world.clock.advance(2 * HOUR)
    go(world, RESUME)
    assert known_id(world) == "source-1"


@pytest.mark.promise("C10")
def test_two_detectors_give_one_advice_and_no_backfill_is_named() -> None:
    another = Identity(TableState("source-2", "ACTIVE"), "source-1")
    fired = {"source": another, "destinations": OFF, "outage": Outage(1.0)}
    world = resumed()
    shown = as_json(look(world, FixedHealth(**fired)))
    advice = {
        each["metric"]: each["try"]
        for each in shown["detectors"]
        if each["metric"] in ("SourceTableChanged", "DestinationActive")
    }
    assert len(set(advice.values())) == 1
    assert "run --stack local --adopt-source" in advice["DestinationActive"]
    assert advice["DestinationActive"].startswith("`python -m bootstrap pause")
    assert (shown["gap"], shown["next"]) == (None, None)
    world = restored()
    shown = as_json(look(world, FixedHealth(**fired)))
    assert shown["decision"] == advice["DestinationActive"]


def test_the_destination_alone_keeps_its_own_advice() -> None:
    (table,) = outputs().tables
    findings = judge(healthy(destinations=OFF), expected_settings(table))
    (found,) = [each for each in findings if each.detector.metric == "DestinationActive"]
    assert "CloudTrail" in found.first


@pytest.mark.parametrize("options", [RESUME, ADOPT], ids=["resume", "run"])
@pytest.mark.slow
def test_killed_at_any_call_the_same_command_ends_it(options: RunOptions) -> None:
    adopts = options.goal is Goal.REPLICATE

    def prepared() -> FakeAws:
        if not adopts:
            return restored()
        world = resumed()
        watchdog_row(world)
        verify(world, world.clock())
        return world

    ready = prepared()
    clean = ready.copied()
    clean.seen.clear()
    go(clean, options)
    names = [each.name for each in clean.seen]
    for number in range(0, min(len(names), 24)):
        for after in (False, True):
            world = ready.copied()
            kill_at(world, world.calls + number + 1, after)
            with pytest.raises(Killed):
                go(world, options)
            world.on_call = lambda call, name, done: None
            go(world, options, pid=11)
            wanted = "source-2" if adopts else "source-1"
            when = f"killed {'after' if after else 'before'} call {number} ({names[number]})"
            assert known_id(world) == wanted, when
            if adopts:
                assert watched_id(world) == wanted, when
