"""One round's readings of both accounts, as values. A reading that failed is `Unread`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replicator.foreign_rows import ForeignRow
from replicator.stream import Destination, StreamFacts
from replicator.watchdog.aws_states import TableState

PROBES_THROTTLED = "ProbesThrottled"


@dataclass(frozen=True)
class Unread:
    """A reading that failed.

    `why` is an error's code, or a message for the operator: never content.
    """

    why: str


@dataclass(frozen=True)
class Intent:
    """The intended state, from the settings row. Moments are epoch seconds."""

    consuming: bool = False
    """Enabled once: from then on the mapping should be on, through the whole catch-up."""
    replicating: bool = False
    """Caught up once: from then on probes should come through in time."""
    paused: bool = False
    """Switched off by bootstrap pause."""
    counted_from: float | None = None
    """Losses before this are in the snapshot, or were repaired by a verification."""

    @property
    def mapping_on(self) -> bool:
        return (self.consuming or self.replicating) and not self.paused

    @property
    def caught_up(self) -> bool:
        return self.replicating and not self.paused


@dataclass(frozen=True)
class Outage:
    """The table's changes did not go to this stack's stream, as the watchdog saw it. Epoch seconds.

    It is kept after its end: lost changes do not return when the destination does.
    """

    begin: float
    """Every change before this had been put into the stream."""
    end: float | None = None
    """When it was first seen on again; None: it has not been."""


@dataclass(frozen=True)
class Identity:
    """A table now, and its id when it was first seen. None: there is no such table."""

    now: TableState | None
    first: str | None

    @property
    def changed(self) -> bool:
        seen = self.now.table_id if self.now is not None else None
        return self.first is not None and seen != self.first


@dataclass(frozen=True)
class Probed:
    """The state of the probes. Moments are epoch seconds."""

    through: float | None
    """The put time of the newest round that came through."""
    waiting_since: float | None
    """The put time of the oldest round that is still outstanding."""
    lag: float | None = None
    """Seconds that the newest round took that came through."""
    throttled: bool = False
    """Kinesis refused this round's probes, so the readings before it are all that is known."""


@dataclass(frozen=True)
class Readings:
    """Both accounts at a moment (epoch seconds)."""

    at: float
    intent: Intent | Unread
    mapping: str | Unread | None
    """Its state; None: it is gone."""
    destinations: Sequence[Destination] | Unread
    stream: StreamFacts | Unread | None
    source: Identity | Unread
    target: Identity | Unread
    quarantine: int | Unread
    failures: int | Unread
    skipped: int | Unread
    unreplicated: float | Unread
    """Seconds; 0 while DynamoDB has nothing to hand over."""
    probed: Probed | Unread
    foreign: Sequence[ForeignRow] | Unread
    """Other tables whose records are in the stream."""
    outage: Outage | None = None
    """The outage that no verification has repaired yet. The gauges show the present alone."""
    overrun: Outage | None = None
    """The time in which changes waited for longer than the stream keeps them."""

    @property
    def missed(self) -> dict[str, str]:
        """The readings that failed, and why."""
        missed = {
            name: value.why for name, value in vars(self).items() if isinstance(value, Unread)
        }
        if isinstance(self.probed, Probed) and self.probed.throttled:
            missed["probed"] = PROBES_THROTTLED
        return missed
