"""The two passes over two exports: data files to digests, then partition against partition.

Each file and each partition is an independent task for any process, and is done only once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Protocol

from bootstrap.core.objects import ObjectReaderFactory
from bootstrap.verify.compare.partitions import (
    Counts,
    Difference,
    compare_partition,
    read_counts,
    read_differences,
)
from bootstrap.verify.compare.spool import (
    SOURCE,
    TARGET,
    OtherSpoolError,
    RunWriter,
    Spool,
    atomic_file,
)
from bootstrap.verify.compare.workers import default_workers, run_all
from bootstrap.verify.exports.digests import Digester
from bootstrap.verify.exports.files import read_blocks, refuse_damaged
from bootstrap.verify.exports.manifest import Export, ExportedFile

BUFFER_BYTES = 64 << 20
"""Bytes of digests in memory before they are written, for all workers together."""

SMALL = 20_000
"""Items on both sides below which starting processes takes longer than the work."""


@dataclass(frozen=True)
class ComparisonProgress:
    """The progress of a comparison. `items` counts the lines of finished files of both sides."""

    files: int
    of_files: int
    items: int
    of_items: int
    partitions: int
    of_partitions: int


class Results(Protocol):
    """The differing keys of a finished comparison, on disk or in a bucket."""

    def differences(self) -> Iterator[Difference]:
        """Read the differing keys lazily, in the order of key digests."""

    def remove(self) -> None:
        """Delete them, and all that the comparison has left behind."""


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison, by any engine, readable until its results are removed.

    `key` has the names of the key's attributes, sorted. `directory` exists, for temporary files.
    """

    source: Export
    target: Export
    key: tuple[str, ...]
    counts: Counts
    results: Results
    directory: Path

    def differences(self) -> Iterator[Difference]:
        """Read the differing keys, in the order of key digests."""
        return self.results.differences()


@dataclass(frozen=True)
class SpoolResults:
    """The results of the one-process engine."""

    spool: Spool

    def differences(self) -> Iterator[Difference]:
        last = b""
        for partition in range(self.spool.plan.partitions):
            result = self.spool.result(partition)
            for difference in read_differences(result):
                if difference.key <= last:
                    raise OtherSpoolError(
                        f"The differences in {result} are not in the order of their keys.",
                        fix="delete it and run again: that partition is compared again",
                    )
                last = difference.key
                yield difference

    def remove(self) -> None:
        self.spool.remove()


def compare(
    source: Export,
    target: Export,
    spool: Spool,
    opener: ObjectReaderFactory,
    *,
    workers: int | None = None,
    on_progress: Callable[[ComparisonProgress], None] = lambda progress: None,
) -> Comparison:
    """Compare two full exports, or resume an interrupted comparison in this spool.

    `workers` None: one for each core, at most four; a single one for small tables. With more than
    one, the caller's main module must be importable without side effects, because processes are
    spawned.

    Raises:
        DamagedExportError, DuplicateKeyError: an export is damaged; names the file.
        AccountError: S3 refuses, or fails for good.
    """
    both = {SOURCE: source, TARGET: target}
    if workers is None:
        workers = 1 if source.items + target.items < SMALL else default_workers()
    todo = [(side, n) for side, export in both.items() for n in spool.missing_runs(side, export)]
    partitions = spool.missing_results()
    of_files = len(source.files) + len(target.files)
    of_items = source.items + target.items
    items = of_items - sum(both[side].files[n].items for side, n in todo)

    def tell(files: int, items: int, left: int) -> None:
        of = spool.plan.partitions
        on_progress(ComparisonProgress(of_files - files, of_files, items, of_items, of - left, of))

    tell(len(todo), items, len(partitions))
    # The largest first: a large file that starts last would finish last.
    todo.sort(key=lambda one: -both[one[0]].files[one[1]].items)
    work = [(side, both[side].bucket, both[side].files[n]) for side, n in todo]
    digest = partial(_digest_file, spool, opener, BUFFER_BYTES // max(1, workers))
    for left, held in enumerate(run_all(digest, work, workers), 1):
        items += held
        tell(len(work) - left, items, len(partitions))
    one = partial(_compare_one, spool, source, target)
    for left, _ in enumerate(run_all(one, partitions, workers), 1):
        tell(0, items, len(partitions) - left)
    counts = Counts()
    for partition in range(spool.plan.partitions):
        counts += read_counts(spool.result(partition))
    for export, held in ((source, counts.source), (target, counts.target)):
        if spool.plan.sample >= 1 and held != export.items:
            raise OtherSpoolError(
                f"{spool.directory} has {held} of the {export.items} digests of {export.arn}.",
                fix=f"delete {spool.directory} and run again: the disk has lost a part of it",
            )
    return Comparison(source, target, spool.plan.key, counts, SpoolResults(spool), spool.directory)


def _digest_file(
    spool: Spool, opener: ObjectReaderFactory, buffer: int, work: tuple[str, str, ExportedFile]
) -> int:
    """Digest one data file into its run; return its number of lines."""
    side, bucket, file = work
    digest = _digester(spool.plan.key, spool.plan.sample)
    line = 0
    # The file is verified only at its end, so the run appears only then.
    with atomic_file(spool.run(side, file.number)) as out:
        run = RunWriter(out, spool.plan.partitions, buffer)
        for lines in read_blocks(opener(), bucket, file):
            pairs: list[bytes | None] = []
            try:
                digest.extend(pairs, lines)
            except ValueError as error:
                refuse_damaged(file, f"line {line + len(pairs) + 1} is unreadable ({error})")
            run.add(pairs, file.number, line)
            line += len(lines)
        run.finish()
    return line


@cache
def _digester(key: tuple[str, ...], sample: float) -> Digester:
    """Return one digester for all files of a process: it keeps what it has learned."""
    return Digester(key, sample)


def _compare_one(spool: Spool, source: Export, target: Export, partition: int) -> Counts:
    return compare_partition(spool, partition, source, target)
