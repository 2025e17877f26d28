"""The two tasks of the job, which Spark's Python workers run: digest data files, compare buckets.

Each maps record batches to record batches, and raises errors in a form that the driver can find in
the text of Spark's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, wraps
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from bootstrap.core.errors import BlockedError, BootstrapError
from bootstrap.core.objects import ObjectReaderFactory
from bootstrap.verify.compare.partitions import DIFFERENCE_BYTES
from bootstrap.verify.compare.spool import RECORD_BYTES, position
from bootstrap.verify.exports.digests import Digester
from bootstrap.verify.exports.files import read_blocks, refuse_damaged
from bootstrap.verify.exports.manifest import TAKE_ANOTHER, DuplicateKeyError, ExportedFile
from bootstrap.verify.spark.buckets import (
    RepeatedKeyError,
    compare_bucket,
    make_records,
    split_records,
)
from bootstrap.verify.spark.places import JobPlace
from bootstrap.verify.spark.results import describe_error, error_from, part_name
from bootstrap.verify.spark.worker_memory import WORKER_MEMORY_MB, bound_memory

DIGESTS = "bucket int, side byte, records binary"
"""The rows between the tasks: some records of one side in one bucket. Side 0 is the source."""
COUNTS = (
    "bucket int, source long, target long, equal long, missing long, extra long, different long"
)
"""The rows that the second task returns: the counts of one bucket."""

FEWEST_AT_ONCE, MOST_AT_ONCE = 1 << 16, 1 << 20
"""Bounds of `records_at_once`: 2.6 MB and 42 MB."""
_WANTED_A_ROW = 64
"""Records in a row of many buckets; a row of fewer costs more than its records."""

Batches = Iterator[Any]
_ERROR = re.compile(r"job-error (\{.*\})")


class TaskError(RuntimeError):
    """A foreseen failure in a worker, as text."""

    def __init__(self, error: BootstrapError) -> None:
        super().__init__(f"job-error {json.dumps(describe_error(error))}")


def records_at_once(buckets: int) -> int:
    """Return the number of records that a worker collects before it passes them on."""
    return min(MOST_AT_ONCE, max(FEWEST_AT_ONCE, buckets * _WANTED_A_ROW))


def find_error(text: str) -> BootstrapError | None:
    """Find in the text of Spark's error the foreseen failure of a worker, if it was one."""
    found = _ERROR.search(text)
    return None if found is None else error_from(json.loads(found[1]))


def _as_text(task: Callable[[Any, Batches], Batches]) -> Callable[[Any, Batches], Batches]:
    @wraps(task)
    def run(self: Any, batches: Batches) -> Batches:
        bound_memory()
        try:
            yield from task(self, batches)
        except BootstrapError as error:
            raise TaskError(error) from error
        except MemoryError as error:
            raise TaskError(_out_of_memory()) from error

    return run


def _out_of_memory() -> BlockedError:
    return BlockedError(
        f"A Python worker of Spark needed more than the {WORKER_MEMORY_MB} MB that it may have.",
        fix="--engine process, which holds less at a time",
    )


@dataclass(frozen=True)
class SideFile:
    """A data file of one side."""

    side: int
    file: ExportedFile


