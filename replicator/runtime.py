"""The clock, the random generator and the executor that the consumer runs on.

All three are passed in. A simulation passes a clock that it moves itself, a seeded generator and an
executor that calls one after the other.
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
        """Return microseconds since 1970."""

    def monotonic(self) -> float:
        """Return seconds that never decrease."""

    def sleep(self, seconds: float) -> None: ...


class Executor(Protocol):
    width: int
    """The number of callables that `run_all` runs at once."""

    def run_all(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Return the results in order; raise the first error after all calls have ended."""


class SystemClock:
    def now_micros(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class SerialExecutor:
    """Calls in turn, in the caller's thread."""

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
    """The end of an invocation, as a limit for calls and waits.

    A call may take as long as its client's time-outs allow, so the last one starts that long before
    the end. A write that is in flight when Lambda freezes the container can take effect at any
    later time, unseen, and over a newer change.
    """

    CALL_SECONDS = 8.0
    """Connect (2 s) and read (5 s) time-outs of the clients, and one second to return."""

    _FIRST_WAIT = 0.05
    _LONGEST_WAIT = 5.0

    def __init__(self, runtime: Runtime, remaining_millis: float) -> None:
        self._runtime = runtime
        self._began = runtime.clock.monotonic()
        self._end = self._began + remaining_millis / 1000

    def shorten(self, seconds: float) -> None:
        """End the invocation's calls so long after it began, if that is earlier."""
        self._end = min(self._end, self._began + seconds)

    def allows_call(self) -> bool:
        return self._runtime.clock.monotonic() + self.CALL_SECONDS <= self._end

    def wait(self, failures: int) -> bool:
        """Wait with full jitter after so many failures; return whether a call may follow."""
        longest = min(self._LONGEST_WAIT, self._FIRST_WAIT * 2 ** min(failures, 16))
        seconds = self._runtime.random.uniform(0, longest)
        last_start = self._end - self.CALL_SECONDS
        if self._runtime.clock.monotonic() + seconds > last_start:
            return False
        self._runtime.clock.sleep(seconds)
        return self.allows_call()
