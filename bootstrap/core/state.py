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
    SWITCHING = "SWITCHING"
    """A switch is under way, or its process died: the target still takes no writers."""
    SWITCHED = "SWITCHED"
    """The target is the primary: the switch has been committed, and nothing leads back."""
    PROMOTED = "PROMOTED"
    """The target is the primary: a disaster's command went on without the source."""
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
PRIMARIES = (State.SWITCHED, State.PROMOTED)
"""The states in which the target is the primary. Nothing of the source is applied to it."""
