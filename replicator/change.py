"""A change of one item, and the version that orders it among the changes of its key."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from replicator.canonical import Image, key_digest, measure

Precision = Literal["u", "m"]

MICROSECOND: Precision = "u"
MILLISECOND: Precision = "m"


@dataclass(frozen=True)
class Version:
    """The creation time that DynamoDB gave a change.

    `micros` is in microseconds since 1970 whatever the precision; with `m` it is a whole
    millisecond, which is all that the record holds.
    """

    micros: int
    precision: Precision

    @property
    def millisecond(self) -> int:
        return self.micros // 1000


def compare(one: Version, other: Version) -> int:
    """Return negative, zero or positive if `one` is older than, the same as or newer than `other`.

    Of two versions of different precision in one millisecond neither is known to be older. So "the
    same" is not transitive across precisions: never sort by this.
    """
    if one.precision == other.precision:
        return one.micros - other.micros
    return one.millisecond - other.millisecond


@dataclass(frozen=True)
class Entry:
    """A key's entry in the ledger: the version last applied, and two digests of images.

    `image` is the image since that version, `previous` the one before it; absence has a digest.
    """

    version: Version
    image: bytes
    previous: bytes


@dataclass(eq=False)
class Change:
    """One change record: the item before (`old`) and after (`new`); None is absence.

    Images and keys are DynamoDB JSON with binary as `bytes`. `arrival` is when the record entered
    the stream, in seconds since 1970. `expired`: DynamoDB deleted the item itself, by its time to
    live. Digests are computed when asked for: most changes of a hot key are superseded inside their
    batch and need none.
    """

    keys: Image
    old: Image | None
    new: Image | None
    version: Version
    arrival: float
    expired: bool = field(default=False, kw_only=True)

    @cached_property
    def key(self) -> bytes:
        return key_digest(self.keys)

    @cached_property
    def _new(self) -> tuple[bytes, int]:
        return measure(self.new)

    @cached_property
    def _old(self) -> tuple[bytes, int]:
        return measure(self.old)

    @cached_property
    def entry(self) -> Entry:
        """The ledger entry after this change."""
        return Entry(self.version, image=self._new[0], previous=self._old[0])

    @property
    def size(self) -> int:
        """An upper bound of its bytes in a transaction: a delete may count the item it deletes."""
        return max(self._new[1], self._old[1]) if self.new is None else self._new[1]


@dataclass(frozen=True)
class Probe:
    """A marker record: once its row exists, every record before it in the stream has ended."""

    probe: str
    n: int


Attributes = dict[str, Any]
