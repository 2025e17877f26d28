"""The harness's end of `launcher`: starts runs, and waits for them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local.cloud import REPOSITORY
from tests.crash.crash_points import Case
from tests.crash.hooks import Line, read
from tests.crash.launcher import Order

PATIENCE = 120.0
BIRTH_SECONDS = 30.0


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

    order: Order
    pid: int = 0
    code: int | None = None
    born: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def calls(self) -> list[Line]:
        """What it has listed so far."""
        return read(Path(self.order.calls))

    def said(self) -> str:
        """What it has printed so far."""
        return "".join(_text(Path(path)) for path in (self.order.out, self.order.err))

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
        self._children: list[Child] = []
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
        for child in self._children:
            if child.born.is_set() and not child.over.is_set():
                os.kill(child.pid, signal.SIGKILL)
                child.over.wait(BIRTH_SECONDS)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._listener.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def start(
        self,
        arguments: list[str],
        *,
        listed: bool,
        case: Case | None = None,
        elsewhere: bool = False,
    ) -> Child:
        """A run; with its calls listed, and something done to it, or as an operator runs it.
        `elsewhere`: as a process of another machine.
        """
        with self._lock:
            number = len(self._children)
            name = str(self._directory / f"{number}")
            order = Order(
                number,
                arguments,
                f"{name}.out",
                f"{name}.err",
                f"{name}.calls" if listed else "",
                str(case or ""),
                elsewhere,
            )
            child = Child(order)
            self._children.append(child)
            assert self._process.stdin is not None
            self._process.stdin.write(order.as_line())
            self._process.stdin.flush()
        if not child.born.wait(BIRTH_SECONDS):
            raise TimeoutError("The launcher starts nothing.")
        return child

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            child = self._children[message["number"]]
            if "pid" in message:
                child.pid = message["pid"]
                child.born.set()
            else:
                child.code = message["code"]
                child.over.set()


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
