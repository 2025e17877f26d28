"""The comparison of one partition of both sides, in memory.

A partition larger than planned is compared in several passes, divided by further bits of the key.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from bootstrap.verify.compare.spool import (
    ITEMS_PER_PARTITION,
    RECORD_BYTES,
    SOURCE,
    TARGET,
    Spool,
    atomic_file,
    position,
    read_partition,
)
from bootstrap.verify.exports.manifest import TAKE_ANOTHER, DuplicateKeyError, Export
from replicator.canonical import DIGEST_BYTES, digest

MOST_AT_ONCE = ITEMS_PER_PARTITION * 3 // 2
"""Keys of a side in memory: four workers stay within 400 MB together."""

DIFFERENCES_AT_ONCE = 100_000
"""Differing keys whose positions are in memory. Each further batch reads the partition again."""

ABSENT = digest(None)

_PAIR = struct.Struct(f"{DIGEST_BYTES}s{DIGEST_BYTES}s{RECORD_BYTES - 2 * DIGEST_BYTES}x")
_DIFFERENCE = struct.Struct(">16sB24s24s")  # key, which sides have it, image and place of both
_FOUND = struct.Struct(">16sII")
_NOWHERE = bytes(_FOUND.size)
DIFFERENCE_BYTES = _DIFFERENCE.size
_TAIL = struct.Struct(">I")


class DifferenceKind(Enum):
    """The kind of a difference, seen from the target."""

    MISSING = "missing"
    EXTRA = "extra"
    DIFFERENT = "different"


@dataclass(frozen=True)
class ExportedItem:
    """An item of one side: the digest of its image, and its position in that export."""

    image: bytes
    file: int
    line: int


@dataclass(frozen=True)
class Difference:
    """A key whose items differ. `key` is the key's digest; None is absence."""

    key: bytes
    source: ExportedItem | None
    target: ExportedItem | None

    @property
    def kind(self) -> DifferenceKind:
        if self.target is None:
            return DifferenceKind.MISSING
        return DifferenceKind.EXTRA if self.source is None else DifferenceKind.DIFFERENT

    @property
    def source_image(self) -> bytes:
        """Digest of the source's image; absence has a digest too."""
        return ABSENT if self.source is None else self.source.image

    @property
    def target_image(self) -> bytes:
        """Digest of the target's image; absence has a digest too."""
        return ABSENT if self.target is None else self.target.image


@dataclass(frozen=True)
class Counts:
    """The number of items on both sides, and of keys by their result."""

    source: int = 0
    target: int = 0
    equal: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0

    def __add__(self, other: Counts) -> Counts:
        target_side = asdict(other)
        return Counts(**{name: value + target_side[name] for name, value in asdict(self).items()})

    @property
    def differing(self) -> int:
        return self.missing + self.extra + self.different


def compare_partition(spool: Spool, partition: int, source: Export, target: Export) -> Counts:
    """Compare a partition, and write its result to the spool: differences, then counts.

    Raises:
        DuplicateKeyError: one export has a key twice.
    """
    expected = max(source.items, target.items) * min(spool.plan.sample, 1.0)
    passes = max(1, math.ceil(expected / spool.plan.partitions / MOST_AT_ONCE))
    counts = Counts()
    with atomic_file(spool.result(partition)) as file:
        for turn in range(passes):
            source_side = _PartitionSide(spool, SOURCE, source, partition, turn, passes)
            target_side = _PartitionSide(spool, TARGET, target, partition, turn, passes)
            counts += _compare(source_side, target_side, file)
        tail = json.dumps(asdict(counts)).encode()
        file.write(tail + _TAIL.pack(len(tail)))
    return counts


def read_counts(result: Path) -> Counts:
    """Read the counts of a finished partition."""
    return _read_tail(result)[0]


