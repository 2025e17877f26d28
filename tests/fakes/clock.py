"""Virtual time: nothing in a unit test or a simulation waits for the real clock."""

from __future__ import annotations

import datetime

#: 2026-01-01T00:00:00Z. Any moment would do; a round one reads better in a trace.
START = 1_767_225_600.0


class VirtualClock:
    """Epoch seconds that move only when told to. Calling it reads it, like ``time.time``."""

    def __init__(self, start: float = START) -> None:
        self._now = start

    def __call__(self) -> float:
        return self._now

    def now(self) -> float:
        """Epoch seconds."""
        return self._now

    def monotonic(self) -> float:
        """The same seconds: virtual time never steps back."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"Time does not run backwards: {seconds} s.")
        self._now += seconds

    def datetime(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self._now, datetime.UTC)
