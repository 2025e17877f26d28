"""Many cases, several at a time, on one local cloud after the other."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.crash.crash_points import Case
from tests.crash.emulated_stacks import Lane, Writer, lanes
from tests.crash.matrix import Recording, recording
from tests.crash.run_case import Verdict, trial

BULK_PREFIX = "bulk:"
"""Before a case of a table that is loaded by bulk put, as it is typed."""
STREAMS_PREFIX = "streams:"
"""The same, of a table that its own stream buffers."""
TURNS = 8
"""Cases that a lane serves. Each leaves an export and an import in the lists, which grow slow."""


def record(directory: Path, bulk: str | None = None, *, own_stream: bool = False) -> Recording:
    """Two clean runs, one of them on a lane that has served before. `bulk`, `own_stream`: as
    `lanes` has them.
    """
    with lanes(directory, 1, bulk=bulk, own_stream=own_stream) as (lane,):
        return record_on(lane)


def record_on(lane: Lane) -> Recording:
    """The same, on a lane that is there; it is reset afterwards."""
    runs = []
    for _ in range(2):
        with Writer(lane):
            ended = lane.launch(None)
        if ended.code != 0:
            raise RuntimeError(f"A run that nothing was done to ended with {ended}.")
        runs.append(ended.calls)
        lane.reset()
    return recording(runs)


class Campaign:
    """Cases in their order. Says what became of each, and how to do it again."""

    def __init__(
        self,
        directory: Path,
        cases: Sequence[Case],
        lanes: int,
        minutes: float | None = None,
        bulk: str | None = None,
        *,
        own_stream: bool = False,
    ) -> None:
        self._own_stream = own_stream
        self._directory = directory
        self._bulk = bulk
        self._left = deque(cases)
        self._lanes = lanes
        self._until = None if minutes is None else time.monotonic() + minutes * 60
        self._lock = threading.Lock()
        self._number = 0
        self.verdicts: list[Verdict] = []

    def run(self) -> int:
        """0 if nothing was wrong."""
        began = time.monotonic()
        clouds = 0
        while self._left and not self._over():
            clouds += 1
            count = min(self._lanes, len(self._left))
            place = self._directory / f"cloud-{clouds}"
            with lanes(place, count, bulk=self._bulk, own_stream=self._own_stream) as there:
                self.serve(there)
        return self._summary(time.monotonic() - began)

    def serve(self, there: Sequence[Lane]) -> None:
        """As many cases as these lanes are good for."""
        with ThreadPoolExecutor(len(there)) as pool:
            for done in [pool.submit(self._work, lane) for lane in there]:
                done.result()

    @property
    def failed(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.problems]

    def _work(self, lane: Lane) -> None:
        for _ in range(TURNS):
            with self._lock:
                if not self._left or self._over():
                    return
                case = self._left.popleft()
            began = time.monotonic()
            try:
                verdict = trial(lane, case)
                usable = not verdict.problems or not lane.differences()
            except Exception as error:
                problem = f"could not be tried: {error!r}"
                verdict, usable = Verdict(case, (problem,), time.monotonic() - began), False
            self._tell(verdict)
            if not usable:
                return  # whatever is wrong with this lane is not to be the next case's
            lane.reset()

    def _over(self) -> bool:
        return self._until is not None and time.monotonic() > self._until

    def _tell(self, verdict: Verdict) -> None:
        with self._lock:
            self.verdicts.append(verdict)
            self._number += 1
            word = "FAILED" if verdict.problems else "ok"
            print(f"{self._number:4} {verdict.seconds:5.1f} s  {word:6} {verdict.case}")
            for problem in verdict.problems:
                print(f"       {problem}")
            if verdict.problems:
                print(self._again(verdict))
            print(end="", flush=True)

    def _again(self, verdict: Verdict) -> str:
        prefix = BULK_PREFIX if self._bulk else STREAMS_PREFIX if self._own_stream else ""
        return f"Try: make soak CRASH={prefix}{verdict.case}"

    def _summary(self, seconds: float) -> int:
        done = len(self.verdicts)
        moments = {(each.case.moment.step, each.case.moment.operation) for each in self.verdicts}
        print(
            f"{done} cases at {len(moments)} steps and operations in {seconds:.0f} s "
            f"({seconds / max(1, done):.1f} s a case), {len(self.failed)} failed"
        )
        if self._left:
            print(f"{len(self._left)} cases were left when the time was up")
        for verdict in self.failed:
            print(self._again(verdict))
        return 1 if self.failed else 0
