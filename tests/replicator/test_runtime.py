"""Time and threads: waiting never runs into the deadline."""

from __future__ import annotations

import random
import threading
from functools import partial

import pytest

from replicator.runtime import Deadline, Runtime, SerialExecutor, ThreadExecutor
from tests.support.fakes.clock import VirtualClock

pytestmark = pytest.mark.promise("C4")


def test_a_call_may_start_while_its_time_outs_fit_before_the_end() -> None:
    clock = VirtualClock()
    deadline = Deadline(Runtime(clock), 20_000)
    clock.advance(20 - Deadline.CALL_SECONDS)
    assert deadline.allows_call()
    clock.advance(0.001)
    assert not deadline.allows_call()


def test_waits_have_full_jitter_and_a_longest() -> None:
    clock = VirtualClock()
    deadline = Deadline(Runtime(clock, random.Random(7)), 3_600_000)
    waits = []
    for failures in range(1, 60):
        before = clock.monotonic()
        assert deadline.wait(failures)
        waits.append(clock.monotonic() - before)
    assert max(waits) <= 5.0
    assert min(waits[10:]) < 0.5
    assert waits[0] <= 0.1


def test_no_wait_ends_too_late_for_a_call() -> None:
    clock = VirtualClock()
    deadline = Deadline(Runtime(clock, random.Random(7)), 15_000)
    end = clock.monotonic() + 15
    failures = 0
    while deadline.wait(failures := failures + 1):
        assert clock.monotonic() + Deadline.CALL_SECONDS <= end
    assert clock.monotonic() + Deadline.CALL_SECONDS <= end


@pytest.mark.parametrize("executor", [SerialExecutor(), ThreadExecutor(3)])
def test_results_come_in_order(executor: SerialExecutor | ThreadExecutor) -> None:
    assert executor.run_all([partial(int, n) for n in range(10)]) == list(range(10))


def test_threads_run_at_once_and_raise_after_all_have_ended() -> None:
    barrier = threading.Barrier(3, timeout=5)
    ended = []

    def call(number: int) -> None:
        barrier.wait()
        if number == 0:
            raise RuntimeError
        ended.append(number)

    with pytest.raises(RuntimeError):
        ThreadExecutor(3).run_all([partial(call, n) for n in range(3)])
    assert sorted(ended) == [1, 2]
