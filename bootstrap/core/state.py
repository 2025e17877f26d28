"""States of a run."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a table stands. Each is entered before its first act."""

    PLANNED = "PLANNED"
    BUFFERING = "BUFFERING"
    EXPORTING = "EXPORTING"
    IMPORTING = "IMPORTING"
    CONFIGURING = "CONFIGURING"
    CATCHING_UP = "CATCHING_UP"
    REPLICATING = "REPLICATING"
    DEGRADED = "DEGRADED"
    """It replicates, and it is known that something is missing."""
    PAUSED = "PAUSED"
    FAILED = "FAILED"
    ABANDONING = "ABANDONING"
    """What the run made is being undone; only `abandon` goes on from here."""
    ABANDONED = "ABANDONED"
    """The run is over for good. `run` begins another one."""

    @property
    def order(self) -> int:
        return list(State).index(self)


REPLICAS = (State.REPLICATING, State.DEGRADED)
"""The states in which the target follows the source."""
