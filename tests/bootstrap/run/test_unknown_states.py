"""States that AWS added after this version: not done yet, and shown by name."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bootstrap.core.facts import Destinations
from bootstrap.core.outcome import Pending
from bootstrap.core.run_options import Goal, RunOptions
from bootstrap.core.state import State
from bootstrap.journal.records import Interrupted
from replicator.stream import Destination
from tests.support.bootstrap.fake_accounts import FakeSource, FakeTarget
from tests.support.bootstrap.kill_points import check, quick
from tests.support.bootstrap.killed_process import Process

pytestmark = pytest.mark.promise("C6")

ABANDON = RunOptions(goal=Goal.ABANDON, drop_target=True)
NEW = "REHYDRATING"
TIMES = 5


class NewState:
    """Answers of one method that carry a new state, several times from the first one on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, account: type, method: str) -> None:
        self.left = TIMES
        known = getattr(account, method)

        def answer(fake: Any, *given: Any) -> Any:
            return self.changed(known(fake, *given))

        monkeypatch.setattr(account, method, answer)

    def changed(self, facts: Any) -> Any:
        if facts is None or not self.left or (isinstance(facts, Destinations) and not facts.all):
            return facts
        self.left -= 1
        if isinstance(facts, Destinations):
            found = tuple(dataclasses.replace(each, status=NEW) for each in facts.all)
            return dataclasses.replace(facts, all=found)
        member = "state" if hasattr(facts, "state") else "status"
        return dataclasses.replace(facts, **{member: NEW})


@pytest.mark.parametrize(
    ("account", "method"),
    [
        (FakeSource, "destinations"),
        (FakeSource, "describe_export"),
        (FakeTarget, "describe_import"),
        (FakeTarget, "table"),
    ],
)
def test_run_waits_while_a_state_is_unknown(
    monkeypatch: pytest.MonkeyPatch, account: type, method: str
) -> None:
    world = quick()
    process = Process(world)
    process.start()
    injected = NewState(monkeypatch, account, method)
    process.until(lambda: process.run.journal.row.state is State.REPLICATING)
    assert injected.left == 0
    check(world, process, f"{method} in an unknown state")


@pytest.mark.parametrize(
    "state", [State.IMPORTING, State.CONFIGURING, State.CATCHING_UP, State.REPLICATING]
)
def test_run_waits_for_a_destination_whose_state_becomes_unknown(
    monkeypatch: pytest.MonkeyPatch, state: State
) -> None:
    world = quick()
    process = Process(world)
    process.start()
    process.until(lambda: process.run.journal.row.state is state)
    injected = NewState(monkeypatch, FakeSource, "destinations")
    waited: list[str] = []
    while injected.left:
        outcome = process.run.tick()
        if isinstance(outcome, Pending):
            waited.append(outcome.what)
        world.clock.sleep(getattr(outcome, "poll", 0))
    assert any(NEW in what for what in waited)
    # Whether changes came in meanwhile is unknown, so they may be missing.
    assert process.run.journal.get(Interrupted) is not None


@pytest.mark.parametrize(
    ("account", "method", "waits"),
    [
        (FakeSource, "describe_export", "the export to end"),
        (FakeTarget, "describe_import", "the import to end"),
    ],
)
def test_abandon_waits_for_what_is_not_known_to_be_over(
    monkeypatch: pytest.MonkeyPatch, account: type, method: str, waits: str
) -> None:
    world = quick()
    first = Process(world)
    first.start()
    known = world.exports if account is FakeSource else world.imports
    first.until(lambda: bool(known) and first.run.journal.row.waiting is not None)
    first.world.alive.discard(first.pid)
    injected = NewState(monkeypatch, account, method)
    process = Process(world, pid=2, options=ABANDON)
    process.start()
    waited: list[str] = []
    while process.run.journal.row.state is not State.ABANDONED:
        before = injected.left
        outcome = process.run.tick()
        if injected.left < before and isinstance(outcome, Pending):
            waited.append(outcome.what)
        world.clock.sleep(getattr(outcome, "poll", 0))
    assert injected.left == 0
    # Of the looks at an import, the first one notes the table that it made.
    assert len(waited) >= TIMES - 1
    assert all(what.startswith(waits) for what in waited)


@pytest.mark.parametrize(
    ("status", "busy"),
    [(NEW, True), ("ACTIVE", True), ("DISABLED", False), ("ENABLE_FAILED", False)],
)
def test_another_stream_in_an_unknown_state_takes_the_tables_destination(
    status: str, busy: bool
) -> None:
    found = Destinations((Destination("other", status, None),), 0)
    assert (found.elsewhere("ours") is not None) is busy
