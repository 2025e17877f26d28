"""The circuit breaker of the quarantine: too many bad records at once stay in the stream.

It counts Kinesis records, each once, however often one is delivered and however many user records
it holds. Lambda cannot split a batch of one, so a single record must never trip the breaker by
itself. Probes do not count, nor do records of other tables (but see `quarantine_share`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from itertools import islice

from replicator.runtime import Clock

SECONDS = 600.0
"""How long a container remembers bad records, and how long it refuses a batch because of earlier
ones. A quiet table with a dozen bad records is delayed by this, and never stuck."""
_MOST = 10_000


@dataclass
class CircuitBreaker:
    """Limits the quarantine per batch, and per ten minutes of this container.

    The limit per batch is not enough: on a quiet table a batch is a record or two, and a fault that
    affects every change would move the whole stream into quarantine, a few records at a time.
    """

    clock: Clock
    limit: int
    _bad: dict[str, float] = field(default_factory=dict)
    """Bad records that went to quarantine, and when."""
    _refused: dict[str, float] = field(default_factory=dict)
    """Bad records that were refused because of earlier ones alone, and since when."""
    _received: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_MOST))
    _counted: dict[str, None] = field(default_factory=dict)
    """Records that ended lately: a redelivery must not lower the share of bad ones."""

    def trips(self, received: int, bad: Set[str]) -> bool:
        """Return whether the batch's bad records (sequence numbers) must stay in the stream."""
        if not bad:
            return False
        if self._too_many(len(bad), received):
            return True
        self._forget()
        lately = sum(count for _, count in self._received)
        if not self._too_many(len(bad | self._bad.keys()), received + lately):
            return False
        # Each batch waits on its own: others may quarantine bad records meanwhile.
        now = self.clock.monotonic()
        since = min(self._refused.setdefault(number, now) for number in bad)
        return now - since < SECONDS

    def ended(self, received: Iterable[str], bad: Set[str]) -> None:
        """Record the sequence numbers that ended in a batch which was not refused."""
        now = self.clock.monotonic()
        new = [number for number in received if number not in self._counted]
        self._received.append((now, len(new)))
        self._counted.update(dict.fromkeys(new))
        for number in bad:
            self._bad.setdefault(number, now)
            self._refused.pop(number, None)
        for known in (self._bad, self._refused, self._counted):
            for oldest in list(islice(known, max(0, len(known) - _MOST))):
                del known[oldest]

    def _too_many(self, bad: int, received: int) -> bool:
        return bad > self.limit and 10 * bad > received

    def _forget(self) -> None:
        since = self.clock.monotonic() - SECONDS
        while self._received and self._received[0][0] < since:
            self._received.popleft()
        self._bad = {number: at for number, at in self._bad.items() if at >= since}
