"""What the operator told a run to do beside the usual."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bootstrap.core.state import State


class Goal(StrEnum):
    """Where a run leads."""

    REPLICATE = "run"
    """To a replica that has caught up. A paused one stays paused."""
    RESUME = "resume"
    """The same, and the end of a pause."""
    PAUSE = "pause"
    """The consumer off, and what changes waits in the stream."""
    ABANDON = "abandon"
    """The consumer off for good, and what the run made gone as far as the operator says so."""


class TtlPolicy(StrEnum):
    """When time to live is switched on in the target."""

    AT_SWITCH = "at-switch"
    """The default: while both sides expire items they race, and the source's expiries arrive as
    deletes anyway."""
    NOW = "now"
    NEVER = "never"


STOPS = (
    State.EXPORTING,
    State.IMPORTING,
    State.CONFIGURING,
    State.CATCHING_UP,
    State.REPLICATING,
)
"""Where a run can be told to stop: the work of such a state has not begun then."""


@dataclass(frozen=True)
class RunOptions:
    """The options of `run`."""

    course: Goal = Goal.REPLICATE
    until: State = State.REPLICATING
    """One of `STOPS`."""
    wait: bool = True
    """False: do not wait for what goes on at AWS while nobody looks."""
    ttl: TtlPolicy | None = None
    """None: as told before, or at the switch."""
    discard_failed_import: bool = False
    """Delete the table that a failed import of this run left behind, and import again."""
    accept_import_errors: bool = False
    """Go on without the items that an import refused; the replica is DEGRADED then."""
    drop_target: bool = False
    """Abandoning: delete the table that the run imported, too."""
    disable_source_pitr: bool = False
    """Abandoning: switch the source's point-in-time recovery off, which the run switched on."""
