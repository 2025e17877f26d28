"""The spool: 40 bytes per item and side on disk, by partitions of the key's digest.

A record is the key's digest (16 bytes), the image's digest (16) and where the item was read (file
number and line number, 4 bytes each). Of each finished data file there is one run, `source/7.run`;
of each finished partition one result. Both appear by a rename, whole or not at all, so that a
verification that was stopped goes on with what is there. Items never get here.

A run is a sequence of blocks: `partitions + 1` offsets (4 bytes each, in records), then the
records, partition after partition; and at its end how many records it holds.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from bootstrap.core.errors import BlockedError, UsageError
from bootstrap.verify.exports.manifest import Export

RECORD_BYTES = 40
SOURCE, TARGET = SIDES = ("source", "target")

ITEMS_PER_PARTITION = 100_000
"""Per side, about: two workers at it stay within 150 MB together."""
MOST_PARTITIONS = 4096

JUDGEMENT_BYTES = 110
"""For each key that differs, while it is judged: its place, and what became of it."""

_VERSION = 1
_STATE = "state.json"
_END = struct.Struct("<8sQ")
_MAGIC = b"digests1"
_PLACE = struct.Struct(">II")


class OtherSpoolError(UsageError):
    """The spool directory belongs to the comparison of other exports."""


class SpoolSpaceError(BlockedError):
    """The spool does not fit on its disk."""


@dataclass(frozen=True)
class SpoolPlan:
    """What a spool is for. Another plan needs another spool."""

    source: str
    target: str
    key: tuple[str, ...]
    sample: float
    partitions: int
    version: int = _VERSION


def make_plan(
    source: Export, target: Export, key: tuple[str, ...], sample: float = 1.0
) -> SpoolPlan:
    """The plan of comparing two exports: how many partitions keep memory bounded."""
    items = max(source.items, target.items) * min(sample, 1.0)
    partitions = 1
    while partitions < MOST_PARTITIONS and partitions * ITEMS_PER_PARTITION < items:
        partitions *= 2
    return SpoolPlan(source.arn, target.arn, tuple(sorted(key)), sample, partitions)


def spool_size(source: Export, target: Export, sample: float = 1.0) -> int:
    """Bytes that the digests of both exports take, before anything is read (differences aside)."""
    return round((source.items + target.items) * RECORD_BYTES * min(sample, 1.0))


def position(record: bytes) -> tuple[int, int]:
    """File number and line number (from 0) of a record."""
    number, line = _PLACE.unpack(record[32:40])
    return number, line


class Spool:
    """A directory that belongs to one plan.

    Raises:
        OtherSpoolError: the directory holds the spool of another comparison, or something else.
        SpoolSpaceError: what is still to be written does not fit.
    """

    def __init__(self, directory: Path, plan: SpoolPlan) -> None:
        self.directory = directory
        self.plan = plan

    @classmethod
    def open(cls, directory: Path, source: Export, target: Export, plan: SpoolPlan) -> Spool:
        """Makes the directory, or goes on with what is in it."""
        spool = cls(directory, plan)
        state = directory / _STATE
        if state.exists():
            spool._recognise(state)
        elif not _is_empty(directory):
            raise OtherSpoolError(
                f"{directory} is to be the spool, and holds other files.",
                fix="name an empty or a new directory: --spool DIR",
            )
        spool._check_runs(source, target)
        for name in (*SIDES, "results"):
            (directory / name).mkdir(parents=True, exist_ok=True)
            for unfinished in (directory / name).glob("*.part"):
                unfinished.unlink(missing_ok=True)
        if not state.exists():
            with atomic_file(state) as file:
                file.write(json.dumps(asdict(plan), indent=2).encode() + b"\n")
        return spool

    def run(self, side: str, number: int) -> Path:
        """Where the run of a data file is, once it is finished."""
        return self.directory / side / f"{number}.run"

    def result(self, partition: int) -> Path:
        """Where the result of a partition is, once it is finished."""
        return self.directory / "results" / f"{partition}.result"

    def missing_runs(self, side: str, export: Export) -> list[int]:
        """The numbers of the data files that are still to be digested."""
        return [
            file.number for file in export.files if not _is_complete(self.run(side, file.number))
        ]

    def missing_results(self) -> list[int]:
        """The partitions that are still to be compared."""
        return [n for n in range(self.plan.partitions) if not self.result(n).exists()]

    def remove(self) -> None:
        """Deletes the spool's own files, and the directory if that leaves it empty."""
        for name in (*SIDES, "results"):
            shutil.rmtree(self.directory / name, ignore_errors=True)
        (self.directory / _STATE).unlink(missing_ok=True)
        if self.directory.exists() and _is_empty(self.directory):
            with contextlib.suppress(OSError):
                self.directory.rmdir()

    def _recognise(self, state: Path) -> None:
        known = _read_plan(state)
        if known == self.plan:
            return
        theirs = f"{known.source} with {known.target}" if known else "something unreadable"
        if known and (known.source, known.target) == (self.plan.source, self.plan.target):
            theirs = "the same exports with another sample or key"
        raise OtherSpoolError(
            f"{self.directory} holds the spool of comparing {theirs}; asked for are "
            f"{self.plan.source} with {self.plan.target}.",
            fix=f"name another --spool DIR, or delete {self.directory} if that comparison is over",
        )

    def _check_runs(self, source: Export, target: Export) -> None:
        there = sum(
            path.stat().st_size for side in SIDES for path in self.directory.glob(f"{side}/*.run")
        )
        self.check_space(spool_size(source, target, self.plan.sample) - there)

    def check_space(self, needed: int) -> None:
        """Refuses to begin what would fill the disk."""
        exists = next(
            each for each in (self.directory, *self.directory.absolute().parents) if each.exists()
        )
        free = shutil.disk_usage(exists).free
        if needed > free:
            raise SpoolSpaceError(
                f"The spool needs {needed:,} bytes more in {self.directory}, and {free:,} are "
                "free there.",
                fix="--spool DIR on a larger disk, or --sample FRACTION",
            )


