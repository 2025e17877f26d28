"""The writers that keep changing the source table while it is replicated, as a process.

They are a process of their own, so that they and the demo do not wait for each other:
`python -m infra.local.workload.writers SETTINGS` writes until its standard input ends, as it
does when the demo dies.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import boto3
from botocore.config import Config

from infra.local.data.item_source import ItemSource, from_json
from infra.local.workload.calls import CallExecutor, StepOutcome
from infra.local.workload.plan import WritePlan, WriteStep
from infra.local.workload.process import WorkloadProcess, run_threads
from infra.local.workload.stats import ChangeCounter, ChangeCounts

MODULE = "infra.local.workload.writers"


@dataclass(frozen=True)
class WriterSettings:
    """The settings of the writers' process."""

    table: str
    item_source: dict[str, Any]
    counts: str
    """The file that changes are counted in."""
    seed: int
    rate: float
    """Writes per second, all writers together."""
    threads: int = 4


class Writers(WorkloadProcess):
    """The running process, as the demo sees it."""

    def __init__(
        self, settings: WriterSettings, directory: Path, environment: Mapping[str, str]
    ) -> None:
        self._counts = Path(settings.counts)
        self._counts.unlink(missing_ok=True)
        super().__init__(MODULE, asdict(settings), directory / "writers.log", environment)

    def counts(self) -> ChangeCounts:
        """Return the counts so far."""
        return ChangeCounts.read(self._counts)


class WritePace:
    """Spreads writes evenly over time; lost time is not made up for by a burst."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._next = time.monotonic()

    def wait(self, writes: int, stop: threading.Event) -> None:
        """Wait for as long as these writes may take."""
        now = time.monotonic()
        self._next = max(self._next, now - 0.5) + writes / self._rate
        stop.wait(max(0.0, self._next - now))


class WriterThreads:
    """The writers, each with its plan, in this process."""

    def __init__(self, settings: WriterSettings, item_source: ItemSource) -> None:
        self._settings = settings
        self._counts = ChangeCounter(Path(settings.counts))
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._write, args=(self._plan(item_source, n),), daemon=True)
            for n in range(settings.threads)
        ]

    def run(self) -> None:
        """Write until standard input ends. Raise the error of a writer."""
        run_threads(self._threads, self._stop, self._failures, self._counts.flush)

    def _plan(self, item_source: ItemSource, n: int) -> WritePlan:
        random = Random(f"{self._settings.seed}/writer/{n}")
        return WritePlan(item_source, n, self._settings.threads, random)

    def _write(self, plan: WritePlan) -> None:
        try:
            executor = CallExecutor(dynamodb_client(), self._settings.table)
            pace = WritePace(self._settings.rate / self._settings.threads)
            while not self._stop.is_set():
                step = plan.next(time.time())
                outcome = self._run(executor, step)
                plan.withdraw(step, [*outcome.refused, *outcome.unsent])
                pace.wait(len(step.writes), self._stop)
        except BaseException as error:
            self._failures.append(error)

    def _run(self, executor: CallExecutor, step: WriteStep) -> StepOutcome:
        """Run a step and count its writes. One that fails ends the writers, whose plan is lost."""
        try:
            outcome = executor.run(step)
        except BaseException:
            self._counts.add_failed(time.time(), step.kind, len(step.writes))
            raise
        if outcome.writes:
            self._counts.add(time.time(), step.kind, outcome.writes, outcome.changes)
        if outcome.refused:
            self._counts.add_refused(time.time(), step.kind, len(outcome.refused))
        return outcome


def dynamodb_client() -> Any:
    """Return a client of the account in the environment; every thread has its own.

    botocore retries what is throttled or breaks off, and nothing that is refused.
    """
    config = Config(retries={"total_max_attempts": 8, "mode": "standard"})
    return boto3.session.Session().client("dynamodb", config=config)


def main(arguments: Sequence[str]) -> None:
    """Run the writers' process."""
    values: Mapping[str, Any] = json.loads(arguments[0])
    settings = WriterSettings(**values)
    WriterThreads(settings, from_json(settings.item_source)).run()


if __name__ == "__main__":
    main(sys.argv[1:])