@dataclass(frozen=True)
class DigestTask:
    """Digests the data files of a task. `tasks`: a broadcast of the files of all tasks."""

    tasks: Any
    buckets_of: tuple[str, str]
    """The S3 buckets of source and target."""
    key: tuple[str, ...]
    sample: float
    buckets: int
    opener: ObjectReaderFactory

    @_as_text
    def rows(self, batches: Batches) -> Batches:
        """Map task numbers (column `id`) to rows of DIGESTS."""
        tasks: Sequence[Sequence[SideFile]] = self.tasks.value
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from self._digest(tasks[number])

    def _digest(self, files: Sequence[SideFile]) -> Batches:
        at_once = records_at_once(self.buckets)
        held: list[Any] = []
        count = side = 0
        for each in files:
            if held and each.side != side:
                yield self._rows(side, held)
                held, count = [], 0
            side = each.side
            for records in self._records(each):
                held.append(records)
                count += len(records)
                if count >= at_once:
                    yield self._rows(side, held)
                    held, count = [], 0
        if count:
            yield self._rows(side, held)

    def _records(self, each: SideFile) -> Iterator[Any]:
        """Yield the records of one data file.

        The file is verified only at its end. Spark uses what a task yields only if it succeeds.
        """
        file, line = each.file, 0
        digest = _digester(self.key, self.sample)
        for lines in read_blocks(self.opener(), self.buckets_of[each.side], file):
            pairs: list[bytes | None] = []
            try:
                digest.extend(pairs, lines)
            except ValueError as error:
                refuse_damaged(file, f"line {line + len(pairs) + 1} is unreadable ({error})")
            yield make_records(pairs, file.number, line)
            line += len(lines)

    def _rows(self, side: int, held: Sequence[Any]) -> Any:
        present, bounds, records = split_records(np.concatenate(held), self.buckets)
        offsets = (bounds * RECORD_BYTES).astype(np.int32)
        columns = [
            pa.array(present, pa.int32()),
            pa.array(np.full(len(present), side, np.int8)),
            pa.Array.from_buffers(
                pa.binary(), len(present), [None, pa.py_buffer(offsets), pa.py_buffer(records)]
            ),
        ]
        return pa.RecordBatch.from_arrays(columns, ["bucket", "side", "records"])


@cache
def _digester(key: tuple[str, ...], sample: float) -> Digester:
    """Return one digester for all tasks of a worker: it keeps what it has learned."""
    return Digester(key, sample)


@dataclass(frozen=True)
class CompareTask:
    """Compares buckets, and writes their differences. `files`: a broadcast of both sides' names."""

    place: JobPlace
    arns: tuple[str, str]
    files: Any

    @_as_text
    def rows(self, batches: Batches) -> Batches:
        """Map rows of DIGESTS, sorted by bucket, to rows of COUNTS."""
        bucket = -1
        held: tuple[list[bytes], list[bytes]] = ([], [])
        for number, side, records in _pieces(batches):
            if number != bucket:
                if bucket >= 0:
                    yield self._compare(bucket, held)
                bucket, held = number, ([], [])
            held[side].append(records)
        if bucket >= 0:
            yield self._compare(bucket, held)

    def _compare(self, bucket: int, held: tuple[list[bytes], list[bytes]]) -> Any:
        try:
            found = compare_bucket(*held)
        except RepeatedKeyError as error:
            self._refuse(error)
        if found.differences:
            assert len(found.differences) == found.counts.differing * DIFFERENCE_BYTES
            self.place.write(part_name(bucket), found.differences)
        row = {"bucket": bucket, **asdict(found.counts)}
        types = {name: pa.int32() if name == "bucket" else pa.int64() for name in row}
        return pa.RecordBatch.from_pydict(
            {name: pa.array([value], types[name]) for name, value in row.items()}
        )

    def _refuse(self, error: RepeatedKeyError) -> None:
        (one, line), (two, other) = position(error.first), position(error.second)
        names = self.files.value[error.of_target]
        raise DuplicateKeyError(
            f"The export {self.arns[error.of_target]} has one key twice: in line {line + 1} of "
            f"{names[one]} and in line {other + 1} of {names[two]}.",
            fix=TAKE_ANOTHER,
        ) from error


def _pieces(batches: Batches) -> Iterator[tuple[int, int, bytes]]:
    """Yield bucket, side and records; rows of a batch that follow each other as one piece."""
    for batch in batches:
        numbers, sides = (np.asarray(batch.column(n)) for n in (0, 1))
        rows = batch.column(2)
        _, offsets, content = rows.buffers()
        bounds = np.frombuffer(offsets, np.int32)[rows.offset : rows.offset + len(rows) + 1]
        changes = (numbers[1:] != numbers[:-1]) | (sides[1:] != sides[:-1])
        starts = [0, *(np.flatnonzero(changes) + 1).tolist(), len(rows)]
        for begin, end in pairwise(starts):
            if begin < end:
                records = content[int(bounds[begin]) : int(bounds[end])].to_pybytes()
                yield int(numbers[begin]), int(sides[begin]), records
