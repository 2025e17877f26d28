"""`status` of another operator, beside a switch: it shows what is open, at every call."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.core.state import State
from bootstrap.journal.switch_records import SwitchMode, SwitchStep
from bootstrap.status.json_members import as_json
from bootstrap.status.page import page
from tests.support.bootstrap.fake_aws import COMMAND, FakeAws
from tests.support.bootstrap.status import FixedHealth, look
from tests.support.bootstrap.switch_harness import HEALTHY_STREAM
from tests.support.bootstrap.switch_world import (
    WriterWatch,
    a_switch,
    look_nowhere,
    ready_to_switch,
    stream_outputs,
    with_own_stream,
)
from tests.support.fakes.errors import Killed

pytestmark = pytest.mark.promise("C9", "C10")

EVERY = 7
"""Calls from one look to the next: a switch makes hundreds."""


@pytest.fixture(scope="module")
def ready() -> FakeAws:
    return ready_to_switch()


@pytest.fixture
def world(ready: FakeAws) -> FakeAws:
    return ready.copied()


def shown(world: FakeAws) -> dict[str, Any]:
    with world.unwatched():
        snapshot = look(world, FixedHealth())
        assert page(snapshot)
        found: dict[str, Any] = as_json(snapshot)
        return found


@pytest.mark.parametrize("mode", SwitchMode)
def test_it_follows_a_switch_from_step_to_step_and_claims_no_open_table_that_is_closed(
    world: FakeAws, mode: SwitchMode
) -> None:
    watch, steps, wrong = WriterWatch(world), [], []

    def look_at(number: int, name: str, after: bool) -> None:
        if number % EVERY or after:
            return
        found = shown(world)
        if found["state"] != State.SWITCHING:
            return
        steps.append(found["switch"]["step"])
        if found["safeToSwitch"] or found["next"] != COMMAND.format("status"):
            wrong.append(f"call {number}: {found['next']}")
        for side, takes in zip(("source", "target"), watch.takes_writes(), strict=True):
            # A Deny is read minutes before it holds everywhere: never the other way round.
            if found["switch"][side]["open"] and not takes:
                wrong.append(f"call {number}: {side} is not open")

    watch.then = look_at
    a_switch(world, mode=mode).run()
    assert wrong == []
    assert steps == sorted(steps, key=lambda step: SwitchStep(step).order)
    assert {SwitchStep.DRAIN, SwitchStep.GATE} <= set(steps)


def test_after_a_switch_nothing_is_open_but_the_target_until_it_is_finished(
    world: FakeAws,
) -> None:
    a_switch(world).run()
    found = shown(world)
    assert (found["state"], found["next"], found["decision"]) == ("SWITCHED", None, None)
    switch = found["switch"]
    assert (switch["open"], switch["gateClosed"]) == ([], True)
    world.clock.advance(300)
    switch = shown(world)["switch"]
    assert (switch["source"]["open"], switch["target"]["open"]) == (False, True)
    assert 300 <= switch["writersRefusedSeconds"] < 1_000
    world.clock.advance(86_400)
    assert shown(world)["next"] == COMMAND.format("switch") + " --finish"


@pytest.mark.parametrize("step", [SwitchStep.DRAIN, SwitchStep.GATE])
def test_of_a_switch_that_was_killed_the_cancelling_command_that_it_names_opens_the_source(
    world: FakeAws, step: SwitchStep
) -> None:
    watch = WriterWatch(world)

    def kill(number: int, name: str, after: bool) -> None:
        if number % EVERY == 0 and not after and not killed:
            found = shown(world)
            if found["state"] == State.SWITCHING and found["switch"]["step"] == step:
                killed.append(number)
                raise Killed

    killed: list[int] = []
    watch.then = kill
    with pytest.raises(Killed):
        a_switch(world, pid=100).run()
    world.alive.discard(100)
    found = shown(world)
    assert found["next"] is None
    assert f"`{COMMAND.format('switch')} --cancel` opens the source" in found["decision"]
    assert f"`{COMMAND.format('switch')} --fence`" in found["decision"]
    assert found["switch"]["source"]["open"] is False
    a_switch(world, pid=101).cancel()
    world.alive.discard(101)
    world.clock.advance(300)
    assert watch.takes_writes() == (True, False)
    assert shown(world)["state"] in (State.REPLICATING, State.DEGRADED)
    assert not watch.both_open


def test_a_switch_that_died_with_its_consumer_off_says_so_and_names_both_commands(
    ready: FakeAws,
) -> None:
    world = with_own_stream(ready.copied())
    watch = WriterWatch(world)

    def die(number: int, name: str, after: bool) -> None:
        if name == "disable_mapping" and after:
            raise Killed(name)

    watch.then = die
    with pytest.raises(Killed):
        a_switch(world).run()
    watch.then = look_nowhere
    world.alive.clear()
    world.clock.advance(61)
    with world.unwatched():
        text = page(look(world, FixedHealth(**HEALTHY_STREAM), chosen=stream_outputs()))
    assert "its mapping is off, or about to be, until the switch ends or is cancelled" in text
    assert "keeps what waits for 24 hours" in text
    for option in ("--cancel", "--fence"):
        assert f"`{COMMAND.format('switch')} {option}`" in text
