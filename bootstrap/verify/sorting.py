"""Records of one size on disk, handed back in order, in bounded memory: gone with the process.

They are kept in files without a name: no process that is killed leaves any, and none is misled by
those of another.
"""

from __future__ import annotations

import heapq
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TypeVar

from replicator.canonical import DIGEST_BYTES

T = TypeVar("T")

AT_ONCE = 100_000
"""Records in memory before they are written: some 10 MB."""
MOST_RUNS = 500
"""Sorted runs that are merged at once."""
MERGE_BYTES = 8 << 20
"""Read ahead by a merge, all its runs together."""


class Sorted:
    """Records of `size` bytes. `directory` has to be there by the time that AT_ONCE are added.

    Nothing may be added while it is iterated over.
    """

    def __init__(self, directory: Path, size: int) -> None:
        self._directory = directory
        self._size = size
        self._held: list[bytes] = []
        self._levels: list[_Runs] = []
        self._count = 0

    def add(self, record: bytes) -> None:
        self._held.append(record)
        self._count += 1
        if len(self._held) >= AT_ONCE:
            held, self._held = sorted(self._held), []
            self._write(0, held)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[bytes]:
        self._held.sort()
        runs = itertools.chain.from_iterable(level.runs for level in self._levels)
        return heapq.merge(*_opened(list(runs), self._size), self._held)

    def close(self) -> None:
        """Frees the disk. What was added is gone."""
        for level in self._levels:
            level.file.close()
        self._held, self._levels, self._count = [], [], 0

    def _write(self, level: int, records: Iterable[bytes]) -> None:
        if level == len(self._levels):
            self._levels.append(_Runs(self._directory))
        runs = self._levels[level]
        runs.append(records)
        if len(runs.runs) >= MOST_RUNS:
            # Each record is written again only once in MOST_RUNS as many.
            self._write(level + 1, heapq.merge(*_opened(runs.runs, self._size)))
            runs.clear()


class Keys(Sorted):
    """Key digests, each added once. They are told from others by going through both in order."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, DIGEST_BYTES)

    def among(self, each: Iterable[T], key: Callable[[T], bytes]) -> Iterator[tuple[T, bool]]:
        """Says of each, in the order of their key digests, whether its key is one of these."""
        known = iter(self)
        next_ = next(known, None)
        for one in each:
            wanted = key(one)
            while next_ is not None and next_ < wanted:
                next_ = next(known, None)
            yield one, next_ == wanted

    def kept(self, others: Keys) -> Keys:
        """Those that are in both, in place of these."""
        both = Keys(self._directory)
        for key, there in others.among(self, bytes):
            if there:
                both.add(key)
        self.close()
        return both


class _Runs:
    """Runs of sorted records in one file, one after the other."""

    def __init__(self, directory: Path) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115, until `close`
        self.runs: list[tuple[IO[bytes], int, int]] = []
        self._last = b""

    def append(self, records: Iterable[bytes]) -> None:
        """A run more, or the last one goes on, where these come after it."""
        remaining = iter(records)
        begin = end = self.file.seek(0, 2)
        first = True
        while block := list(itertools.islice(remaining, 4096)):
            if first and self.runs and self._last <= block[0]:
                _, begin, _ = self.runs.pop()
            first = False
            end += self.file.write(b"".join(block))
            self._last = block[-1]
        self.runs.append((self.file, begin, end))

    def clear(self) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.runs, self._last = [], b""


def _opened(runs: list[tuple[IO[bytes], int, int]], size: int) -> list[Iterator[bytes]]:
    ahead = max(1, min(1 << 20, MERGE_BYTES // max(1, len(runs))) // size) * size
    return [_records(*run, size, ahead) for run in runs]


def _records(file: IO[bytes], begin: int, end: int, size: int, ahead: int) -> Iterator[bytes]:
    while begin < end:
        file.seek(begin)
        piece = file.read(min(ahead, end - begin))
        begin += len(piece)
        for n in range(0, len(piece), size):
            yield piece[n : n + size]
