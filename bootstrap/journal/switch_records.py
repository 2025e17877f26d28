"""Records of a switch, a promotion, and the Deny on other writers, in the row of a table's run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class SwitchStep(StrEnum):
    """A step of a switch, in the order in which they come."""

    PREPARE = "prepare"
    """Nothing is closed."""
    ARM = "arm"
    """The source's Deny is put, with its two dates."""
    CLOSE = "close"
    """From its first date on, the source refuses writers."""
    DRAIN = "drain"
    """Every change from before the mark is waited for."""
    SEAL = "seal"
    """The Deny has no end any more: the source is closed for good."""
    GATE = "gate"
    """The consumer writes nothing any more: both tables are closed."""
    COMMIT = "commit"
    """The point of no return is behind."""

    @property
    def order(self) -> int:
        return list(SwitchStep).index(self)


class SwitchMode(StrEnum):
    """The means that keeps writers off the source."""

    FENCE = "fence"
    """A Deny in the source table's resource policy."""
    WRITES_STOPPED = "writes-stopped"
    """The operator, who says so."""


@dataclass(frozen=True)
class TargetDeny:
    """The Deny on the target table's writers: intended, and put once `at` is not 0."""

    key: ClassVar[str] = "target-deny"

    nonce: str
    at: float = 0
    """When AWS took it, in epoch seconds: the first time without a break, whatever its nonce."""
    original: str = ""
    """The table's policy before the first one; empty where it had none."""
    earlier: tuple[str, ...] = ()
    """Nonces that may stand in the policy until this one's Deny has been put."""
    bulk: bool | None = None
    """Whether it denies bulk puts. False: AWS has refused that. None: it has not been tried."""


@dataclass(frozen=True)
class SourceDeny:
    """The Deny on the source table's writers. It is recorded before it is put."""

    key: ClassVar[str] = "source-deny"

    nonce: str
    original: str = ""
    """The table's policy before it; empty where it had none."""
    bulk: bool | None = None
    """Whether it denies bulk puts. False: AWS has refused that. None: it has not been put."""


@dataclass(frozen=True)
class Switching:
    """An attempt of a switch. Epoch seconds; 0: not yet.

    Until it is committed it is only ever cancelled and begun anew, under another nonce.
    """

    key: ClassVar[str] = "switch"

    nonce: str
    mode: str
    """A `SwitchMode`."""
    tables: tuple[str, ...]
    """The source tables that are switched together."""
    begun: float
    timeout: float
    """Seconds, from the source's closing to the commit."""
    step: str = SwitchStep.PREPARE
    """A `SwitchStep`."""
    closes: int = 0
    """The first date of the source's Deny; with writes stopped, when the operator said so."""
    mark: int = 0
    """Changes newer than this are late writes."""
    reopens: int = 0
    """The second date of the source's Deny. 0: it has none."""
    armed_at: float = 0
    sealed_at: float = 0
    gate_at: float = 0
    """When the consumer's gate was closed."""
    committed_at: float = 0
    left_to_ttl: int = 0
    """Deletions by the source's time to live that came behind the closed gate: the target has these
    items until its own time to live deletes them."""
    cancelled_at: float = 0
    reason: str = ""
    """Why it was cancelled."""

    @property
    def cancelled(self) -> bool:
        return self.cancelled_at > 0


@dataclass(frozen=True)
class ChosenSettings:
    """Settings of the target as the primary, chosen when the attempt `nonce` was prepared."""

    key: ClassVar[str] = "chosen-settings"

    nonce: str
    wanted: str = ""
    """JSON, as `bootstrap.cutover.settings` writes it; empty: the target keeps what it has."""


@dataclass(frozen=True)
class AfterSwitch:
    """The items after the commit that are done, and those that failed."""

    key: ClassVar[str] = "after-switch"

    done: tuple[str, ...] = ()
    """Names of `bootstrap.cutover.switch.after_commit`'s items."""
    failed: tuple[str, ...] = ()
    """`name: reason` of those that are open and have been tried."""
    opened_at: float = 0
    """When a write to the target was seen not to be refused any more."""
    finished_at: float = 0
    """When the changes of the old source stopped being streamed, by `switch --finish`."""


@dataclass(frozen=True)
class GateGap:
    """Deletions by time to live that a closed gate left out before its switch was cancelled.

    A backfill from `begin` to `end` (epoch seconds) restores them.
    """

    key: ClassVar[str] = "gate-gap"

    begin: float
    end: float
    deletions: int


@dataclass(frozen=True)
class Promoted:
    """The target was made the primary without the source."""

    key: ClassVar[str] = "promoted"

    nonce: str
    at: float
    """When it was asked for."""
    drained_until: float = 0
    """Seconds of the wait for what was on its way; 0: it was not waited for."""
    closed_at: float = 0
    """When the consumer's gate was closed."""
    open_at: float = 0
    """When the target's Deny let other writers in; 0: not yet, or it has none."""
    report: str = ""
    """The loss window as JSON."""
    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    """`name: reason` of what is open and has been tried."""
