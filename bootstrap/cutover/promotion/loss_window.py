"""The loss window of a promotion: facts about what the target may lack, read beside the target.

Nothing here is an estimate. What could not be read says so, and what the source took since is not
among the facts: no call reaches it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.core.durations import EXPORT_FUZZ
from bootstrap.core.facts import ProbeEcho
from bootstrap.core.formatting import instant
from bootstrap.journal.switch_records import Switching, SwitchMode, SwitchStep
from bootstrap.journal.verification_records import Verified
from bootstrap.status.data_loss import KnownLosses
from replicator.buffers import KINESIS
from replicator.lane_rows import LaneRow
from replicator.watchdog.probe_rounds import WatchdogState
from replicator.watchdog.readings import Unread

WRITTEN_EVERY = 10.0
"""Seconds between two writes of a lane's row: it is so much older than its lane at most."""
Count = int | Unread | None
"""None: there is no such place."""


@dataclass(frozen=True)
class LanePosition:
    """The last record of a shard that had ended, and the newest version that the lane had ended.

    Moments are epoch seconds. `newest` is None where the lane had none.
    """

    shard_id: str
    sequence_number: str
    arrival: float
    newest: float | None
    at: float
    still: bool
    """Its row is older than a round of probes: a closed shard, or a lane that is stuck."""


@dataclass(frozen=True)
class FullRound:
    """A round of probes that came through every lane. Epoch seconds."""

    put_at: float
    """Whatever was in the stream by then has ended."""
    through_at: float | None = None


@dataclass(frozen=True)
class SourceClosing:
    """The state in which an unfinished switch left the source's Deny, by the journal."""

    closes: float
    reopens: float | None
    """None: the Deny has no end."""
    about_to: str = ""
    """A change of the Deny that was recorded, and may not have been made: `close` or `seal`."""

    @property
    def text(self) -> str:
        since = f"An unfinished switch denied writers on the source from {instant(self.closes)}"
        if self.reopens is None:
            return f"{since}, without an end: the source takes writes once that Deny is taken off."
        if self.about_to == "close":
            return (
                "An unfinished switch was about to deny writers on the source from "
                f"{instant(self.closes)} to {instant(self.reopens)}: the journal does not say "
                "whether AWS took that Deny."
            )
        if self.about_to == "seal":
            return (
                f"{since}. That Deny ends at {instant(self.reopens)}, unless AWS took the one "
                "without an end, which the journal does not say."
            )
        return f"{since} to {instant(self.reopens)}: outside of that the source takes writes."


@dataclass(frozen=True)
class LossWindow:
    """Facts of one table, as of `at`. Moments are epoch seconds; 0 and None: not known."""

    at: float
    snapshot_time: float
    """The export's time. What the export holds may be off it by a minute."""
    floor: float = 0.0
    """Changes from before this are in the snapshot and are not applied again; 0: none is stored."""
    caught_up: float = 0.0
    """Every change made in the source before this has been applied: a run proved it."""
    full_round: FullRound | None = None
    """The newest round of probes that came through."""
    lanes: tuple[LanePosition, ...] = ()
    watermarks: bool = True
    """False: a shard has several lanes, and its row is that of the foremost. So is the one row of a
    table's own stream, whose records do not say their shard."""
    buffer: str = KINESIS
    """With the table's own stream there are no probes."""
    never_consumed: bool = False
    """The consumer has never been switched on."""
    paused_since: float = 0.0
    quarantine: Count = None
    """Open objects: changes that are not in the target."""
    undelivered: Count = None
    """Objects in the on-failure bucket: events that Lambda could not deliver."""
    verification: Verified | None = None
    """The last one."""
    late_changes: int = 0
    """Changes that were held back behind a closed gate, about."""
    late_deletions: int = 0
    """Deletions by the source's time to live that were left out, about."""
    losses: tuple[str, ...] = ()
    """Known before: one text for each."""
    source_closing: SourceClosing | None = None
    not_read: tuple[str, ...] = ()
    """Why some of these facts are missing."""

    @property
    def complete_until(self) -> float:
        """The newest moment up to which every change made in the source is known to be in the
        target, but for the known losses.

        While changes from before the snapshot replay, they may take its items a step back.
        """
        if self.caught_up:
            return self.caught_up
        if self.never_consumed or not self.floor:
            return self.snapshot_time - EXPORT_FUZZ
        return min(self.floor, self.snapshot_time - EXPORT_FUZZ)

    @property
    def newest_version(self) -> float | None:
        """The newest change of the source that any lane has ended."""
        return max((each.newest for each in self.lanes if each.newest is not None), default=None)

    @property
    def unjudged(self) -> int | None:
        """Keys that the last verification could not judge; None where there was none."""
        return None if self.verification is None else self.verification.changed_since


def lane_positions(
    rows: Iterable[LaneRow], watchdog: WatchdogState, round_seconds: float
) -> tuple[LanePosition, ...]:
    """Return the lanes' positions, the oldest arrival first.

    `round_seconds`: from one round of probes to the next, or infinity without probes. An open shard
    gets a probe in each, so its row is never older than that, as long as rounds are put at all:
    what counts is the age against the newest sign of any lane or of a round that came through.
    """
    found = list(rows)
    signs = [row.at / 1e6 for row in found]
    if watchdog.through is not None:
        signs.append(watchdog.through)
    newest = max(signs, default=0.0)
    oldest = newest - round_seconds - WRITTEN_EVERY
    positions = [
        LanePosition(
            shard_id=row.shard_id,
            sequence_number=row.sequence_number,
            arrival=row.arrival / 1e6,
            newest=row.newest / 1e6 if row.newest else None,
            at=row.at / 1e6,
            still=row.at / 1e6 < oldest,
        )
        for row in found
    ]
    return tuple(sorted(positions, key=lambda each: (each.arrival, each.shard_id)))


