"""Turns, time and death in the simulation."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.simulation.scheduler import Scheduler, Task, TaskExecutor
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.errors import Killed


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler(VirtualClock(), random.Random(1))


def worker(scheduler: Scheduler, log: list[str], name: str) -> Callable[[], str]:
    def work() -> str:
        for step in range(3):
            log.append(f"{name}{step}")
            scheduler.pause(1.0)
        return name

    return work


def test_tasks_take_turns_where_they_pause(scheduler: Scheduler) -> None:
    log: list[str] = []
    for name in "ab":
        scheduler.spawn(name, worker(scheduler, log, name))

    scheduler.run()

    assert sorted(log[:2]) == ["a0", "b0"]
    assert sorted(log[2:4]) == ["a1", "b1"]


def test_calls_of_one_executor_overlap_and_give_results_in_order(scheduler: Scheduler) -> None:
    log: list[str] = []
    results: list[str] = []

    def parent() -> None:
        executor = TaskExecutor(scheduler, width=2)
        results.extend(executor.run_all([worker(scheduler, log, name) for name in "ab"]))

    scheduler.spawn("parent", parent)
    scheduler.run()

    assert results == ["a", "b"]
    assert sorted(log[:2]) == ["a0", "b0"]


def test_the_dead_run_no_further_and_take_their_threads_along(scheduler: Scheduler) -> None:
    log: list[str] = []

    def parent() -> None:
        executor = TaskExecutor(scheduler, width=2)
        try:
            executor.run_all([worker(scheduler, log, name) for name in "ab"])
        finally:
            with pytest.raises(Killed):
                scheduler.pause()
        log.append("alive")

    victim: Task = scheduler.spawn("parent", parent, watched=True)
    scheduler.spawn("killer", lambda: scheduler.kill(victim), delay=0.5)
    scheduler.run()

    assert victim.done
    assert sorted(log) == ["a0", "b0"]


def test_waiting_for_a_task_ends_when_time_is_up(scheduler: Scheduler) -> None:
    ended: list[tuple[bool, float]] = []
    slow = scheduler.spawn("slow", lambda: scheduler.pause(100.0))
    started = scheduler.clock.monotonic()

    def waiter() -> None:
        on_time = scheduler.join([slow], timeout=5.0)
        ended.append((on_time, scheduler.clock.monotonic() - started))

    scheduler.spawn("waiter", waiter)
    scheduler.run()

    assert ended == [(False, 5.0)]


def test_what_a_task_raises_ends_the_run(scheduler: Scheduler) -> None:
    def fails() -> None:
        raise ValueError("broken")

    scheduler.spawn("fails", fails)

    with pytest.raises(ValueError, match="broken"):
        scheduler.run()
