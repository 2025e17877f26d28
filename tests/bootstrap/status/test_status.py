"""`status` shows one screen from anywhere, and changes nothing."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from bootstrap.core.errors import AccountError, BlockedError, Side
from bootstrap.core.state import State
from bootstrap.status.json_members import as_json
from bootstrap.status.page import page
from tests.support.bootstrap.fake_accounts import FakeTarget
from tests.support.bootstrap.fake_aws import COMMAND, FakeAws
from tests.support.bootstrap.killed_process import Process, replicated
from tests.support.bootstrap.status import look

pytestmark = pytest.mark.promise("C5", "C10")

RUN = COMMAND.format("run")


READS = {"GetItem", "BatchGetItem", "Query", "mapping", "describe_export", "describe_import"}


@pytest.mark.parametrize("state", [State.PLANNED, State.EXPORTING, *list(State)[3:7]])
def test_status_only_reads(state: State) -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: process.run.journal.row.state is state)
    process.run.tick()
    before = len(world.seen)
    look(world)
    assert {seen.name for seen in world.seen[before:]} <= READS


def test_before_the_first_run_the_next_command_is_run() -> None:
    shown = as_json(look(FakeAws()))
    assert shown["state"] == "PLANNED"
    assert shown["next"] == RUN
    assert shown["history"] == []


def test_while_a_run_works_status_says_who_and_what_it_waits_for_since_when() -> None:
    world = FakeAws()
    process = Process(world, pid=7)
    process.start()
    process.until(lambda: bool(world.exports))
    for _ in range(3):
        process.run.tick()
    waiting_since = world.clock()
    world.clock.advance(40)
    shown = as_json(look(world))
    assert shown["state"] == "EXPORTING"
    assert shown["holder"] == "process 7 on laptop"
    assert shown["waitingFor"]["what"] == "the export"
    assert shown["progress"]["elapsedSeconds"] >= 40
    assert shown["next"] == COMMAND.format("status")
    assert look(world).waiting is not None
    waiting = look(world).waiting
    assert waiting is not None
    assert abs(waiting.since - waiting_since) <= 1


def test_a_wait_that_nothing_measures_is_not_told_the_size_of_the_import() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.times("oldest_unreplicated")))
    process.run.tick()
    text = page(look(world))
    assert "DynamoDB's report on what it has yet to hand over, for" in text
    assert as_json(look(world))["progress"] is None


def test_while_it_catches_up_status_counts_the_probes_that_are_through() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.probes))
    world.probes.pop()
    world.clock.advance(60)
    process.run.tick()
    progress = as_json(look(world))["progress"]
    assert (progress["items"], progress["ofItems"], progress["unit"]) == (1, 2, "probes")


def test_when_the_run_has_died_the_next_command_is_run() -> None:
    world = FakeAws()
    process = Process(world, pid=7)
    process.start()
    process.until(lambda: bool(world.exports))
    world.alive.discard(7)
    shown = as_json(look(world))
    assert shown["holder"] is None
    assert shown["waitingFor"] is None
    assert shown["next"] == RUN


def test_after_the_run_there_is_nothing_to_do() -> None:
    world = replicated()
    shown = as_json(look(world))
    assert shown["state"] == "REPLICATING"
    assert shown["mappingEnabled"] is True
    assert shown["next"] is None
    assert [entry["state"] for entry in shown["history"]][-1] == "REPLICATING"
    assert shown["exportArn"] in world.exports
    assert shown["importArn"] in world.imports
    assert shown["runId"]
    assert shown["warnings"] == []
    assert json.loads(json.dumps(shown)) == shown


def test_a_replica_whose_consumer_is_off_says_so() -> None:
    world = replicated()
    world.mapping_enabled_at = None
    shown = as_json(look(world))
    assert shown["mappingEnabled"] is False
    assert "the consumer is off" in shown["warnings"][0]
    assert shown["next"] == RUN


@pytest.mark.parametrize("state", ["Updating", "A_NEW_STATE"])
def test_a_consumer_in_another_state_is_not_said_to_be_off(
    monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    world, known = replicated(), FakeTarget.mapping

    def mapping(fake: FakeTarget, uuid: str) -> Any:
        found = known(fake, uuid)
        return found and dataclasses.replace(found, state=state)

    monkeypatch.setattr(FakeTarget, "mapping", mapping)
    (warning,) = as_json(look(world))["warnings"]
    assert warning.startswith("it is not known if the consumer runs")
    assert state in warning


def test_a_failed_run_says_why_and_what_to_try() -> None:
    world = FakeAws()
    process = Process(world)

    def deny(number: int, name: str, after: bool) -> None:
        if name == "export":
            raise AccountError(Side.SOURCE, "may not export", fix="grant it")

    world.on_call = deny
    with pytest.raises(AccountError):
        process.go()
    world.on_call = lambda number, name, after: None
    shown = look(world)
    assert shown.state is State.FAILED
    assert as_json(shown)["failure"] == {
        "step": "export",
        "what": "may not export",
        "try": "grant it",
        "resumable": True,
    }
    assert "Try           grant it" in page(shown)
    assert as_json(shown)["next"] == RUN


def test_status_works_when_the_source_account_is_lost() -> None:
    world = FakeAws()
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.exports))
    process.run.tick()

    def lost(number: int, name: str, after: bool) -> None:
        if name == "describe_export":
            raise AccountError(Side.SOURCE, "gone", fix="-")

    world.on_call = lost
    assert look(world).state is State.EXPORTING


def test_a_page_fits_its_snapshot() -> None:
    text = page(look(replicated()))
    assert "REPLICATING since" in text
    assert "3 items" in text
    assert "nothing: the table replicates" in text


def test_a_blocked_run_shows_as_planned() -> None:
    world = FakeAws()
    world.retention_hours = 24
    with pytest.raises(BlockedError):
        Process(world).go()
    assert look(world).state is State.PLANNED
