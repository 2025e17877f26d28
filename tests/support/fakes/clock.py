"""Virtual time: nothing in a unit test or a simulation waits for the real clock."""

from __future__ import annotations

#: 2026-01-01T00:00:00Z. Any moment would do; a round one reads better in a trace.
START_MICROS = 1_767_225_600_000_000


class VirtualClock:
    """Time that only a test moves, in whole microseconds. Calling it reads epoch seconds."""

    def __init__(self, start_micros: int = START_MICROS) -> None:
        self._micros = start_micros

    def __call__(self) -> float:
        return self._micros / 1_000_000

    def now_micros(self) -> int:
        """Microseconds since 1970."""
        return self._micros

    def monotonic(self) -> float:
        """Seconds that never go back: virtual time does not."""
        return self._micros / 1_000_000

    def sleep(self, seconds: float) -> None:
        """Lets `seconds` pass at once."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"Time does not run backwards: {seconds} s.")
        self._micros += round(seconds * 1_000_000)
