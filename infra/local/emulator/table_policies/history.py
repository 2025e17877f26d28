"""The versions of a table's resource policy, and who sees which of them at a time.

"When you attach a resource-based policy using this API, the policy application is eventually
consistent" (API reference, PutResourcePolicy). Each caller sees a change after a delay of its own.
A date in a condition needs no such time: it is compared with the clock at each call.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class PolicySpread:
    """The time that a change needs: at most `seconds` to bind a caller, `read_seconds` to be read.

    `seed` decides the delays, together with the table, the number of the change, and the caller.
    """

    seconds: float
    read_seconds: float
    seed: int

    def delay(self, table: str, change: int, caller: str) -> float:
        """Return the seconds until a change binds this caller."""
        return self._draw(f"{table}/{change}/{caller}") * self.seconds

    def read_delay(self, table: str, change: int) -> float:
        """Return the seconds until GetResourcePolicy returns a change: AWS needs 1 to 3."""
        return (0.4 + 0.6 * self._draw(f"{table}/{change}")) * self.read_seconds

    def _draw(self, text: str) -> float:
        return random.Random(f"{self.seed}/{text}").random()


@dataclass(frozen=True)
class PolicyChange:
    """One change: the policy's text, or None where it was deleted; `at` in epoch seconds."""

    number: int
    at: float
    text: str | None
    revision: str = ""
    at_once: bool = False


NEVER = PolicyChange(0, 0.0, None, at_once=True)


class PolicyHistory:
    """The changes of one table's policy, oldest first."""

    def __init__(self, table: str, spread: PolicySpread) -> None:
        self._table = table
        self._spread = spread
        self._changes = [NEVER]

    @property
    def last(self) -> PolicyChange:
        """The latest change, even if no caller sees it yet; number 0 if there was none."""
        return self._changes[-1]

    @property
    def remembered(self) -> int:
        """The number of changes that some caller may still see."""
        return len(self._changes)

    def change(
        self, text: str | None, at: float, *, revision: str = "", at_once: bool = False
    ) -> None:
        """Add a change. CreateTable's own policy binds every caller `at_once`."""
        self._forget(at)
        number = self.last.number + 1
        self._changes.append(PolicyChange(number, at, text, revision, at_once))

    def seen_by(self, caller: str, now: float) -> str | None:
        """Return the policy that binds this caller: the newest that has reached it.

        A caller that has seen a change never sees an earlier one again.
        """
        delay = self._spread.delay
        return self._newest(now, lambda number: delay(self._table, number, caller)).text

    def readable(self, now: float) -> PolicyChange:
        """Return the change that GetResourcePolicy shows."""
        return self._newest(now, lambda number: self._spread.read_delay(self._table, number))

    def is_pending(self, now: float) -> bool:
        """Return whether the last change cannot be read yet."""
        delay = self._spread.read_delay(self._table, self.last.number)
        return self.last.number > 0 and not self.last.at_once and now < self.last.at + delay

    def _newest(self, now: float, delay_of: Callable[[int], float]) -> PolicyChange:
        for change in reversed(self._changes[1:]):
            if change.at_once or change.at + delay_of(change.number) <= now:
                return change
        return self._changes[0]  # the one that everyone has seen

    def _forget(self, now: float) -> None:
        slowest = max(self._spread.seconds, self._spread.read_seconds)
        while len(self._changes) > 1 and self._changes[1].at + slowest <= now:
            del self._changes[0]
