"""The application's attempts to write: each write, its table, its two instants and its outcome."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from infra.local.workload.place import Side

Outcome = Literal["acknowledged", "refused", "unknown"]
"""Unknown: the call failed in a way that does not say whether anything was written."""


@dataclass(frozen=True)
class WriteAttempt:
    """One attempt to write one item. Instants in seconds of the machine's monotonic clock."""

    writer: str
    side: Side
    key: str
    """The key's digest."""
    count: int
    """Of the key's contents, counted by its only writer. A repeated attempt has the same one."""
    content: str
    """The digest of the whole item; empty where it is deleted."""
    start: float
    end: float
    outcome: Outcome


class AttemptLog:
    """Appends attempts to a file, from several threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._waiting: list[WriteAttempt] = []

    def add(self, attempts: Iterable[WriteAttempt]) -> None:
        """Keep attempts for the next flush."""
        with self._lock:
            self._waiting += attempts

    def flush(self) -> None:
        """Append the attempts since the last call."""
        with self._lock:
            attempts, self._waiting = self._waiting, []
        with self._file.open("a") as file:
            file.writelines(json.dumps(asdict(each)) + "\n" for each in attempts)


def read_attempts(file: Path) -> list[WriteAttempt]:
    """Read the attempts so far; leave out an incomplete line."""
    if not file.exists():
        return []
    return [WriteAttempt(**json.loads(line)) for line in file.read_text().split("\n")[:-1]]
