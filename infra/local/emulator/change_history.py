"""The change history of tables with point-in-time recovery.

ministack never changes a stored item in place, so images are kept by reference, not copied.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from infra.local.emulator.item_images import Image, Value
from infra.local.emulator.replication_metrics import TableOf

KeyText = tuple[str, ...]


@dataclass(frozen=True)
class HistoryStep:
    """One change of the history: `at` in µs, images by reference."""

    at: int
    keys: Image
    old: Image | None
    new: Image | None


@dataclass
class _Recovery:
    since: int  # µs
    steps: list[HistoryStep] = field(default_factory=list)


class ChangeHistory:
    """The changes that `exports` reads. Recovery that is switched off forgets them all."""

    def __init__(self) -> None:
        self._tables: dict[TableOf, _Recovery] = {}
        self._lock = threading.Lock()

    def begin(self, table: TableOf, at: int) -> None:
        """Start the history when point-in-time recovery is enabled; a second start begins anew."""
        with self._lock:
            self._tables[table] = _Recovery(at)

    def end(self, table: TableOf) -> None:
        """Drop the history: point-in-time recovery is off, or the table is gone."""
        with self._lock:
            self._tables.pop(table, None)

    def since(self, table: TableOf) -> int | None:
        """Return when recovery was enabled (µs), or None while it is off."""
        recovery = self._tables.get(table)
        return recovery.since if recovery else None

    def note(
        self, table: TableOf, at: int, keys: Image, old: Image | None, new: Image | None
    ) -> None:
        """Append a change, in the order of the writes."""
        recovery = self._tables.get(table)
        if recovery is not None:
            recovery.steps.append(HistoryStep(at, keys, old, new))

    def after(self, table: TableOf, at: int) -> list[HistoryStep]:
        """Return the changes later than `at` (µs), oldest first."""
        recovery = self._tables.get(table)
        if recovery is None:
            return []
        steps = recovery.steps
        return steps[bisect_right(steps, at, key=lambda step: step.at) :]


def as_of(
    items: Iterable[Image], later: Iterable[HistoryStep], key_names: tuple[str, ...]
) -> list[Image]:
    """Return the items as they were before the `later` changes (oldest first)."""
    state: dict[KeyText, Image] = {key_text(item, key_names): item for item in items}
    undone: set[KeyText] = set()
    for step in later:
        key = key_text(step.keys, key_names)
        if key in undone:
            continue
        undone.add(key)  # the oldest of the later changes says what was there before
        if step.old is None:
            state.pop(key, None)
        else:
            state[key] = step.old
    return list(state.values())


def key_text(image: Mapping[str, Value], names: tuple[str, ...]) -> KeyText:
    """Return an item's key as a hashable; numbers are canonical in stored items."""
    return tuple(part for name in names for part in next(iter(image[name].items())))
