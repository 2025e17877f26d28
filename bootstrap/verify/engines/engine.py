"""The engines that compare two exports: all find the same differences and end with the same errors.

What they find is judged and reported by the same code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bootstrap.verify.compare.comparison import Comparison, ComparisonProgress
from bootstrap.verify.compare.spool import Spool, make_plan
from bootstrap.verify.exports.manifest import Export

OnProgress = Callable[[ComparisonProgress], None]


@dataclass(frozen=True)
class ComparisonTask:
    """Two exports to compare, of tables with this key; or a share of their keys.

    `directory` is the spool: of one comparison at a time, whatever engine works in it.
    """

    source: Export
    target: Export
    key: tuple[str, ...]
    sample: float
    directory: Path

    def open_spool(self) -> Spool:
        """Create the spool, or recognise it.

        Raises:
            OtherSpoolError: the directory holds the spool of another comparison, or other files.
            SpoolSpaceError: the disk is too small for the digests.
        """
        plan = make_plan(self.source, self.target, self.key, self.sample)
        return Spool.open(self.directory, self.source, self.target, plan)


class Engine(Protocol):
    """One way to compare two exports."""

    def compare(self, task: ComparisonTask, on_progress: OnProgress) -> Comparison:
        """Compare, or resume an interrupted comparison of the same task.

        `on_progress` is called every second or so; what it raises ends the comparison.

        Raises:
            DamagedExportError, DuplicateKeyError: an export is damaged; names the file.
            AccountError: S3 refuses, or fails for good.
            BlockedError, UsageError: the engine cannot work; names what it lacks.
        """
