"""Runs that pause and resume a replica."""

from __future__ import annotations

from bootstrap.core.run_options import Goal, RunOptions
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.killed_process import Process, replicated

PAUSE = RunOptions(goal=Goal.PAUSE)


RESUME = RunOptions(goal=Goal.RESUME)


def paused(world: FakeAws | None = None) -> FakeAws:
    world = replicated(world)
    Process(world, pid=2, options=PAUSE).go()
    return world
