"""The changes of one key in one batch, in line for the target.

Only the newest is written; the older ones share its fate when it is applied or superseded, and take
its place when it is quarantined. Nothing is called superseded before something that supersedes it
is known to have been applied.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from replicator.change import Change, Entry, Version
from replicator.consumer.decode import Content, Record
from replicator.consumer.ordering import schedule
from replicator.consumer.outcome import (
    Applied,
    NeedsNote,
    Outcome,
    Quarantined,
    Reason,
    Rejected,
    Result,
    Retry,
    Superseded,
)
from replicator.consumer.writer import Attempt


@dataclass(eq=False)
class RecordState:
    """A user record of the batch, what it says (None while unknown), and how it ended."""

    record: Record
    content: Content | None = None
    outcome: Outcome | None = None

    @property
    def ended(self) -> bool:
        return self.outcome is not None and not isinstance(self.outcome, Retry)


@dataclass(frozen=True)
class QuarantineCandidate:
    """A record that belongs in quarantine. `then` is the entry it may be applied to afterwards."""

    slot: RecordState
    reason: Reason
    detail: str
    line: KeyQueue | None = None
    then: Entry | None = None


@dataclass(frozen=True)
class _QueuedChange:
    """A change in the line, with the slot whose outcome it decides."""

    slot: RecordState
    change: Change
    index: int

    @property
    def version(self) -> Version:
        return self.change.version


class KeyQueue:
    """One key's changes, attempted one at a time until each has an outcome."""

    def __init__(
        self, slots: list[tuple[RecordState, Change]], seen: frozenset[str] = frozenset()
    ) -> None:
        places = [_QueuedChange(slot, change, index) for index, (slot, change) in enumerate(slots)]
        newest, self._older = schedule(places)
        self._newest = deque(newest)
        self._seen = seen
        self._pin: Entry | None = None
        self._reached = False  # the key's entry is known to be at or past one of the newest
        self._spread = False

    def attempt(self) -> Attempt | None:
        """The next change to write; None when all have ended, or none may be tried any more."""
        if not self._newest:
            return None
        place = self._newest[0]
        return Attempt(place.change, self._pin, place.slot.record.sequence_number in self._seen)

    def settle(self, result: Result) -> QuarantineCandidate | None:
        """Takes in the result of the last attempt; returns what has to be quarantined first."""
        place = self._newest[0]
        if isinstance(result, Applied | Superseded):
            if isinstance(result, Superseded) and result.mixed and self._spread_out():
                return None
            place.slot.outcome = result
            self._reached = True
            self._advance(twin_of=place)
        elif isinstance(result, Retry):
            self.block(result)
        elif isinstance(result, Rejected):
            return QuarantineCandidate(place.slot, Reason.REJECTED, result.detail, self)
        elif isinstance(result, NeedsNote):
            detail = "goes back to the image before, within one timestamp: applied all the same"
            return QuarantineCandidate(place.slot, Reason.AMBIGUOUS, detail, self, result.entry)
        elif not (result.mixed and self._spread_out()):
            return QuarantineCandidate(
                place.slot, Reason.AMBIGUOUS, "same timestamp, unrelated images: not applied", self
            )
        return None

    def quarantined(self, candidate: QuarantineCandidate) -> None:
        """The candidate has been stored: on with the line."""
        if candidate.then is not None:
            self._pin = candidate.then
            return
        candidate.slot.outcome = Quarantined(candidate.reason)
        self._advance()

    def block(self, retry: Retry) -> None:
        """The current change did not end; nor did the others, unless one is known to be past."""
        for place in self._newest:
            place.slot.outcome = retry
        self._newest.clear()
        for place in self._older:
            place.slot.outcome = Superseded() if self._reached else retry
        self._older = []

    def _advance(self, twin_of: _QueuedChange | None = None) -> None:
        self._pin = None
        self._newest.popleft()
        while self._newest and twin_of and self._newest[0].change.entry == twin_of.change.entry:
            self._newest.popleft().slot.outcome = Superseded()  # the same record, delivered twice
        if self._newest or not self._older:
            return
        if self._reached:
            for place in self._older:
                place.slot.outcome = Superseded()
            self._older = []
        else:
            newest, self._older = schedule(self._older)
            self._newest.extend(newest)

    def _spread_out(self) -> bool:
        """Judged by an entry of coarser time: what was skipped in this millisecond counts after
        all.

        The entry may lie between them, so they are attempted in order of delivery, as they would
        have been in batches of one.
        """
        millisecond = self._newest[0].version.millisecond
        skipped = [place for place in self._older if place.version.millisecond == millisecond]
        if self._reached or self._spread or not skipped:
            return False
        self._spread = True
        kept = {id(place) for place in skipped}
        self._older = [place for place in self._older if id(place) not in kept]
        self._newest = deque(sorted([*skipped, *self._newest], key=lambda place: place.index))
        return True
