"""Counts of changes by kind and time, written by the writers and read by the demo."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

WINDOW = 0.1
"""Seconds. Changes are counted together that ended in one window."""


class ChangeCounter:
    """Counts writes from several threads, by what became of them, and appends them to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._counts: dict[int, dict[str, Counter[str]]] = {}

    def add(self, at: float, kind: str, writes: int, changes: int) -> None:
        """Count acknowledged writes (`at` in epoch seconds), and how many changed something."""
        self._add(at, kind, writes=writes, changes=changes)

    def add_refused(self, at: float, kind: str, writes: int) -> None:
        """Count writes that a policy refused: they have changed nothing."""
        self._add(at, kind, refused=writes)

    def add_failed(self, at: float, kind: str, writes: int) -> None:
        """Count writes of a call that failed: what they have changed is not known."""
        self._add(at, kind, failed=writes)

    def flush(self) -> None:
        """Append the counts since the last call."""
        with self._lock:
            counts, self._counts = self._counts, {}
        with self._path.open("a") as file:
            for window, found in sorted(counts.items()):
                file.write(json.dumps({"at": window * WINDOW, **found}) + "\n")

    def _add(self, at: float, kind: str, **counts: int) -> None:
        with self._lock:
            window = self._counts.setdefault(int(at / WINDOW), {})
            for name, count in counts.items():
                window.setdefault(name, Counter())[kind] += count


@dataclass(frozen=True)
class Window:
    """Writes by kind that ended within `WINDOW` seconds from `at`, by what became of them."""

    at: float
    writes: Mapping[str, int] = field(default_factory=dict)
    changes: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)


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
    def refused(self) -> dict[str, int]:
        """Writes that a policy refused, by kind."""
        return _sum(window.refused for window in self.windows)

    @property
    def failed(self) -> dict[str, int]:
        """Writes of calls that failed, by kind: some may have been made."""
        return _sum(window.failed for window in self.windows)

    @property
    def total(self) -> int:
        """All changes."""
        return sum(self.by_kind.values())


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for each in counts:
        totals.update(each)
    return dict(totals)
