"""The harness's end of `launcher`: starts runs, and waits for them."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local.cloud import REPOSITORY
from tests.crash.hooks import Line, read
from tests.crash.launcher import Order
from tests.crash.moments import Case

PATIENCE = 120.0


@dataclass(frozen=True)
class Ended:
    """A run that is over."""

    code: int
    out: str
    err: str
    calls: tuple[Line, ...]


@dataclass
class Child:
    """A run under way."""

    pid: int
    order: Order
    code: int | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def calls(self) -> list[Line]:
        """What it has listed so far."""
        return read(Path(self.order.calls))

    def wait(self, patience: float = PATIENCE) -> Ended:
        """Waits for its end. One that takes too long is killed, which its code and words say."""
        late = not self.over.wait(patience)
        if late:
            os.kill(self.pid, signal.SIGKILL)
            self.over.wait(10)
        out, err = (_text(Path(path)) for path in (self.order.out, self.order.err))
        err += f"\nIt had not ended after {patience:g} seconds." * late
        calls = tuple(self.calls()) if self.order.calls else ()
        return Ended(self.code if self.code is not None else -1, out, err, calls)


class Nursery:
    """Starts runs in one environment."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._directory = directory
        self._environment = environment
        self._lock = threading.Lock()
        self._born: queue.Queue[int] = queue.Queue()
        self._children: dict[int, Child] = {}
        self._ends: dict[int, int] = {}
        self._number = 0
        self._process: subprocess.Popen[str]
        self._listener: threading.Thread

    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.launcher"],
            cwd=REPOSITORY,
            env=dict(self._environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            for child in self._children.values():
                if not child.over.is_set():
                    os.kill(child.pid, signal.SIGKILL)
            assert self._process.stdin is not None
            time.sleep(0.05)  # the launcher sees them die
            self._process.stdin.close()
            self._process.wait(10)
        self._listener.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def start(self, arguments: list[str], *, listed: bool, case: Case | None = None) -> Child:
        """A run; with its calls listed, and something done to it, or as an operator runs it."""
        with self._lock:
            self._number += 1
            name = str(self._directory / f"{self._number}")
            order = Order(
                arguments,
                f"{name}.out",
                f"{name}.err",
                f"{name}.calls" if listed else "",
                str(case or ""),
            )
            assert self._process.stdin is not None
            self._process.stdin.write(order.as_line())
            self._process.stdin.flush()
            child = Child(self._born.get(timeout=30), order)
            self._children[child.pid] = child
            if child.pid in self._ends:
                self._end(child, self._ends.pop(child.pid))
        return child

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            if "code" not in told:
                self._born.put(told["pid"])
                continue
            with self._lock:
                child = self._children.get(told["pid"])
                if child is None:
                    self._ends[told["pid"]] = told["code"]
                else:
                    self._end(child, told["code"])

    def _end(self, child: Child, code: int) -> None:
        child.code = code
        child.over.set()


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
