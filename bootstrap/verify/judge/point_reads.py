"""Point reads: a judgement of keys changed since the exports, on the operator's request.

The order of the steps makes it safe: read the source's item; prove that every change made up to
that read is applied; read the target's item, with its ledger entry before and after, so that both
belong together; read the source's item again. A key is a difference only if nothing moved in all
that time. Any change newer than the first read sends it into another round.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from bootstrap.core.facts import ItemRead
from bootstrap.core.ports import ItemReader, LedgerEntries
from bootstrap.verify.compare.partitions import Difference, ExportedItem
from bootstrap.verify.judge.attributes import DifferenceDetail
from bootstrap.verify.judge.classify import Judgement
from replicator.canonical import canonical, key_digest
from replicator.change import Entry
from replicator.consumer.ledger_entry import from_item

T = TypeVar("T")

AT_ONCE = 100
ROUNDS = 3
WAITING_BYTES = 64 << 20
"""Bytes of pending keys in memory during the proof (about 80,000 keys); more stay unjudged."""
_WAITING_BYTES = 700
"""Python's overhead for a pending key beside its text."""
NOWHERE = -1
"""The file and line of an item that was read, not exported."""


class KeySet(Protocol):
    """A set of key digests."""

    def add(self, key: bytes, /) -> None: ...


@dataclass(frozen=True)
class PendingKey:
    """A key whose items differ for now, with the source's digest and the time of its read."""

    key: Mapping[str, Any]
    image: bytes
    at: int


@dataclass(frozen=True)
class TargetRead:
    """The target's item, with its ledger entry read before and after it."""

    before: Entry | None
    read: ItemRead
    after: Entry | None

    @property
    def consistent(self) -> bool:
        """True if the item belongs to the entry: the entry did not change meanwhile."""
        return self.before == self.after


def judge_read(
    first: PendingKey, seen: TargetRead, again: ItemRead, margin: int
) -> Judgement | None:
    """Judge a key after the proof that all changes up to its first read are applied.

    `margin`: possible distance in µs between a change's timestamp and a read's time. Returns None
    for equal items.
    """
    if seen.read.image in (first.image, again.image):
        return None
    if not seen.consistent or again.image != first.image:
        return Judgement.CHANGED_SINCE  # it is changing
    entry = seen.after
    if entry is None:
        return Judgement.DIFFERENCE
    if entry.version.latest >= first.at - margin:
        # Perhaps changed after the read, or the source's next change is on its way.
        return Judgement.CHANGED_SINCE
    return Judgement.FOREIGN if entry.image == first.image else Judgement.DIFFERENCE


@dataclass
class PointReads:
    """A reader that reads keys of both tables until they are judged.

    `prove(moment)` returns once every change made up to that epoch second is applied. `fuzz` is in
    µs.
    """

    source: ItemReader
    target: ItemReader
    ledger: LedgerEntries
    prove: Callable[[float], None]
    fuzz: int
    unjudged: KeySet = field(default_factory=set[bytes])
    """Collects the digests of keys that reads could not judge either."""
    read: int = 0
    """Number of reads of the source."""

    def differences(
        self, keys: Iterable[Mapping[str, Any]], rounds: int = ROUNDS
    ) -> Iterator[tuple[DifferenceDetail, Judgement, int]]:
        """Yield the differences, with both items and the time of the first read in µs."""
        waiting = self._first_look(keys)
        for last in (number == rounds for number in range(1, rounds + 1)):
            if not waiting:
                return
            # A second more: the time of a read is rounded down.
            self.prove(1 + (max(each.at for each in waiting) + self.fuzz) / 1e6)
            moving: list[PendingKey] = []
            for some in _batches(waiting):
                yield from self._second_look(some, moving)
            if last:
                for each in moving:
                    self.unjudged.add(key_digest(each.key))
                return
            waiting = self._first_look(each.key for each in moving)

    def _first_look(self, keys: Iterable[Mapping[str, Any]]) -> list[PendingKey]:
        """Return the keys that differ at once; with writes in flight, few do."""
        waiting: list[PendingKey] = []
        room = WAITING_BYTES
        for some in _batches(keys):
            reads = [self._source(key) for key in some]
            for key, read, seen in zip(some, reads, self._targets(some), strict=True):
                if seen.read.image == read.image:
                    continue
                room -= _WAITING_BYTES + len(canonical(key))
                if room >= 0:
                    waiting.append(PendingKey(key, read.image, read.at))
                else:
                    self.unjudged.add(key_digest(key))
        return waiting

    def _second_look(
        self, some: Sequence[PendingKey], moving: list[PendingKey]
    ) -> Iterator[tuple[DifferenceDetail, Judgement, int]]:
        for first, seen in zip(some, self._targets([each.key for each in some]), strict=True):
            again = self._source(first.key)
            judgement = judge_read(first, seen, again, self.fuzz)
            if judgement is Judgement.CHANGED_SINCE:
                moving.append(first)
            elif judgement is not None:
                yield _describe_difference(first.key, again, seen.read), judgement, first.at

    def _source(self, key: Mapping[str, Any]) -> ItemRead:
        self.read += 1
        return self.source.read(key)

    def _targets(self, keys: Sequence[Mapping[str, Any]]) -> list[TargetRead]:
        before = self._entries(keys)
        reads = [self.target.read(key) for key in keys]
        after = self._entries(keys)
        return [TargetRead(*each) for each in zip(before, reads, after, strict=True)]

    def _entries(self, keys: Sequence[Mapping[str, Any]]) -> list[Entry | None]:
        digests = [key_digest(key) for key in keys]
        found = self.ledger.entries(digests)
        return [from_item(found[each]) if each in found else None for each in digests]


def _batches(each: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(each)
    while some := list(itertools.islice(remaining, AT_ONCE)):
        yield some


def _describe_difference(
    key: Mapping[str, Any], source: ItemRead, target: ItemRead
) -> DifferenceDetail:
    ours, theirs = dict(source.item or {}), dict(target.item or {})
    names = ours.keys() | theirs.keys()
    return DifferenceDetail(
        Difference(key_digest(key), _found(source), _found(target)),
        key=dict(key),
        attributes=tuple(
            sorted(n for n in names if _attribute_digest(ours, n) != _attribute_digest(theirs, n))
        ),
        source=None if source.item is None else ours,
        target=None if target.item is None else theirs,
    )


def _found(read: ItemRead) -> ExportedItem | None:
    return None if read.item is None else ExportedItem(read.image, NOWHERE, NOWHERE)


def _attribute_digest(item: Mapping[str, Any], name: str) -> bytes | None:
    return key_digest({name: item[name]}) if name in item else None
