"""The part of a batch that may go to quarantine, as the circuit breakers judge it.

In a stream of the stack's own every bad record counts as this table's. An adopted stream carries
what others put in: a bad record that does not name the table is judged apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from replicator.change import Probe
from replicator.consumer.circuit_breaker import CircuitBreaker
from replicator.consumer.decode import Foreign, Unusable
from replicator.consumer.key_queue import QuarantineCandidate, RecordState
from replicator.runtime import Clock


@dataclass(frozen=True)
class Breakers:
    """A container's breakers.

    Of an adopted stream, bad records that do not name the table have one of their own (`nameless`),
    which compares them with the records of every table. Others' broken records are few among all
    that pass, however few are this table's, and do not stop its lane: in quarantine they are kept
    whole. A systematic fault still stops it before the quarantine fills:

    - A fault of this table's records alone leaves its name in them: they count as this table's,
      compared with this table's records alone.
    - A new format of DynamoDB's that hides the name (compressed, say) hides that of every table.
      Such records soon are more than a tenth of all.

    Both need that nothing else is skipped unread: a record is ignored only where its `tableName`
    was read and is another table's (`decode.Foreign`).
    """

    own: CircuitBreaker
    nameless: CircuitBreaker | None
    """None where the stream is the stack's own."""

    @classmethod
    def of(cls, clock: Clock, limit: int, *, adopted_stream: bool) -> Breakers:
        nameless = CircuitBreaker(clock, limit) if adopted_stream else None
        return cls(CircuitBreaker(clock, limit), nameless)


@dataclass
class Share:
    """The sequence numbers of a batch that one breaker judges."""

    breaker: CircuitBreaker
    received: set[str] = field(default_factory=set)
    quarantined: set[str] = field(default_factory=set)
    nameless: bool = False


class QuarantineShares:
    """The shares of one batch."""

    def __init__(self, breakers: Breakers, table: str, states: Sequence[RecordState]) -> None:
        self._name = table.encode()
        self._own = Share(breakers.own)
        self._nameless = (
            Share(breakers.nameless, nameless=True) if breakers.nameless is not None else None
        )
        for state in states:
            for share in self._received_by(state):
                share.received.add(state.record.sequence_number)

    def refused(self, suspects: Iterable[QuarantineCandidate]) -> tuple[Share, int] | None:
        """Return the share that trips its breaker, and how many of its records are bad.

        `suspects` are to go to quarantine next.
        """
        suspects = list(suspects)
        for share in (self._own, self._nameless):
            if share is None:
                continue
            bad = share.quarantined | self._numbers(share, suspects)
            if share.breaker.trips(len(share.received), bad):
                return share, len(bad)
        return None

    def quarantine(self, suspects: Iterable[QuarantineCandidate]) -> None:
        """Record suspects that go to quarantine now."""
        for candidate in suspects:
            self._share_of(candidate.state).quarantined.add(candidate.state.record.sequence_number)

    def ended(self, states: Iterable[RecordState]) -> None:
        """Record what has ended in a batch that was not refused."""
        numbers = dict.fromkeys(state.record.sequence_number for state in states)
        for share in (self._own, self._nameless):
            if share is not None:
                ended = [number for number in numbers if number in share.received]
                share.breaker.ended(ended, share.quarantined)

    def _received_by(self, state: RecordState) -> Iterable[Share]:
        """Yield the shares that a record belongs to: the second one is of every table's records."""
        if isinstance(state.content, Probe):
            return
        if not isinstance(state.content, Foreign) and self._share_of(state) is self._own:
            yield self._own
        if self._nameless is not None:
            yield self._nameless

    def _numbers(self, share: Share, suspects: Iterable[QuarantineCandidate]) -> set[str]:
        states = (candidate.state for candidate in suspects)
        return {each.record.sequence_number for each in states if self._share_of(each) is share}

    def _share_of(self, state: RecordState) -> Share:
        if self._nameless is None or not isinstance(state.content, Unusable):
            return self._own
        # A table's name has no character that JSON writes in another way.
        return self._own if self._name in state.record.data else self._nameless
