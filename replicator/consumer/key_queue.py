"""A queue of one key's changes within a batch.

Only the newest change is written. If it is applied (or already superseded), all older changes are
superseded; if it is quarantined, the next newest is tried. A change is never reported superseded
until a newer one is known to be applied: otherwise a failed write would lose both.
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
    """A user record of the batch, its content (None while unknown), and its outcome."""

    record: Record
    content: Content | None = None
    outcome: Outcome | None = None

    @property
    def ended(self) -> bool:
        return self.outcome is not None and not isinstance(self.outcome, Retry)


@dataclass(frozen=True)
class QuarantineCandidate:
    """A record that belongs in quarantine. `then` is the entry it may be applied to afterwards."""

    state: RecordState
    reason: Reason
    detail: str
    queue: KeyQueue | None = None
    then: Entry | None = None


@dataclass(frozen=True)
class _QueuedChange:
    """A change in the queue, with the record state that holds its outcome."""

    state: RecordState
    change: Change
    index: int

    @property
    def version(self) -> Version:
        return self.change.version


class KeyQueue:
    """One key's changes, written one at a time until each has an outcome."""

    def __init__(
        self,
        states: list[tuple[RecordState, Change]],
        seen: frozenset[str] = frozenset(),
        forgotten_soon: bool = False,
    ) -> None:
        """`forgotten_soon`: the stream will not deliver these records much longer."""
        places = [
            _QueuedChange(state, change, index) for index, (state, change) in enumerate(states)
        ]
        newest, self._older = schedule(places)
        self._newest = deque(newest)
        self._seen = seen
        self._forgotten_soon = forgotten_soon
        self._pin: Entry | None = None
        self._reached = False  # the key's entry is known to be at or past one of the newest
        self._spread = False

    def attempt(self) -> Attempt | None:
        """Return the next change to write; None when all have ended or must wait for redelivery."""
        if not self._newest:
            return None
        queued = self._newest[0]
        return Attempt(queued.change, self._pin, queued.state.record.sequence_number in self._seen)

    def settle(self, result: Result) -> QuarantineCandidate | None:
        """Record the result of the last attempt; return what has to be quarantined first."""
        queued = self._newest[0]
        if isinstance(result, Applied | Superseded):
            if isinstance(result, Superseded) and result.mixed and self._spread_out():
                return None
            queued.state.outcome = result
            self._reached = True
            self._advance(twin_of=queued)
        elif isinstance(result, Retry):
            if result.contradicted and self._forgotten_soon:
                return QuarantineCandidate(queued.state, Reason.AMBIGUOUS, result.why, self)
            self.block(result)
        elif isinstance(result, Rejected):
            return QuarantineCandidate(queued.state, Reason.REJECTED, result.detail, self)
        elif isinstance(result, NeedsNote):
            detail = "goes back to the image before, within one timestamp: applied all the same"
            return QuarantineCandidate(queued.state, Reason.AMBIGUOUS, detail, self, result.entry)
        elif not (result.mixed and self._spread_out()):
            return QuarantineCandidate(
                queued.state,
                Reason.AMBIGUOUS,
                "same timestamp, unrelated images: not applied",
                self,
            )
        return None

    def quarantined(self, candidate: QuarantineCandidate) -> None:
        """Record that the candidate is in quarantine, and continue with the queue."""
        if candidate.then is not None:
            self._pin = candidate.then
            return
        candidate.state.outcome = Quarantined(candidate.reason)
        self._advance()

    def block(self, retry: Retry) -> None:
        """Leave the current change for redelivery, and the others with it.

        Older ones are superseded only if a newer change is known to be applied.
        """
        for queued in self._newest:
            queued.state.outcome = retry
        self._newest.clear()
        for queued in self._older:
            queued.state.outcome = Superseded() if self._reached else Retry(retry.why)
        self._older = []

    def _advance(self, twin_of: _QueuedChange | None = None) -> None:
        self._pin = None
        self._newest.popleft()
        while self._newest and twin_of and self._newest[0].change.entry == twin_of.change.entry:
            self._newest.popleft().state.outcome = Superseded()  # the same record, delivered twice
        if self._newest or not self._older:
            return
        if self._reached:
            for queued in self._older:
                queued.state.outcome = Superseded()
            self._older = []
        else:
            newest, self._older = schedule(self._older)
            self._newest.extend(newest)

    def _spread_out(self) -> bool:
        """Attempt the skipped changes of this millisecond too; return whether there were any.

        The entry that judged the newest has a coarser time and may lie between them. So they are
        attempted in order of delivery, as they would have been in batches of one.
        """
        millisecond = self._newest[0].version.millisecond
        skipped = [queued for queued in self._older if queued.version.millisecond == millisecond]
        if self._reached or self._spread or not skipped:
            return False
        self._spread = True
        kept = {id(queued) for queued in skipped}
        self._older = [queued for queued in self._older if id(queued) not in kept]
        self._newest = deque(sorted([*skipped, *self._newest], key=lambda queued: queued.index))
        return True