def newest_round(
    watchdog: WatchdogState,
    echoes: Mapping[str, Sequence[ProbeEcho]],
    gate_closed_at: float | None,
) -> FullRound | None:
    """Return the newest round of the watchdog that proves that changes were applied.

    `echoes`: the rows of each round that the watchdog still waits for, by its name.
    `gate_closed_at`: from then on a probe came through although nothing was applied; None: it
    always was.
    """
    rounds = [FullRound(put_at, through_at) for put_at, through_at in watchdog.proofs]
    if watchdog.through is not None and all(each.put_at != watchdog.through for each in rounds):
        rounds.append(FullRound(watchdog.through))
    for waiting in watchdog.waiting:
        rows = echoes.get(waiting.probe, ())
        if len(rows) == waiting.count and all(each.closed is None for each in rows):
            rounds.append(FullRound(waiting.at, max(each.at for each in rows) / 1e6))
    if gate_closed_at is not None:
        rounds = [each for each in rounds if _ended_by(each, gate_closed_at)]
    return max(rounds, key=lambda each: each.put_at, default=None)


def _ended_by(found: FullRound, moment: float) -> bool:
    return found.through_at is not None and found.through_at < moment


def source_closing(attempt: Switching | None) -> SourceClosing | None:
    """Return what an unfinished switch did to the source; None where it was not closed."""
    if attempt is None or attempt.mode != SwitchMode.FENCE or attempt.committed_at:
        return None
    if not attempt.closes or attempt.cancelled:
        return None
    if attempt.sealed_at or not attempt.reopens:
        return SourceClosing(attempt.closes, None)
    # A step is recorded before its change is made.
    about_to = {SwitchStep.ARM: "close", SwitchStep.SEAL: "seal"}.get(SwitchStep(attempt.step), "")
    return SourceClosing(attempt.closes, attempt.reopens, about_to)


def known_losses(losses: KnownLosses, buffer: str = KINESIS) -> tuple[str, ...]:
    """Return a text for each loss that no verification has covered since."""
    off = "its destination was off" if buffer == KINESIS else "it was off, or was another one"
    texts = []
    if losses.refused:
        texts.append(f"The import left {losses.refused:,} items of the snapshot out.")
    if losses.skipped:
        texts.append(
            f"DynamoDB did not put {losses.skipped.count:,} change records into the stream "
            f"between {instant(losses.skipped.begin)} and {instant(losses.skipped.end)}."
        )
    for outage, what in (
        (losses.outage, f"Changes made {{}} did not go into the stream: {off}."),
        (losses.overrun, "Changes made {} waited for longer than the stream keeps them."),
        (losses.given_up, "Changes made {} were in batches that Lambda gave up and put nowhere."),
    ):
        if outage is not None:
            end = instant(outage.end) if outage.end else "now"
            texts.append(what.format(f"at some time between {instant(outage.begin)} and {end}"))
    if losses.expired:
        texts.append(
            "The target expired items by another attribute than the source, and may lack some."
        )
    if losses.replaced:
        texts.append(
            "The consumer was on before a bulk load was done, which may have replaced changes by "
            "the snapshot's older items."
        )
    return tuple(texts)


def as_json(window: LossWindow) -> dict[str, Any]:
    """Return the members for the report. Members may be added; none changes its meaning."""
    found, verified = window.full_round, window.verification
    return {
        "at": instant(window.at),
        "buffer": window.buffer,
        "snapshotTime": _instant(window.snapshot_time),
        "completeUntil": _instant(window.complete_until),
        "caughtUpTo": _instant(window.caught_up),
        "newestFullRound": found
        and {"putAt": instant(found.put_at), "throughAt": _instant(found.through_at)},
        "newestVersion": _instant(window.newest_version),
        "lanesAreWatermarks": window.watermarks,
        "lanes": [_lane(each) for each in window.lanes],
        "consumerNeverOn": window.never_consumed,
        "pausedSince": _instant(window.paused_since),
        "openQuarantineObjects": _count(window.quarantine),
        "onFailureObjects": _count(window.undelivered),
        "notRead": [*window.not_read, *_unread(window)],
        "lastVerification": verified
        and {
            "at": instant(verified.at),
            "equal": verified.proves_equal,
            "verdict": verified.verdict,
            "unjudgedKeys": verified.changed_since,
            "differences": verified.differences,
            "repaired": verified.repaired,
        },
        "heldBackChanges": window.late_changes,
        "leftOutDeletions": window.late_deletions,
        "knownLosses": list(window.losses),
        "sourceDeny": window.source_closing
        and {
            "from": instant(window.source_closing.closes),
            "to": _instant(window.source_closing.reopens),
        },
    }


def _lane(lane: LanePosition) -> dict[str, Any]:
    return {
        "shard": lane.shard_id,
        "sequenceNumber": lane.sequence_number,
        "arrival": instant(lane.arrival),
        "newestVersion": _instant(lane.newest),
        "rowWrittenAt": instant(lane.at),
        "closedShardOrStuckLane": lane.still,
    }


def _unread(window: LossWindow) -> list[str]:
    counts = {
        "the open quarantine objects": window.quarantine,
        "the on-failure objects": window.undelivered,
    }
    return [f"{name}: {each.why}" for name, each in counts.items() if isinstance(each, Unread)]


def _count(count: Count) -> int | None:
    return count if isinstance(count, int) else None


def _instant(at: float | None) -> str | None:
    return instant(at) if at else None
