"""The burst breaker: bad records that are too many to be exceptions are left in the stream.

What counts is Kinesis records, each once however often it is delivered and however many user
records it holds: Lambda's batches get no smaller than one, and one that were too many by itself
would stand in its lane for ever. Probes are none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from itertools import islice

from replicator.runtime import Clock

SECONDS = 600.0
"""How long a container remembers, and how long it refuses a batch for what others have let through:
a quiet table with a dozen bad records of its own is late, and never stuck."""
_MOST = 10_000


@dataclass
class CircuitBreaker:
    """Judges batches by themselves, and with what this container has lately let through.

    A batch by itself is not enough: on a quiet table it is a record or two, and a fault that hits
    every change would drain the stream into quarantine, a few at a time.
    """

    clock: Clock
    limit: int
    _bad: dict[str, float] = field(default_factory=dict)
    """Bad records that were let through, and when."""
    _refused: dict[str, float] = field(default_factory=dict)
    """Bad records that only the memory refuses, and since when."""
    _received: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_MOST))
    _counted: dict[str, None] = field(default_factory=dict)
    """Records that have ended lately: one that comes again does not make the bad ones fewer."""

    def trips(self, received: int, bad: Set[str]) -> bool:
        """Whether the batch's bad records (sequence numbers) may not go to quarantine."""
        if not bad:
            return False
        if self._too_many(len(bad), received):
            return True
        self._forget()
        lately = sum(count for _, count in self._received)
        if not self._too_many(len(bad | self._bad.keys()), received + lately):
            return False
        # Others may go on letting bad ones through: the wait is this batch's own.
        now = self.clock.monotonic()
        since = min(self._refused.setdefault(number, now) for number in bad)
        return now - since < SECONDS

    def ended(self, received: Iterable[str], bad: Set[str]) -> None:
        """A batch was let through: these of its records (sequence numbers) have ended."""
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
