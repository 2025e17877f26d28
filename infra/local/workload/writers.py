"""The writers that keep changing the source table while it is replicated, as a process.

They are a process of their own, so that they and the demo do not wait for each other:
`python -m infra.local.workload.writers SETTINGS` writes until its standard input ends, as it
does when the demo dies.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import boto3
from botocore.config import Config

from infra.local.cloud import REPOSITORY
from infra.local.data.item_source import ItemSource, from_json
from infra.local.workload.calls import CallExecutor, StepOutcome
from infra.local.workload.plan import WritePlan, WriteStep
from infra.local.workload.stats import ChangeCounter, ChangeCounts

MODULE = "infra.local.workload.writers"
FLUSH_SECONDS = 0.5
STOP_SECONDS = 30


class WritersError(Exception):
    """The writers ended too early; has a line that begins `Try: `."""


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


class Writers:
    """The running process, as the demo sees it."""

    def __init__(
        self, settings: WriterSettings, directory: Path, environment: Mapping[str, str]
    ) -> None:
        self._counts = Path(settings.counts)
        self._counts.unlink(missing_ok=True)
        self._log = directory / "writers.log"
        self._stopped = False
        command = [
            sys.executable,
            "-m",
            "infra.local.workload.writers",
            json.dumps(asdict(settings)),
        ]
        with self._log.open("wb") as log:
            # Its own session: Ctrl-C goes to the demo, which stops everything in order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=REPOSITORY,
                env=dict(environment),
                start_new_session=True,
            )

    def counts(self) -> ChangeCounts:
        """Return the counts so far."""
        return ChangeCounts.read(self._counts)

    def check(self) -> None:
        """Raise WritersError if the writers have ended without being stopped, or badly."""
        ended = self._process.poll()
        if ended is None or (self._stopped and not ended):
            return
        lines = self._log.read_text(errors="replace").strip().splitlines()
        raise WritersError(
            f"The writers of the source table ended early (exit status "
            f"{self._process.returncode}): {lines[-1] if lines else 'no reason given'}\n"
            f"Try: read {self._log}"
        )

    def stop(self) -> None:
        """Let the writes in flight end; raise WritersError if the writers had ended before."""
        self.check()
        self.close()
        self.check()

    def close(self) -> None:
        """End the process, by force if need be."""
        self._stopped = True
        if self._process.stdin:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


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
        for thread in self._threads:
            thread.start()
        while not self._failures:
            readable, _, _ = select.select([sys.stdin], [], [], FLUSH_SECONDS)
            self._counts.flush()
            if readable and not os.read(sys.stdin.fileno(), 1):
                break
        self._stop.set()
        # One deadline for all: once the cloud is gone, calls retry for long.
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._counts.flush()
        if self._failures:
            raise self._failures[0]

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