def clear_spool(directory: Path, source: str, target: str) -> None:
    """Makes room for another comparison than that of these two exports, which is over.

    Raises:
        OtherSpoolError: the directory holds something else.
    """
    known = _read_plan(directory / _STATE)
    if known and (known.source, known.target) == (source, target):
        Spool(directory, known).remove()
    if not _is_empty(directory):
        theirs = f"that of {known.source} with {known.target}" if known else "other files"
        raise OtherSpoolError(
            f"{directory} is to be the spool, and holds {theirs}.",
            fix=f"name another --spool DIR, or delete {directory} if that comparison is over",
        )


def _is_empty(directory: Path) -> bool:
    """Whether nothing of anybody's is there. NFS shows removed files as long as they are open."""
    return not directory.exists() or all(
        each.name.startswith(".nfs") for each in directory.iterdir()
    )


def _read_plan(state: Path) -> SpoolPlan | None:
    try:
        stored: Any = json.loads(state.read_bytes())
        return SpoolPlan(**{**stored, "key": tuple(stored["key"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


class RunWriter:
    """Writes the run of one data file into `file`: `add` records, then `finish`.

    Records are kept in memory up to `buffer` bytes.
    """

    def __init__(self, file: BinaryIO, partitions: int, buffer: int) -> None:
        self._file = file
        self._buckets = [bytearray() for _ in range(partitions)]
        self._shift = 16 - (partitions.bit_length() - 1)
        self._buffer = buffer
        self._held = 0
        self._count = 0

    def add(self, pairs: list[bytes | None], number: int, line: int) -> None:
        """Adds the digests of consecutive lines, the first of which is `line`; None is left out."""
        buckets, shift = self._buckets, self._shift
        start = (number << 32) + line
        held = 0
        if len(buckets) == 1:
            kept = [pair + (start + n).to_bytes(8, "big") for n, pair in enumerate(pairs) if pair]
            buckets[0] += b"".join(kept)
            held = len(kept)
        else:
            for n, pair in enumerate(pairs):
                if pair:
                    bucket = buckets[(pair[0] << 8 | pair[1]) >> shift]
                    bucket += pair
                    bucket += (start + n).to_bytes(8, "big")
                    held += 1
        self._held += held
        if self._held * RECORD_BYTES >= self._buffer:
            self._flush()

    def finish(self) -> int:
        """Writes what is left. Returns how many records there are."""
        self._flush()
        self._file.write(_END.pack(_MAGIC, self._count))
        return self._count

    def _flush(self) -> None:
        if not self._held:
            return
        offsets = [0]
        for bucket in self._buckets:
            offsets.append(offsets[-1] + len(bucket) // RECORD_BYTES)
        self._file.write(struct.pack(f"<{len(offsets)}I", *offsets))
        for bucket in self._buckets:
            self._file.write(bucket)
            bucket.clear()
        self._count += self._held
        self._held = 0


def read_partition(path: Path, partition: int, partitions: int) -> Iterator[bytes]:
    """The records of a partition in a run, a block at a time."""
    header = 4 * (partitions + 1)
    with path.open("rb") as file:
        end = os.fstat(file.fileno()).st_size - _END.size
        start = 0
        while start < end:
            file.seek(start + 4 * partition)
            begin, stop = struct.unpack("<2I", file.read(8))
            file.seek(start + 4 * partitions)
            (held,) = struct.unpack("<I", file.read(4))
            if stop > begin:
                file.seek(start + header + begin * RECORD_BYTES)
                yield file.read((stop - begin) * RECORD_BYTES)
            start += header + held * RECORD_BYTES


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears when the block ends well, whole and on the disk to stay; or never."""
    # The process in the name: one that was stopped too late writes to a file of its own.
    temporary = path.with_suffix(f".{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _is_complete(run: Path) -> bool:
    """Whether a run is there to its end. Renamed runs are; a disk that lost power may disagree."""
    try:
        with run.open("rb") as file:
            file.seek(-_END.size, os.SEEK_END)
            magic, _ = _END.unpack(file.read(_END.size))
    except (OSError, struct.error):
        return False
    return bool(magic == _MAGIC)
