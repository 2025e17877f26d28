"""Goals and steps as values: their order, their states, and the names that the journal keeps."""

from __future__ import annotations

import pytest

from bootstrap.core.errors import BlockedError
from bootstrap.core.run_options import Goal, RunOptions
from bootstrap.core.state import State
from bootstrap.run.goals import GOALS
from bootstrap.run.progress import is_past, stops_before
from bootstrap.run.steps import STEPS
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.killed_process import Process, replicated


def test_the_steps_to_a_replica_are_in_the_only_safe_order() -> None:
    assert [(step.name, step.state) for step in STEPS] == [
        ("buffer", State.BUFFERING),
        ("export", State.EXPORTING),
        ("import", State.IMPORTING),
        ("target-deny", State.CONFIGURING),
        ("settings", State.CONFIGURING),
        ("enable", State.CONFIGURING),
        ("catch-up", State.CATCHING_UP),
        ("target-expiry", State.CATCHING_UP),
        ("ledger-expiry", State.CATCHING_UP),
    ]


def test_every_goal_has_its_steps_and_its_final_state() -> None:
    assert GOALS.keys() == set(Goal)
    assert [step.name for step in GOALS[Goal.PAUSE].steps] == ["pause"]
    assert [step.name for step in GOALS[Goal.ABANDON].steps] == ["abandon"]
    for goal in (Goal.REPLICATE, Goal.RESUME):
        assert GOALS[goal].steps == STEPS
        assert GOALS[goal].final_state is None
    assert GOALS[Goal.PAUSE].final_state is State.PAUSED
    assert GOALS[Goal.ABANDON].final_state is State.ABANDONED


@pytest.mark.parametrize("goal", [Goal.PAUSE, Goal.RESUME, Goal.ABANDON])
def test_a_goal_that_needs_a_run_refuses_a_table_without_one(goal: Goal) -> None:
    world = FakeAws()
    with pytest.raises(BlockedError):
        Process(world, options=RunOptions(goal=goal)).go()
    assert world.order("export", "import_table", "enable_mapping", "disable_mapping") == []


def test_a_run_stops_before_the_state_that_it_was_given_and_never_before_a_replica() -> None:
    assert stops_before(State.IMPORTING, until=State.IMPORTING)
    assert stops_before(State.CONFIGURING, until=State.IMPORTING)
    assert not stops_before(State.EXPORTING, until=State.IMPORTING)
    assert not stops_before(State.REPLICATING, until=State.REPLICATING)


def test_a_replica_is_past_every_earlier_stop() -> None:
    process = Process(replicated(), pid=101)
    process.start()
    assert is_past(State.IMPORTING, process.run.journal)
    assert not is_past(State.REPLICATING, process.run.journal)
