"""The spool: 40 bytes for each item and side on disk, partitioned by the key's digest.

A record is the key's digest (16 bytes), the image's digest (16), and the item's position (file
number and line number, 4 bytes each). Each finished data file has one run (`source/7.run`), each
finished partition one result. Both appear by an atomic rename, so that an interrupted verification
resumes with the finished ones. Items are never written here.

A run is a sequence of blocks, followed by the total number of records. A block is `partitions + 1`
offsets (4 bytes each, in records), then the records, partition by partition.
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
"""Approximate number for each side: two workers stay within 150 MB together."""
MOST_PARTITIONS = 4096

SPARK = "spark"
"""Folder of the spool that belongs to the engine of that name, as `bootstrap.verify.spark` says."""

JUDGEMENT_BYTES = 110
"""Bytes for each differing key while it is judged: its position and the result."""

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
    """The comparison that a spool belongs to. Another plan needs another spool."""

    source: str
    target: str
    key: tuple[str, ...]
    sample: float
    partitions: int
    version: int = _VERSION


def make_plan(
    source: Export, target: Export, key: tuple[str, ...], sample: float = 1.0
) -> SpoolPlan:
    """Plan a comparison with enough partitions to keep memory bounded."""
    items = max(source.items, target.items) * min(sample, 1.0)
    partitions = 1
    while partitions < MOST_PARTITIONS and partitions * ITEMS_PER_PARTITION < items:
        partitions *= 2
    return SpoolPlan(source.arn, target.arn, tuple(sorted(key)), sample, partitions)


def spool_size(source: Export, target: Export, sample: float = 1.0) -> int:
    """Compute the bytes for the digests of both exports, without differences."""
    return round((source.items + target.items) * RECORD_BYTES * min(sample, 1.0))


def position(record: bytes) -> tuple[int, int]:
    """Return file number and line number (from 0) of a record."""
    number, line = _PLACE.unpack(record[32:40])
    return number, line


class Spool:
    """A directory that belongs to one plan.

    Raises:
        OtherSpoolError: the directory holds the spool of another comparison, or other files.
        SpoolSpaceError: the disk is too small for the rest of the spool.
    """

    def __init__(self, directory: Path, plan: SpoolPlan) -> None:
        self.directory = directory
        self.plan = plan

    @classmethod
    def open(cls, directory: Path, source: Export, target: Export, plan: SpoolPlan) -> Spool:
        """Create the directory, or resume with its content."""
        spool = cls(directory, plan)
        state = directory / _STATE
        if state.exists():
            spool._recognise(state)
        elif not _is_empty(directory):
            raise OtherSpoolError(
                f"{directory} was given as the spool, but holds other files.",
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
        """Return the path of a data file's run, which exists once it is finished."""
        return self.directory / side / f"{number}.run"

    def result(self, partition: int) -> Path:
        """Return the path of a partition's result, which exists once it is finished."""
        return self.directory / "results" / f"{partition}.result"

    def missing_runs(self, side: str, export: Export) -> list[int]:
        """Return the numbers of the data files without a complete run."""
        return [
            file.number for file in export.files if not _is_complete(self.run(side, file.number))
        ]

    def missing_results(self) -> list[int]:
        """Return the partitions without a result."""
        return [n for n in range(self.plan.partitions) if not self.result(n).exists()]

    def remove(self) -> None:
        """Delete the spool's own files, and the directory if it is then empty."""
        for name in (*SIDES, "results", SPARK):
            shutil.rmtree(self.directory / name, ignore_errors=True)
        (self.directory / _STATE).unlink(missing_ok=True)
        if self.directory.exists() and _is_empty(self.directory):
            with contextlib.suppress(OSError):
                self.directory.rmdir()

    def _recognise(self, state: Path) -> None:
        known = _read_plan(state)
        if known == self.plan:
            return
        theirs = f"{known.source} with {known.target}" if known else "an unreadable plan"
        if known and (known.source, known.target) == (self.plan.source, self.plan.target):
            theirs = "the same exports with another sample or key"
        raise OtherSpoolError(
            f"{self.directory} holds the spool of comparing {theirs}, not of "
            f"{self.plan.source} with {self.plan.target}.",
            fix=f"name another --spool DIR, or delete {self.directory} if that comparison is over",
        )

    def _check_runs(self, source: Export, target: Export) -> None:
        there = sum(
            path.stat().st_size for side in SIDES for path in self.directory.glob(f"{side}/*.run")
        )
        check_space(self.directory, spool_size(source, target, self.plan.sample) - there)


def check_space(directory: Path, needed: int) -> None:
    """Raise SpoolSpaceError unless the disk of a directory has room for so many more bytes."""
    exists = next(each for each in (directory, *directory.absolute().parents) if each.exists())
    free = shutil.disk_usage(exists).free
    if needed > free:
        raise SpoolSpaceError(
            f"The spool needs {needed:,} more bytes in {directory}, where {free:,} are free.",
            fix="--spool DIR on a larger disk, or --sample FRACTION",
        )


def clear_spool(directory: Path, source: str, target: str) -> None:
    """Remove the spool of a finished comparison of these two exports.

    Raises:
        OtherSpoolError: the directory holds other files.
    """
    known = _read_plan(directory / _STATE)
    if known and (known.source, known.target) == (source, target):
        Spool(directory, known).remove()
    if not _is_empty(directory):
        theirs = f"that of {known.source} with {known.target}" if known else "other files"
        raise OtherSpoolError(
            f"{directory} was given as the spool, but holds {theirs}.",
            fix=f"name another --spool DIR, or delete {directory} if that comparison is over",
        )


def _is_empty(directory: Path) -> bool:
    """Return True if there is no file but NFS's placeholders of removed open files."""
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
    """A writer of one data file's run: `add` records, then `finish`.

    It buffers records up to `buffer` bytes.
    """

    def __init__(self, file: BinaryIO, partitions: int, buffer: int) -> None:
        self._file = file
        self._buckets = [bytearray() for _ in range(partitions)]
        self._shift = 16 - (partitions.bit_length() - 1)
        self._buffer = buffer
        self._held = 0
        self._count = 0

    def add(self, pairs: list[bytes | None], number: int, line: int) -> None:
        """Add the digests of consecutive lines, from `line` on; None is left out."""
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
        """Write the rest, and return the number of records."""
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
    """Yield the records of a partition in a run, block by block."""
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
    """Open a file that appears, synced to disk, only if the block ends without an error."""
    # The process id in the name: a late process must not write to another's file.
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
    """Return True if a run has its end, which a power failure may have lost."""
    try:
        with run.open("rb") as file:
            file.seek(-_END.size, os.SEEK_END)
            magic, _ = _END.unpack(file.read(_END.size))
    except (OSError, struct.error):
        return False
    return bool(magic == _MAGIC)
