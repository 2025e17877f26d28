"""Options of `run`, `resume`, `pause` and `abandon`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bootstrap.core.state import State


class Goal(StrEnum):
    """The goal of a run."""

    REPLICATE = "run"
    """A replica that has caught up. A paused one stays paused."""
    RESUME = "resume"
    """The same, and the end of a pause."""
    PAUSE = "pause"
    """The consumer off; changes wait in the stream."""
    ABANDON = "abandon"
    """The consumer off for good, and the run's resources deleted as far as the options say."""


class TtlPolicy(StrEnum):
    """The moment at which time to live is switched on in the target."""

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
"""The states before which a run can stop: the work of such a state has not begun."""


@dataclass(frozen=True)
class RunOptions:
    """The options of a run, by goal."""

    goal: Goal = Goal.REPLICATE
    until: State = State.REPLICATING
    """One of `STOPS`."""
    wait: bool = True
    """False: do not wait for operations that AWS finishes without this process."""
    cross_account_check: bool = True
    """Try the calls that cross accounts before the export."""
    ttl: TtlPolicy | None = None
    """None: the policy of the earlier run, or at the switch."""
    discard_failed_load: bool = False
    """Delete the table that a failed load of this run left behind, and load again."""
    accept_load_errors: bool = False
    """Continue without the items that a load refused; the replica is DEGRADED then."""
    accept_target_stream: bool = False
    """Load an adopted table although its changes go to a stream."""
    adopt_source: bool = False
    """`run` and `resume`: continue with a source table that was made again under its name."""
    overwrite_target: bool = False
    """`resume`: end the pause although another writer may have written to the target."""
    drop_target: bool = False
    """`abandon`: also delete the table that the run imported."""
    disable_source_pitr: bool = False
    """`abandon`: also switch off the source's point-in-time recovery, if the run switched it on."""
