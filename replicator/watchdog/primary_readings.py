"""The readings of a table whose target is the primary: few of the replica's are needed any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from replicator.stream import Destination
from replicator.watchdog.aws_states import TableState
from replicator.watchdog.probe_rounds import WatchdogState
from replicator.watchdog.readings import (
    Identity,
    Intent,
    Probed,
    Readings,
    SourceWrites,
    Unneeded,
    Unread,
)
from replicator.watchdog.source_writes import SourceWritesReader

T = TypeVar("T")

UNNEEDED = Unneeded("the target is the primary")


class Read(Protocol):
    """Takes a reading; one that fails becomes `Unread`."""

    def __call__(self, reading: Callable[[], T]) -> T | Unread: ...


def read_primary(
    read: Read,
    intent: Intent,
    at: float,
    *,
    state: WatchdogState | Unread,
    destinations: Callable[[], Sequence[Destination]],
    writes: SourceWritesReader,
    quarantine: Callable[[], int | None],
    failures: Callable[[], int | None],
    source: Callable[[], TableState | None] | None = None,
) -> Readings:
    """Take the readings. No probe is put, and of the source only its writers are looked for.

    Where the buffer is the table's own stream, `source` reads it: `destinations` says nothing then.
    """
    was_denied = isinstance(state, WatchdogState) and state.source_denied
    since = at if intent.primary is None else intent.primary
    return Readings(
        at=at,
        intent=intent,
        mapping=UNNEEDED,
        destinations=read(destinations) if source is None else UNNEEDED,
        stream=UNNEEDED,
        source=UNNEEDED if source is None else _identity(read(source)),
        target=UNNEEDED,
        quarantine=read(quarantine),
        failures=read(failures),
        skipped=UNNEEDED,
        unreplicated=UNNEEDED,
        probed=_probed(state),
        foreign=UNNEEDED,
        function=UNNEEDED,
        undelivered=UNNEEDED,
        written=read(lambda: writes.read(since, at, was_denied)),
    )


def _identity(now: TableState | Unread | None) -> Identity | Unread:
    return now if isinstance(now, Unread) else Identity(now, None)


def after_round(
    state: WatchdogState | Unread, written: SourceWrites | Unread | None, at: float
) -> WatchdogState | Unread:
    """Return the watchdog's memory after a round of these readings."""
    if isinstance(state, Unread):
        return state
    seen = state.saw_writes(written) if isinstance(written, SourceWrites) else state
    return seen.recorded(at)


def _probed(state: WatchdogState | Unread) -> Probed | Unread:
    return state if isinstance(state, Unread) else state.probed()
