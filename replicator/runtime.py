"""Time, chance and threads: what the consumer needs of the machine, handed in to be played.

A simulation passes a clock that it moves, a seeded generator and an executor that calls in turn.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    def now_micros(self) -> int:
        """Microseconds since 1970."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def sleep(self, seconds: float) -> None: ...


class Executor(Protocol):
    width: int
    """How many callables it is worth giving to `run_all` at once."""

    def run_all(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """The results in order. What a call raises is raised once all have ended."""


class SystemClock:
    def now_micros(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class SerialExecutor:
    """Calls one after the other in the caller's thread."""

    width = 1

    def run_all(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        return [call() for call in calls]


class ThreadExecutor:
    """A pool of threads that lives as long as the container."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._pool: Any = None

    def run_all(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        if len(calls) == 1:
            return [calls[0]()]
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(self.width, thread_name_prefix="replicator")
        futures = [self._pool.submit(call) for call in calls]
        failures = [error for error in (future.exception() for future in futures) if error]
        if failures:
            raise failures[0]
        return [future.result() for future in futures]


@dataclass(frozen=True)
class Runtime:
    clock: Clock = field(default_factory=SystemClock)
    random: random.Random = field(default_factory=random.Random)
    executor: Executor = field(default_factory=SerialExecutor)


class Deadline:
    """The end of an invocation, and how to wait without running into it.

    A call that starts may take as long as its client's time-outs allow, so none starts later than
    that before the end: a write that is still in flight when Lambda freezes the container can take
    effect at any later time, unseen.
    """

    CALL_SECONDS = 8.0
    """Connect (2 s) and read (5 s) time-outs of the clients, and one second to return."""

    _FIRST_WAIT = 0.05
    _LONGEST_WAIT = 5.0

    def __init__(self, effects: Runtime, remaining_millis: float) -> None:
        self._effects = effects
        self._end = effects.clock.monotonic() + remaining_millis / 1000

    def allows_call(self) -> bool:
        return self._effects.clock.monotonic() + self.CALL_SECONDS <= self._end

    def wait(self, failures: int) -> bool:
        """Waits with full jitter after so many failures in a row; False: no call may follow."""
        longest = min(self._LONGEST_WAIT, self._FIRST_WAIT * 2 ** min(failures, 16))
        seconds = self._effects.random.uniform(0, longest)
        last_start = self._end - self.CALL_SECONDS
        if self._effects.clock.monotonic() + seconds > last_start:
            return False
        self._effects.clock.sleep(seconds)
        return self.allows_call()
