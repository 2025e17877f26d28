"""The outcomes of a record, and the results of an attempt to write a change, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from replicator.change import Entry


class Reason(StrEnum):
    """The reasons for quarantine; part of the object's key."""

    UNREADABLE = "unreadable"
    NOT_A_CHANGE = "not-a-change"
    MISSING_IMAGE = "missing-image"
    BINARY = "binary-not-base64"
    REJECTED = "rejected-by-target"
    AMBIGUOUS = "ambiguous-order"
    PARKED = "parked"
    LATE_WRITE = "late-write"


@dataclass(frozen=True)
class Applied:
    """The change is in the target. `micros`: the time of the confirmation."""

    micros: int


@dataclass(frozen=True)
class Superseded:
    """A newer change of the key has been applied, or this one has been already.

    `mixed`: judged by an entry of the same timestamp and of the other precision.
    """

    mixed: bool = False


@dataclass(frozen=True)
class Retry:
    """Not ended: the record is reported failed and will be delivered again.

    `contradicted`: its number and its time say different things about its place.
    """

    why: str
    contradicted: bool = False


@dataclass(frozen=True)
class Quarantined:
    """Whole in the quarantine bucket."""

    reason: Reason


@dataclass(frozen=True)
class Ignored:
    """A record of another table: nothing is to be done with it here."""


@dataclass(frozen=True)
class LeftToTtl:
    """A deletion by the source's time to live while nothing may be written: the target's own time
    to live deletes the item."""


@dataclass(frozen=True)
class Rejected:
    """The target refuses this item, now and on every retry."""

    detail: str


@dataclass(frozen=True)
class NeedsNote:
    """Not written: it may be applied to exactly this entry, once a note is in quarantine."""

    entry: Entry


@dataclass(frozen=True)
class Ambiguous:
    """Not written: neither this change nor the entry is known to be the newer."""

    entry: Entry
    mixed: bool = False


Outcome: TypeAlias = Applied | Superseded | Retry | Quarantined | Ignored | LeftToTtl
Result: TypeAlias = Applied | Superseded | Retry | Rejected | NeedsNote | Ambiguous
