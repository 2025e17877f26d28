"""A change of one item, and the version that orders it among the changes of its key."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from replicator.canonical import Image, key_digest, measure

Precision = Literal["u", "m", "s"]

MICROSECOND: Precision = "u"
MILLISECOND: Precision = "m"
SECOND: Precision = "s"

SECOND_MICROS = 1_000_000
SEQUENCE_DIGITS = 40
"""The longest sequence number of a DynamoDB stream (API reference, streams_StreamRecord: 21 to 40
digits). Text of one length compares like the numbers."""
ORDER_ZERO = "0"
"""The order before every change: each label of a stream begins with the digit of a year."""


def stream_order(label: str, sequence_number: str) -> str:
    """Return a change's place among all changes of its table's streams; compared by bytes.

    The label is the stream's creation time, so that it grows with each stream of the table (API
    reference, StreamDescription: LatestStreamLabel, an ISO 8601 timestamp).
    """
    return f"{label}#{sequence_number.zfill(SEQUENCE_DIGITS)}"


@dataclass(frozen=True)
class Version:
    """The time at which DynamoDB made a change, and the change's place in its table's stream.

    `micros` is in microseconds since 1970 whatever the precision: with `m` it is a whole
    millisecond, with `s` a whole second, which is all that the record holds.

    `order` is empty in a Kinesis data stream, where the time alone orders changes. A DynamoDB
    stream numbers them: there `order` is the text of `stream_order` and the precision `s`. A
    version with an order and the precision `u` is *restored*: a repair or a backfill wrote the item
    as of that time, over the entry whose order it keeps (`ORDER_ZERO` where there was none).
    """

    micros: int
    precision: Precision
    order: str = ""

    @property
    def millisecond(self) -> int:
        return self.micros // 1000

    @property
    def second(self) -> int:
        return self.micros // SECOND_MICROS

    @property
    def latest(self) -> int:
        """The last microsecond in which the change may have been made."""
        return self.micros + SECOND_MICROS - 1 if self.precision == SECOND else self.micros

    @property
    def restored(self) -> bool:
        return bool(self.order) and self.precision != SECOND


def compare(one: Version, other: Version) -> int:
    """Return negative, zero or positive if `one` is older than, the same as or newer than `other`.

    Of two versions of different precision in one millisecond neither is known to be older; with
    orders, the same holds for a restored version and a change of one second. So "the same" is not
    transitive: never sort by this.
    """
    if one.order or other.order:
        return _compare_ordered(one, other)
    if one.precision == other.precision:
        return one.micros - other.micros
    return one.millisecond - other.millisecond


def _compare_ordered(one: Version, other: Version) -> int:
    if one.restored and other.restored:
        return one.micros - other.micros
    if one.restored:
        return -_compare_ordered(other, one)
    if not other.restored:
        return (one.order > other.order) - (one.order < other.order)
    # A restored item contains every change up to the entry over which it was written. Later ones
    # have no number in it to compare with: their time tells, by the second.
    return -1 if one.order <= other.order else one.second - other.second


def contradicts(change: Version, entry: Version) -> bool:
    """Return whether a change's number and time say different things about its place.

    Its number is the lower one and it was made in a later second; or only one of the two has a
    number. That numbers grow from a shard to its children is not documented. Where they did not,
    the change would be the newer one, and taking it for superseded would lose it.
    """
    if bool(change.order) != bool(entry.order):
        return True
    if change.restored:
        return False  # its time is an export's, and its number that of an older entry
    return change.order < entry.order and change.second > entry.second


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
