"""One round's readings of both accounts, as values. A reading that failed is `Unread`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replicator.foreign_rows import ForeignRow
from replicator.stream import Destination, StreamFacts


@dataclass(frozen=True)
class Unread:
    """A reading that could not be made.

    `why` is an error's code, or what an operator is told: never content.
    """

    why: str


@dataclass(frozen=True)
class Intent:
    """What the settings row says should be. Moments are epoch seconds."""

    consuming: bool = False
    """Switched on once: from then on the mapping should be on, through the whole catch-up."""
    replicating: bool = False
    """Caught up once: from then on the probes should come through in time."""
    paused: bool = False
    """Somebody switched it off on purpose."""
    counted_from: float | None = None
    """Losses before this are in the snapshot, or were settled by a verification."""

    @property
    def mapping_on(self) -> bool:
        return (self.consuming or self.replicating) and not self.paused

    @property
    def caught_up(self) -> bool:
        return self.replicating and not self.paused


@dataclass(frozen=True)
class Outage:
    """The table's changes did not go to this stack's stream, as the watchdog saw it. Epoch seconds.

    It outlasts its end: what was lost does not come back when the destination does.
    """

    begin: float
    """Everything made before this had been put into the stream."""
    end: float | None = None
    """When it was first seen on again; None: it has not been."""


@dataclass(frozen=True)
class Identity:
    """A table's id, now and when it was first seen. None: there is no such table."""

    now: str | None
    first: str | None

    @property
    def changed(self) -> bool:
        return self.first is not None and self.now != self.first


@dataclass(frozen=True)
class Probed:
    """What is known of the probes. Moments are epoch seconds."""

    through: float | None
    """When the newest round that has come through was put."""
    waiting_since: float | None
    """When the oldest of the rounds still under way was put."""
    lag: float | None = None
    """Seconds that the round took which came through last."""


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
    """Other tables whose records the consumer has met."""
    outage: Outage | None = None
    """The one that nothing has settled yet. The watchdog's gauges tell of the present alone."""
    overrun: Outage | None = None
    """The same of changes that waited for longer than the stream keeps them."""

    @property
    def missed(self) -> dict[str, str]:
        """The readings that could not be made, and why."""
        return {name: value.why for name, value in vars(self).items() if isinstance(value, Unread)}
