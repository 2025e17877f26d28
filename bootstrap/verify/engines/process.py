"""The engine that is there without anything else: processes on the cores of this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bootstrap.core.formatting import size
from bootstrap.core.objects import ObjectReaderFactory
from bootstrap.verify.compare.comparison import Comparison, compare
from bootstrap.verify.compare.partitions import DIFFERENCE_BYTES
from bootstrap.verify.compare.spool import JUDGEMENT_BYTES, spool_size
from bootstrap.verify.engines.engine import ComparisonTask, OnProgress


@dataclass(frozen=True)
class ProcessEngine:
    """`workers`: the number of processes; None for each core, up to 4."""

    opener: ObjectReaderFactory
    workers: int | None
    say: Callable[[str], None]

    def compare(self, task: ComparisonTask, on_progress: OnProgress) -> Comparison:
        self.say(announcement(task))
        return compare(
            task.source,
            task.target,
            task.open_spool(),
            self.opener,
            workers=self.workers,
            on_progress=on_progress,
        )


def announcement(task: ComparisonTask, with_: str = "") -> str:
    """Say where the comparison works, and the disk that it takes there."""
    needed = size(spool_size(task.source, task.target, task.sample))
    return (
        f"Comparing{with_} in {task.directory}, which takes {needed}, and "
        f"{DIFFERENCE_BYTES + JUDGEMENT_BYTES} bytes more for each key that differs."
    )
