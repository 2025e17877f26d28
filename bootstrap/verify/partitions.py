"""One partition of both sides: which keys differ. In memory at once: one partition at most.

A partition that is larger than foreseen is compared in several passes, by further bits of the key.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from bootstrap.verify.errors import DuplicateKeyError
from bootstrap.verify.manifest import TAKE_ANOTHER, Export
from bootstrap.verify.spool import (
    ITEMS_PER_PARTITION,
    RECORD_BYTES,
    SOURCE,
    TARGET,
    Spool,
    pieces,
    place,
    whole_file,
)
from replicator.canonical import DIGEST_BYTES, digest

ABSENT = digest(None)

_HEAD = 2 * DIGEST_BYTES
_NOWHERE = bytes(RECORD_BYTES)
_DIFFERENCE = struct.Struct(">16sB24s24s")  # key, which sides have it, image and place of both
_TAIL = struct.Struct(">I")


class Kind(Enum):
    """How a key differs, seen from the target."""

    MISSING = "missing"
    EXTRA = "extra"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Found:
    """An item of one side: the digest of its image, and where it is in that export."""

    image: bytes
    file: int
    line: int


@dataclass(frozen=True)
class Difference:
    """A key whose items differ. `key` is the key's digest; None is absence."""

    key: bytes
    source: Found | None
    target: Found | None

    @property
    def kind(self) -> Kind:
        if self.target is None:
            return Kind.MISSING
        return Kind.EXTRA if self.source is None else Kind.DIFFERENT

    @property
    def source_image(self) -> bytes:
        """The digest of the source's image; absence has one too."""
        return ABSENT if self.source is None else self.source.image

    @property
    def target_image(self) -> bytes:
        """The digest of the target's image; absence has one too."""
        return ABSENT if self.target is None else self.target.image


@dataclass(frozen=True)
class Counts:
    """How many items there are on both sides, and how the keys compare."""

    source: int = 0
    target: int = 0
    equal: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0

    def __add__(self, other: Counts) -> Counts:
        theirs = asdict(other)
        return Counts(**{name: value + theirs[name] for name, value in asdict(self).items()})

    @property
    def differing(self) -> int:
        return self.missing + self.extra + self.different


def compare_partition(spool: Spool, partition: int, source: Export, target: Export) -> Counts:
    """Compares a partition and leaves its result in the spool: the differences, then the counts.

    Raises:
        DuplicateKeyError: one export has a key twice.
    """
    expected = max(source.items, target.items) * min(spool.plan.sample, 1.0)
    passes = max(1, round(expected / spool.plan.partitions / (2 * ITEMS_PER_PARTITION)))
    counts = Counts()
    with whole_file(spool.result(partition)) as file:
        for turn in range(passes):
            ours = list(_records(spool, SOURCE, source, partition, turn, passes))
            theirs = list(_records(spool, TARGET, target, partition, turn, passes))
            _refuse_duplicates(ours, source)
            _refuse_duplicates(theirs, target)
            counts += _compare(ours, theirs, file)
        tail = json.dumps(asdict(counts)).encode()
        file.write(tail + _TAIL.pack(len(tail)))
    return counts


def counts_of(result: Path) -> Counts:
    """The counts of a finished partition."""
    return _open(result)[0]


def differences_in(result: Path) -> Iterator[Difference]:
    """The differences of a finished partition, by key digest, read as they are asked for."""
    _, size = _open(result)
    with result.open("rb") as file:
        for _ in range(size // _DIFFERENCE.size):
            key, present, ours, theirs = _DIFFERENCE.unpack(file.read(_DIFFERENCE.size))
            yield Difference(
                key,
                source=_found(ours) if present & 1 else None,
                target=_found(theirs) if present & 2 else None,
            )


def _records(
    spool: Spool, side: str, export: Export, partition: int, turn: int, passes: int
) -> Iterator[bytes]:
    for data in export.files:
        for piece in pieces(spool.run(side, data.number), partition, spool.plan.partitions):
            cut = (piece[n : n + RECORD_BYTES] for n in range(0, len(piece), RECORD_BYTES))
            if passes == 1:
                yield from cut
            else:
                # Two bytes of the key that did not choose the partition.
                yield from (r for r in cut if (r[2] << 8 | r[3]) * passes >> 16 == turn)


def _compare(ours: list[bytes], theirs: list[bytes], file: BinaryIO) -> Counts:
    heads, others = {r[:_HEAD] for r in ours}, {r[:_HEAD] for r in theirs}
    equal = len(heads) if heads == others else len(heads & others)
    missing = extra = different = 0
    if equal < len(heads) or equal < len(others):
        odd = heads ^ others
        left = {r[:DIGEST_BYTES]: r for r in ours if r[:_HEAD] in odd}
        right = {r[:DIGEST_BYTES]: r for r in theirs if r[:_HEAD] in odd}
        for key in sorted(left.keys() | right.keys()):
            one, other = left.get(key), right.get(key)
            present = (one is not None) + 2 * (other is not None)
            missing += present == 1
            extra += present == 2
            different += present == 3
            one, other = ((r or _NOWHERE)[DIGEST_BYTES:] for r in (one, other))
            file.write(_DIFFERENCE.pack(key, present, one, other))
    return Counts(len(ours), len(theirs), equal, missing, extra, different)


def _refuse_duplicates(records: list[bytes], export: Export) -> None:
    if len({r[:DIGEST_BYTES] for r in records}) == len(records):
        return
    seen: dict[bytes, bytes] = {}
    for record in records:
        before = seen.setdefault(record[:DIGEST_BYTES], record)
        if before is not record:
            (one, line), (two, other) = place(before), place(record)
            raise DuplicateKeyError(
                f"The export {export.arn} holds one key twice: in line {line + 1} of "
                f"{export.files[one].key} and in line {other + 1} of {export.files[two].key}.",
                fix=TAKE_ANOTHER,
            )


def _found(rest: bytes) -> Found:
    file, line = place(bytes(DIGEST_BYTES) + rest)
    return Found(rest[:DIGEST_BYTES], file, line)


def _open(result: Path) -> tuple[Counts, int]:
    """The counts, and how many bytes of differences come before them."""
    with result.open("rb") as file:
        file.seek(-_TAIL.size, os.SEEK_END)
        (length,) = _TAIL.unpack(file.read(_TAIL.size))
        size = file.seek(-_TAIL.size - length, os.SEEK_END)
        return Counts(**json.loads(file.read(length))), size
