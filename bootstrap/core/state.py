"""States of a run."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """A state of a table. A run enters each before its first act."""

    PLANNED = "PLANNED"
    BUFFERING = "BUFFERING"
    EXPORTING = "EXPORTING"
    IMPORTING = "IMPORTING"
    CONFIGURING = "CONFIGURING"
    CATCHING_UP = "CATCHING_UP"
    REPLICATING = "REPLICATING"
    DEGRADED = "DEGRADED"
    """Changes are known to be missing, or do not arrive."""
    UNKNOWN = "UNKNOWN"
    """It was replicating when last checked, and nothing shows that it is now. Only `status` and the
    end of a run show it: no run enters this state."""
    PAUSED = "PAUSED"
    FAILED = "FAILED"
    ABANDONING = "ABANDONING"
    """The run's resources are being deleted; only `abandon` continues from here."""
    ABANDONED = "ABANDONED"
    """The run has ended. `run` begins another one."""

    @property
    def order(self) -> int:
        return list(State).index(self)


REPLICAS = (State.REPLICATING, State.DEGRADED)
"""The states in which the target follows the source."""
