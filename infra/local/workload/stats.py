"""Counts of changes by kind and time, written by the writers and read by the demo."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

WINDOW = 0.1
"""Seconds. Changes are counted together that ended in one window."""


class ChangeCounter:
    """Counts changes from several threads and appends the counts to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._counts: dict[int, tuple[Counter[str], Counter[str]]] = {}

    def add(self, at: float, kind: str, writes: int, changes: int) -> None:
        """Count writes made at a time (epoch seconds), and how many of them changed something."""
        with self._lock:
            all_writes, all_changes = self._counts.setdefault(
                int(at / WINDOW), (Counter(), Counter())
            )
            all_writes[kind] += writes
            all_changes[kind] += changes

    def flush(self) -> None:
        """Append the counts since the last call."""
        with self._lock:
            counts, self._counts = self._counts, {}
        with self._path.open("a") as file:
            for window, (writes, changes) in sorted(counts.items()):
                line = {"at": window * WINDOW, "writes": writes, "changes": changes}
                file.write(json.dumps(line) + "\n")


@dataclass(frozen=True)
class Window:
    """Writes and changes by kind that ended within `WINDOW` seconds from `at`."""

    at: float
    writes: Mapping[str, int]
    changes: Mapping[str, int]


@dataclass(frozen=True)
class ChangeCounts:
    """The writers' counts, window by window."""

    windows: tuple[Window, ...] = ()

    @classmethod
    def read(cls, path: Path) -> ChangeCounts:
        """Read the counts so far; leave out an incomplete line."""
        if not path.exists():
            return cls()
        lines = path.read_text().split("\n")[:-1]
        return cls(tuple(Window(**json.loads(line)) for line in lines))

    def between(self, since: float, until: float = float("inf")) -> ChangeCounts:
        """Return the windows whose middle lies in since <= t < until (epoch seconds)."""
        middle = WINDOW / 2
        return ChangeCounts(
            tuple(each for each in self.windows if since <= each.at + middle < until)
        )

    @property
    def by_kind(self) -> dict[str, int]:
        """Changes of each kind; 0 for one whose writes changed nothing."""
        return _sum(window.changes for window in self.windows)

    @property
    def writes_by_kind(self) -> dict[str, int]:
        return _sum(window.writes for window in self.windows)

    @property
    def total(self) -> int:
        """All changes."""
        return sum(self.by_kind.values())


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for each in counts:
        totals.update(each)
    return dict(totals)
