"""An external sort of fixed-size records, in bounded memory.

The files are unnamed: a killed process leaves none behind, and none reads those of another.
"""

from __future__ import annotations

import heapq
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TypeVar

from replicator.canonical import DIGEST_BYTES

T = TypeVar("T")

AT_ONCE = 100_000
"""Records in memory before they are written, about 10 MB."""
MERGE_BYTES = 16 << 20
"""Read-ahead of all runs together while they are merged."""


class ExternalSort:
    """Records of `size` bytes, iterated in order. The file holds sorted runs, one after another.

    `directory` must exist once AT_ONCE records are added. Do not add records during an iteration.
    """

    def __init__(self, directory: Path, size: int) -> None:
        self._directory = directory
        self._size = size
        self._held: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._ends: list[int] = []
        self._last = b""
        self._count = 0

    def add(self, record: bytes) -> None:
        self._held.append(record)
        self._count += 1
        if len(self._held) >= AT_ONCE:
            self._write()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[bytes]:
        self._held.sort()
        begins = [0, *self._ends]
        ahead = min(1 << 18, MERGE_BYTES // len(begins)) // self._size * self._size
        runs = [
            self._run(begin, end, max(self._size, ahead))
            for begin, end in itertools.pairwise(begins)
        ]
        return heapq.merge(*runs, self._held)

    def close(self) -> None:
        """Drop all records and free the disk."""
        if self._file is not None:
            self._file.close()
        self._file, self._held, self._ends, self._count = None, [], [], 0

    def _write(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115, until `close`
        self._held.sort()
        if self._ends and self._last <= self._held[0]:
            self._ends.pop()  # in order: extend the last run
        self._last = self._held[-1]
        self._file.seek(0, os.SEEK_END)
        self._file.write(b"".join(self._held))
        self._ends.append(self._file.tell())
        self._held = []

    def _run(self, begin: int, end: int, ahead: int) -> Iterator[bytes]:
        assert self._file is not None
        while begin < end:
            self._file.seek(begin)
            piece = self._file.read(min(ahead, end - begin))
            begin += len(piece)
            for n in range(0, len(piece), self._size):
                yield piece[n : n + self._size]


class KeySpool(ExternalSort):
    """A set of key digests on disk, each added once. Lookups go through it in order."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, DIGEST_BYTES)

    def among(self, each: Iterable[T], key: Callable[[T], bytes]) -> Iterator[tuple[T, bool]]:
        """Pair each with True if its key is in the set. `each` must be in the order of its keys."""
        known = iter(self)
        next_ = next(known, None)
        for one in each:
            wanted = key(one)
            while next_ is not None and next_ < wanted:
                next_ = next(known, None)
            yield one, next_ == wanted

    def add_common(self, one: KeySpool, other: KeySpool) -> None:
        """Add the keys that are in both sets."""
        for key, there in other.among(one, bytes):
            if there:
                self.add(key)
