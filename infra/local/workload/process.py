"""A process that writes until its standard input ends, and its threads."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from infra.local.cloud import REPOSITORY

FLUSH_SECONDS = 0.5
STOP_SECONDS = 30


class WritersError(Exception):
    """The writers ended too early; has a line that begins `Try: `."""


class WorkloadProcess:
    """`python -m MODULE SETTINGS`, as the demo sees it. It ends when the demo dies."""

    def __init__(
        self, module: str, settings: Mapping[str, Any], log: Path, environment: Mapping[str, str]
    ) -> None:
        self._log = log
        self._stopped = False
        with log.open("wb") as file:
            # Its own session: Ctrl-C goes to the demo, which stops everything in order.
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, json.dumps(settings)],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=REPOSITORY,
                env=dict(environment),
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise WritersError if the writers have ended without being stopped, or badly."""
        ended = self._process.poll()
        if ended is None or (self._stopped and not ended):
            return
        lines = self._log.read_text(errors="replace").strip().splitlines()
        raise WritersError(
            f"The writers ended early (exit status {self._process.returncode}): "
            f"{lines[-1] if lines else 'no reason given'}\n"
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


def run_threads(
    threads: Sequence[threading.Thread],
    stop: threading.Event,
    failures: Sequence[BaseException],
    flush: Callable[[], None],
) -> None:
    """Run threads until standard input ends or one of them fails; raise that failure.

    `stop` is what the threads look at, `failures` what they add to, `flush` is called now and then.
    """
    for thread in threads:
        thread.start()
    while not failures:
        readable, _, _ = select.select([sys.stdin], [], [], FLUSH_SECONDS)
        flush()
        if readable and not os.read(sys.stdin.fileno(), 1):
            break
    stop.set()
    # One deadline for all: once the cloud is gone, calls retry for long.
    deadline = time.monotonic() + STOP_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    flush()
    if failures:
        raise failures[0]