def read_differences(result: Path) -> Iterator[Difference]:
    """Read the differences of a finished partition lazily, in the order of key digests."""
    _, size = _read_tail(result)
    with result.open("rb") as file:
        for _ in range(size // _DIFFERENCE.size):
            yield unpack_difference(file.read(_DIFFERENCE.size))


def pack_difference(difference: Difference) -> bytes:
    """Pack a difference into DIFFERENCE_BYTES."""
    source_side, target_side = (
        _NOWHERE if found is None else _FOUND.pack(found.image, found.file, found.line)
        for found in (difference.source, difference.target)
    )
    present = (difference.source is not None) + 2 * (difference.target is not None)
    return _DIFFERENCE.pack(difference.key, present, source_side, target_side)


def unpack_difference(record: bytes) -> Difference:
    """Unpack the result of `pack_difference`."""
    key, present, source_side, target_side = _DIFFERENCE.unpack(record)
    return Difference(
        key,
        source=ExportedItem(*_FOUND.unpack(source_side)) if present & 1 else None,
        target=ExportedItem(*_FOUND.unpack(target_side)) if present & 2 else None,
    )


@dataclass(frozen=True)
class _PartitionSide:
    """The records of one side in one pass over a partition."""

    spool: Spool
    side: str
    export: Export
    partition: int
    turn: int
    passes: int

    def images(self) -> dict[bytes, bytes]:
        """Return the image digests by key digest. The loop runs in C: records are many."""
        found: dict[bytes, bytes] = {}
        count = 0
        for piece in self._pieces():
            found.update(_PAIR.iter_unpack(piece))
            count += len(piece) // RECORD_BYTES
        if len(found) != count:
            self._refuse_duplicates()
        return found

    def records(self) -> Iterator[bytes]:
        for piece in self._pieces():
            yield from _split_records(piece)

    def _pieces(self) -> Iterator[bytes]:
        partitions = self.spool.plan.partitions
        least, after = self._turn()
        for data in self.export.files:
            for piece in read_partition(
                self.spool.run(self.side, data.number), self.partition, partitions
            ):
                if self.passes == 1:
                    yield piece
                else:
                    yield b"".join(
                        record for record in _split_records(piece) if least <= record < after
                    )

    def _turn(self) -> tuple[bytes, bytes]:
        """Return the key prefixes where this pass begins and ends.

        The 16 bits after those of the partition divide it: so passes are in the order of keys.
        """
        of = 1 << 16
        least, after = (
            (self.partition * of + -(-turn * of // self.passes))
            * (of // self.spool.plan.partitions)
            for turn in (self.turn, self.turn + 1)
        )
        beyond = b"\xff" * (RECORD_BYTES + 1)
        return least.to_bytes(4, "big"), after.to_bytes(4, "big") if after < 1 << 32 else beyond

    def _refuse_duplicates(self) -> None:
        seen: dict[bytes, bytes] = {}
        for record in self.records():
            before = seen.setdefault(record[:DIGEST_BYTES], record)
            if before is not record:
                (one, line), (two, other) = position(before), position(record)
                files = self.export.files
                raise DuplicateKeyError(
                    f"The export {self.export.arn} has one key twice: in line {line + 1} of "
                    f"{files[one].key} and in line {other + 1} of {files[two].key}.",
                    fix=TAKE_ANOTHER,
                )


def _split_records(piece: bytes) -> Iterator[bytes]:
    return (piece[n : n + RECORD_BYTES] for n in range(0, len(piece), RECORD_BYTES))


def _compare(source_side: _PartitionSide, target_side: _PartitionSide, file: BinaryIO) -> Counts:
    left, right = source_side.images(), target_side.images()
    counts = Counts(len(left), len(right), len(left))
    if left == right:
        return counts
    odd = [key for key, image in left.items() if right.get(key) != image]
    odd += [key for key in right if key not in left]
    odd.sort()
    kinds = bytes((key in left) + 2 * (key in right) for key in odd)
    # All keys may differ: free the images before the positions are looked up.
    del left, right
    for begin in range(0, len(odd), DIFFERENCES_AT_ONCE):
        some = slice(begin, begin + DIFFERENCES_AT_ONCE)
        _write(file, odd[some], kinds[some], source_side, target_side)
    missing, extra, different = (kinds.count(present) for present in (1, 2, 3))
    equal = counts.source - missing - different
    return Counts(counts.source, counts.target, equal, missing, extra, different)


def _write(
    file: BinaryIO,
    keys: Sequence[bytes],
    kinds: bytes,
    source_side: _PartitionSide,
    target_side: _PartitionSide,
) -> None:
    numbers = {key: n for n, key in enumerate(keys)}
    both = []
    for part in (source_side, target_side):
        found = [_NOWHERE] * len(keys)
        for record in part.records():
            number = numbers.get(record[:DIGEST_BYTES])
            if number is not None:
                found[number] = record[DIGEST_BYTES:]
        both.append(found)
    for each in zip(keys, kinds, *both, strict=True):
        file.write(_DIFFERENCE.pack(*each))


def _read_tail(result: Path) -> tuple[Counts, int]:
    """Return the counts, and the bytes of differences before them."""
    with result.open("rb") as file:
        file.seek(-_TAIL.size, os.SEEK_END)
        (length,) = _TAIL.unpack(file.read(_TAIL.size))
        size = file.seek(-_TAIL.size - length, os.SEEK_END)
        return Counts(**json.loads(file.read(length))), size
