"""The interface of a conditional writer: it applies a change only if it is newer, atomically."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol, TypeAlias

from replicator.call_context import CallContext
from replicator.change import Change, Entry
from replicator.consumer.outcome import Result


class Absence(Enum):
    """The pin of a change that was judged where its key had no entry."""

    ABSENT = "no entry"


ABSENT: Literal[Absence.ABSENT] = Absence.ABSENT
Pin: TypeAlias = Entry | Literal[Absence.ABSENT] | None


@dataclass(frozen=True)
class Attempt:
    """One change to write.

    `pin`: apply only while the key's entry is exactly this one, or while it has none.
    `redelivered`: this container has received the record before and may have applied it. With many
    of them, reading the ledger first costs less than writing.
    """

    change: Change
    pin: Pin = None
    redelivered: bool = False


class ConditionalWriter(Protocol):
    """Applies changes under any delivery: duplicated, reordered, by several callers at once.

    `apply` takes attempts on *different* keys and returns their results in the same order. It
    writes a change if the key has no version, an older one, or one of the same timestamp that the
    change continues from; or, pinned, exactly the pinned one. It tries again, with jitter, until
    the deadline; what has not ended by then is `Retry`. It raises nothing for what AWS answers.
    """

    def apply(self, attempts: Sequence[Attempt], context: CallContext) -> list[Result]: ...

    def superseded(self, changes: Sequence[Change], context: CallContext) -> list[bool | None]:
        """Return for each change whether it is superseded or applied already; write nothing.

        None where that could not be read before the deadline.
        """
