"""One round's readings of both accounts, as values. A reading that failed is `Unread`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replicator.foreign_rows import ForeignRow
from replicator.stream import Destination, StreamFacts
from replicator.watchdog.aws_states import TableState
from replicator.watchdog.lambda_states import FunctionState, MappingState

PROBES_THROTTLED = "ProbesThrottled"
SHARDS_CHANGED = "ShardsChanged"
"""A shard opened while probes were put, which has none of its own."""
ROUND_SECONDS = 300.0
"""The interval of the watchdog's schedule."""
SILENT_SECONDS = 2 * ROUND_SECONDS + 60
"""Two rounds are missing: a schedule may be a minute late."""
OF_OLD_SOURCE = ("destinations", "source", "written")
"""The readings of the source that are still taken once the target is the primary."""
LEAST_NORMAL_SECONDS = 30.0
MOST_NORMAL_SECONDS = 330.0
"""The longest batching window, 300 s, and the time of a round without one."""


@dataclass(frozen=True)
class Unread:
    """A reading that failed.

    `why` is an error's code, or a message for the operator: never content.
    """

    why: str


@dataclass(frozen=True)
class Unneeded(Unread):
    """A reading that is not taken in this state of the table. No finding rests on it."""


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
    proved: float | None = None
    """Everything that was made before it is through in the table's own stream: a run, a resume or a
    switch has read that stream."""
    armed: str = ""
    """The attempt of a switch that is under way; empty: none."""
    closed: str = ""
    """The attempt, or the promotion, that has closed the consumer's gate; empty: none."""
    primary: float | None = None
    """Since when the target is the primary; None: it is a replica."""
    finished: bool = False
    """`switch --finish` has ended the switch, and the watch on the old source."""
    stream: str = ""
    """The ARN of the table's own stream, if that is the buffer; empty until it is switched on."""
    mapping: str = ""
    """The UUID of the mapping of that stream; empty until the bootstrap has made it."""

    @property
    def mapping_on(self) -> bool:
        wanted = (self.consuming or self.replicating) and not self.paused
        return wanted and self.primary is None

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
class Backlog:
    """The changes in a table's own stream that have not ended. Epoch seconds."""

    known_to: float | None
    """Every change before this has ended; None: nothing is known, or none counts yet."""
    since: float | None = None
    """Since when changes are known to wait; None: none are known to."""
    doubtful: float | None = None
    """Since when changes may wait: nothing proves that they have ended."""
    held: float | None = None
    """Since when changes wait or may wait that were made while the mapping was off. When it is on
    again they are in doubt until the stream has been read: each shard has its own backlog."""
    lag: float | None = None
    """Seconds by which the consumer was behind lately, at most; None: it has received nothing."""

    def waited(self, at: float) -> float:
        """Return for how long changes wait, in seconds; also those of which that is not sure."""
        return 0.0 if self.oldest is None else max(0.0, at - self.oldest)

    @property
    def oldest(self) -> float | None:
        """Since when changes wait, or may wait; None: none do."""
        return min((each for each in (self.since, self.doubtful) if each is not None), default=None)


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
    not_put: str = ""
    """Why the watchdog's latest round could not be put: an error's code; empty if it was."""
    ran: float | None = None
    """When the watchdog last recorded a round; None: it has not."""

    @property
    def throttled(self) -> bool:
        """True if Kinesis refused the latest probes: those before them are all that is known."""
        return self.not_put == PROBES_THROTTLED

    @property
    def last_sign(self) -> float | None:
        """The last sign of the watchdog. The row of an earlier version has its probes alone."""
        signs = (self.ran, self.through, self.waiting_since)
        return self.ran if self.ran is not None else max(filter(None, signs), default=None)

    def silent(self, at: float) -> bool:
        """Tell whether at least two rounds of the watchdog are missing."""
        return self.last_sign is not None and at - self.last_sign > SILENT_SECONDS

    def outstanding(self, at: float) -> float | None:
        """Return the age of the oldest round that has taken longer than is normal, in seconds.

        Changes that entered the stream with it have waited for at least as long.
        """
        if self.waiting_since is None:
            return None
        age = at - self.waiting_since
        return age if age > normal_seconds(self.lag) else None


