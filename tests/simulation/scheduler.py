"""Tasks that take turns on virtual time: the same seed gives the same interleaving.

A task runs until it pauses. Every AWS call of a fake pauses before and after its work, so whatever
else is going on can happen between any two of them.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.errors import Killed

T = TypeVar("T")


class StuckError(Exception):
    """Every task waits for another, or the schedule does not end."""


class Task:
    """One line of execution: an invocation, a thread of it, a poller, the operator."""

    def __init__(self, name: str, parent: Task | None) -> None:
        self.name = name
        self.parent = parent
        #: Another task joins this one and looks at how it ended.
        self.watched = parent is not None
        self.children: list[Task] = []
        self.killed = False
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.waiting: list[Task] = []
        self.green: Any = None
        self.generation = 0

    def family(self) -> list[Task]:
        """The task and everything it has started that is still running."""
        alive = [self]
        for child in self.children:
            alive.extend(child.family())
        return [task for task in alive if not task.done]


class Scheduler:
    """Runs tasks one at a time, the one that woke first; ties are drawn."""

    MOST_STEPS = 200_000

    def __init__(self, clock: VirtualClock, chance: random.Random) -> None:
        self.clock = clock
        self._chance = chance
        self._ready: list[tuple[int, float, int, int, Task]] = []
        self._numbers = itertools.count()
        self._main = getcurrent()
        self.current: Task | None = None
        self.steps = 0

    def spawn(
        self, name: str, work: Callable[[], Any], delay: float = 0.0, *, watched: bool = False
    ) -> Task:
        """Start a task that survives the others. What it raises ends the run, unless `watched`."""
        task = Task(name, None)
        task.watched = watched
        return self._spawn(task, work, delay)

    def start_child(self, name: str, work: Callable[[], Any]) -> Task:
        """A task that dies with the current one."""
        task = Task(name, self.current)
        if self.current is not None:
            self.current.children.append(task)
        return self._spawn(task, work, 0.0)

    def _spawn(self, task: Task, work: Callable[[], Any], delay: float) -> Task:
        def body() -> None:
            try:
                if not task.killed:
                    task.result = work()
            except BaseException as error:
                task.error = error
            task.done = True
            for waiting in task.waiting:
                self._wake(waiting, 0.0)

        task.green = greenlet(body, self._main)
        self._wake(task, delay)
        return task

    def _wake(self, task: Task, delay: float) -> None:
        task.generation += 1
        moment = self.clock.now_micros() + round(delay * 1_000_000)
        number = next(self._numbers)
        heapq.heappush(self._ready, (moment, self._chance.random(), number, task.generation, task))

    def pause(self, seconds: float = 0.0) -> None:
        """Let others run, and continue no sooner than in `seconds`."""
        task = self.current
        if task is None:
            self.clock.advance(seconds)
            return
        if task.killed:
            raise Killed
        self._wake(task, seconds)
        self._main.switch()
        if task.killed:
            raise Killed

    def block(self) -> None:
        """Waits until another task wakes this one."""
        task = self.current
        assert task is not None
        self._main.switch()
        if task.killed:
            raise Killed

    def wake(self, task: Task) -> None:
        self._wake(task, 0.0)

    def join(self, tasks: Sequence[Task], timeout: float | None = None) -> bool:
        """Waits until all have ended; False if that took longer than `timeout` seconds."""
        current = self.current
        assert current is not None
        end = None if timeout is None else self.clock.now_micros() + round(timeout * 1_000_000)
        for task in tasks:
            while not task.done:
                task.waiting.append(current)
                if end is not None:
                    self._wake(current, max(0, end - self.clock.now_micros()) / 1_000_000)
                self._main.switch()
                task.waiting = [other for other in task.waiting if other is not current]
                if current.killed:
                    raise Killed
                if end is not None and self.clock.now_micros() >= end and not task.done:
                    return False
        return True

    def kill(self, task: Task) -> None:
        """Ends a task and all it has started, wherever they are; nothing of them runs again."""
        for member in task.family():
            member.killed = True
            if member is not self.current:
                self._wake(member, 0.0)

    def run(self) -> None:
        """Until every task has ended. Raises what a task raised, unless it was killed."""
        while self._ready:
            self.steps += 1
            if self.steps > self.MOST_STEPS:
                raise StuckError("The schedule does not end.")
            moment, _, _, generation, task = heapq.heappop(self._ready)
            if task.done or generation != task.generation:
                continue
            if moment > self.clock.now_micros():
                self.clock.advance((moment - self.clock.now_micros()) / 1_000_000)
            self.current = task
            task.green.switch()
            self.current = None
            self._raise_unwatched(task)

    @staticmethod
    def _raise_unwatched(task: Task) -> None:
        if task.done and not task.watched and task.error is not None and not task.killed:
            raise task.error


class TaskClock:
    """The consumer's clock: sleeping lets others run."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def now_micros(self) -> int:
        return self._scheduler.clock.now_micros()

    def monotonic(self) -> float:
        return self._scheduler.clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self._scheduler.pause(seconds)


class TaskExecutor:
    """The consumer's threads: each call is a task, so the calls of one invocation overlap too."""

    def __init__(self, scheduler: Scheduler, width: int) -> None:
        self._scheduler = scheduler
        self.width = width

    def run_all(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        if len(calls) == 1 or self.width == 1:
            return [call() for call in calls]
        tasks = [
            self._scheduler.start_child(f"thread {number}", call)
            for number, call in enumerate(calls)
        ]
        self._scheduler.join(tasks)
        for task in tasks:
            if task.error is not None:
                raise task.error
        return [task.result for task in tasks]
