"""All cases of a switch that follow from recorded ones, and their campaign."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.crash.crash_points import KILLS, Case
from tests.crash.emulated_stacks import Lane
from tests.crash.hooks import Line
from tests.crash.matrix import moments, recording
from tests.crash.switch_case import (
    CANCEL,
    COMMITTED,
    FENCE,
    GATE_CLOSED,
    Application,
    Operator,
    SwitchCase,
    trial,
)
from tests.crash.switch_lane import SwitchLane


def switch_cases(operator: Operator, calls: Sequence[Line]) -> list[SwitchCase]:
    """Kill an operator at the first and last reading, and at every change, of a run like this."""
    return [
        SwitchCase(operator, Case(moment, deed))
        for (step, operation), count in recording([calls]).items()
        for moment in moments(step, operation, count)
        for deed in KILLS
    ]


def record_switch(ready: SwitchLane) -> list[SwitchCase]:
    """Play each operator once without a crash of its own; return all cases."""
    found: list[SwitchCase] = []
    plays = (
        ((Operator.AGAIN, Operator.CANCEL), None, FENCE),
        ((Operator.CANCELLING,), GATE_CLOSED, CANCEL),
        ((Operator.CONTINUING,), COMMITTED, FENCE),
    )
    for operators, first, command in plays:
        with Application(ready):
            if first is not None:
                ready.lane.start(first, *FENCE).wait()
            ended = ready.lane.start(None, *command).wait()
        if ended.code != 0:
            raise RuntimeError(f"{command} that nothing was done to ended with {ended}.")
        ready.restore()
        found += [case for each in operators for case in switch_cases(each, ended.calls)]
    return found


class SwitchCampaign:
    """Cases in their order, several at a time. Says what became of each, and how to do it again."""

    def __init__(self, cases: Sequence[SwitchCase], minutes: float | None = None) -> None:
        self._left = deque(cases)
        self._until = None if minutes is None else time.monotonic() + minutes * 60
        self._lock = threading.Lock()
        self.done: list[SwitchCase] = []
        self.problems: list[str] = []

    def serve(self, there: Sequence[Lane]) -> int:
        """Play all of them on these lanes; return 0 if nothing was wrong."""
        with ThreadPoolExecutor(len(there)) as pool:
            for done in [pool.submit(self._work, lane) for lane in there]:
                done.result()
        print(f"{len(self.done)} cases of a switch, {len(self.problems)} problems")
        if self._left:
            print(f"{len(self._left)} cases were left")
        return 1 if self.problems or self._left else 0

    def _work(self, lane: Lane) -> None:
        ready = SwitchLane.prepare(lane)
        while (case := self._next()) is not None:
            began = time.monotonic()
            problems = trial(ready, case)
            with self._lock:
                self.done.append(case)
                self.problems += [f"{case}: {problem}" for problem in problems]
                print(
                    f"{time.monotonic() - began:5.1f} s  {'FAILED' if problems else 'ok':6} {case}"
                )
                for problem in problems:
                    print(f"       {problem}\nTry: python -m tests.crash --switch {case}")
                print(end="", flush=True)
            if problems:
                return  # whatever is wrong with this lane is not to be the next case's
            ready.restore()

    def _next(self) -> SwitchCase | None:
        with self._lock:
            over = self._until is not None and time.monotonic() > self._until
            return None if over or not self._left else self._left.popleft()
