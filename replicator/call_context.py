"""The context of one call to AWS on behalf of an invocation: deadline, errors, ledger expiry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from replicator.runtime import Deadline


class ErrorListener(Protocol):
    """Receives each failed attempt; called from several threads."""

    def __call__(self, operation: str, code: str, message: str) -> None:
        """Record a failed attempt.

        `message` is empty, or names actions and resources; never content of items.
        """


@dataclass
class CallContext:
    """The deadline, the listener for errors, and whether ledger entries may carry an expiry.

    `expire` is true only while the table is replicating.
    """

    deadline: Deadline
    report_error: ErrorListener
    expire: bool = False