def normal_seconds(lag: float | None) -> float:
    """Return for how long a round may be on its way: twice what the one before took, within limits.

    A batching window makes every round slow. A backlog that takes longer than Lambda's longest
    window is not normal.
    """
    return min(max(LEAST_NORMAL_SECONDS, 2 * (lag or 0.0)), MOST_NORMAL_SECONDS)


@dataclass(frozen=True)
class Undelivered:
    """Batches that Lambda gave up and could not put into the on-failure bucket.

    `begin` and `end` (epoch seconds) are those of the periods in which CloudWatch counted the first
    and the last of them.
    """

    count: int = 0
    begin: float = 0.0
    end: float = 0.0


@dataclass(frozen=True)
class SeenAttempt:
    """An attempt of a switch as the watchdog has seen it, in the consumer's settings row.

    `since`: when it was first seen; `closed_since`: when its gate was first seen closed, None while
    it is open. Epoch seconds.
    """

    nonce: str
    since: float
    closed_since: float | None = None


@dataclass(frozen=True)
class SourceWrites:
    """Writes to the old source since the target is the primary.

    `units`: of ConsumedWriteCapacityUnits, since `begin` (epoch seconds): refused writes and
    deletions by time to live consume none. `denied`: this project's Deny is in the table's policy;
    None: unknown. `was_denied`: it was seen there after the switch.
    """

    units: float
    begin: float
    denied: bool | None
    was_denied: bool = False


@dataclass(frozen=True)
class Readings:
    """Both accounts at a moment (epoch seconds)."""

    at: float
    intent: Intent | Unread
    mapping: MappingState | Unread | None
    """None: it is gone."""
    destinations: Sequence[Destination] | Unread
    stream: StreamFacts | Unread | None
    source: Identity | Unread
    target: Identity | Unread
    quarantine: int | Unread | None
    failures: int | Unread | None
    """Objects in the bucket; None: there is no such bucket."""
    skipped: int | Unread
    unreplicated: float | Unread
    """Seconds; 0 while DynamoDB has nothing to hand over."""
    probed: Probed | Unread
    foreign: Sequence[ForeignRow] | Unread
    """Other tables whose records are in the stream."""
    function: FunctionState | Unread | None
    """None: there is no such function."""
    undelivered: Undelivered | Unread
    problem_rounds: int = 0
    """The latest rounds of the watchdog in a row in which Lambda itself reported a problem."""
    outage: Outage | None = None
    """The outage that no verification has repaired yet. The gauges show the present alone."""
    overrun: Outage | None = None
    """The time in which changes waited for longer than the stream keeps them."""
    written: SourceWrites | Unread | None = None
    """None: the target is no primary."""
    attempt: SeenAttempt | Unread | None = None
    """None: no switch is under way."""
    given_up: Outage | None = None
    """The time of the changes in batches that Lambda gave up and put nowhere."""
    backlog: Backlog | Unread | None = None
    """None: the buffer is no table's own stream."""

    @property
    def primary(self) -> bool:
        """True if the target is known to be the primary."""
        return isinstance(self.intent, Intent) and self.intent.primary is not None

    @property
    def missed(self) -> dict[str, str]:
        """The readings that failed, and why."""
        missed = {
            name: value.why
            for name, value in vars(self).items()
            if isinstance(value, Unread) and not isinstance(value, Unneeded)
        }
        if self.primary:
            # The old source's account may be lost: its detector says that nothing is known of it.
            missed = {name: why for name, why in missed.items() if name not in OF_OLD_SOURCE}
        if isinstance(self.probed, Probed) and self.probed.not_put:
            missed["probed"] = self.probed.not_put
        return missed
