"""All cases of a switch that follow from recorded ones, and their campaign."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.crash.crash_points import KILLS, Case, Moment
from tests.crash.emulated_stacks import Lane
from tests.crash.hooks import LEASE, Line
from tests.crash.matrix import moments, recording
from tests.crash.promotion_case import promotion, promotion_trial
from tests.crash.switch_case import (
    CANCEL,
    COMMITTED,
    FENCE,
    GATE_CLOSED,
    Application,
    MomentMissedError,
    Operator,
    SwitchCase,
    trial,
)
from tests.crash.switch_lane import SwitchLane

PROBES = "kinesis:PutRecords"


def switch_cases(operator: Operator, calls: Sequence[Line]) -> list[SwitchCase]:
    """Kill an operator at the first and last reading, and at every change, of a run like this."""
    return [
        SwitchCase(operator, Case(moment, deed))
        for (step, operation), count in recording([calls]).items()
        for moment in _moments(step, operation, count)
        for deed in KILLS
    ]


def _moments(step: str, operation: str, count: int) -> list[Moment]:
    """Of renewals and probes, whose number is a matter of time, the first and the last."""
    found = moments(step, operation, count)
    return sorted({found[0], found[-1]}) if step == LEASE or operation == PROBES else found


def record_switch(ready: SwitchLane) -> list[SwitchCase]:
    """Play each operator once without a crash of its own; return all cases."""
    found: list[SwitchCase] = []
    plays = (
        ((Operator.AGAIN, Operator.CANCEL), None, FENCE),
        ((Operator.CANCELLING,), GATE_CLOSED, CANCEL),
        ((Operator.CONTINUING,), COMMITTED, FENCE),
        ((Operator.PROMOTING, Operator.TAKING_OVER), None, promotion(ready)),
        ((Operator.VOIDING,), GATE_CLOSED, promotion(ready)),
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
        self.missed: list[SwitchCase] = []
        """Those whose moment did not come."""
        self.problems: list[str] = []

    def serve(self, there: Sequence[Lane]) -> int:
        """Play all of them on these lanes; return 0 if nothing was wrong."""
        with ThreadPoolExecutor(len(there)) as pool:
            for done in [pool.submit(self._work, lane) for lane in there]:
                done.result()
        print(f"{len(self.done)} cases of a switch, {len(self.problems)} problems")
        if self.missed:
            print(f"{len(self.missed)} moments did not come")
        if self._left:
            print(f"{len(self._left)} cases were left")
        return 1 if self.problems or self._left or not self.done else 0

    def _work(self, lane: Lane) -> None:
        ready: SwitchLane | None = None
        while (case := self._next()) is not None:
            if ready is None:
                ready = SwitchLane.prepare(lane)
            else:
                ready.restore()
            began = time.monotonic()
            play = promotion_trial if case.operator.promotes else trial
            try:
                problems = play(ready, case)
            except MomentMissedError:
                self.missed.append(case)
                print(f"{time.monotonic() - began:5.1f} s  missed {case}", flush=True)
                continue
            with self._lock:
                self.done.append(case)
                self.problems += [f"{case}: {problem}" for problem in problems]
                print(
                    f"{time.monotonic() - began:5.1f} s  {'FAILED' if problems else 'ok':6} {case}"
                )
                for problem in problems:
                    again = f"python -m tests.crash --switch {case}"
                    print(f"       {problem}\nTry: {again}{' --buffer streams' * lane.own_stream}")
                print(end="", flush=True)
            if problems:
                return  # whatever is wrong with this lane is not to be the next case's

    def _next(self) -> SwitchCase | None:
        with self._lock:
            over = self._until is not None and time.monotonic() > self._until
            return None if over or not self._left else self._left.popleft()
