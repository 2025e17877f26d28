"""Changes on their way into a transaction: one attempt, and the pack that it travels in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from replicator.consumer.outcome import Result
from replicator.consumer.writer import Attempt


class PendingWrite:
    """One attempt, until it has a result."""

    __slots__ = ("actions", "attempt", "failures", "looked", "result", "uncertain")

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.actions: tuple[dict[str, Any], dict[str, Any]] | None = None
        self.failures = 0  # cancellations without any progress
        self.looked = attempt.pin is not None  # only its condition can decide a pinned write
        self.uncertain = False  # a call without an answer may have written it
        self.result: Result | None = None


@dataclass
class WritePack:
    """The changes of one call.

    `isolated`: split off on purpose, never mixed again. `busy`: a cancellation named these items.
    """

    works: list[PendingWrite]
    token: str
    isolated: bool = False
    read: bool = False
    busy: bool = False
