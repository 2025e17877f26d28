"""The readers of each shard: two at a time.

"No more than two processes at most should be reading from the same stream's shard at the same time.
Having more than two readers per shard can result in throttling" (developer guide, Streams.html).
Here the third is always throttled. A process is known by its credentials, a mapping by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

MOST = 2


class ShardReaders:
    """The readers of each shard, and until when each of them counts."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        """A reader counts for so many `seconds` after it has read."""
        self._seconds = seconds
        self._now = now
        self._until: dict[str, dict[str, float]] = {}
        self._lock = threading.Lock()

    def admit(self, shard_id: str, reader: str, *, stays: bool = False) -> bool:
        """Note that this reader reads now; return False where two others do already.

        One that `stays` counts until it is released.
        """
        with self._lock:
            now = self._now()
            until = self._until.setdefault(shard_id, {})
            for other in [name for name, end in until.items() if end <= now]:
                del until[other]
            if reader not in until and len(until) >= MOST:
                return False
            until[reader] = float("inf") if stays else now + self._seconds
            return True

    def release(self, shard_id: str, reader: str) -> None:
        """Let a reader that stays go: it counts a little longer, as one that has just read."""
        with self._lock:
            until = self._until.get(shard_id, {})
            if reader in until:
                until[reader] = self._now() + self._seconds
