"""The progress of the running job, written to its place from Spark's own counts of tasks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from itertools import accumulate
from types import TracebackType
from typing import Any

from bootstrap.core.errors import BootstrapError
from bootstrap.verify.compare.comparison import ComparisonProgress
from bootstrap.verify.spark.places import JobPlace
from bootstrap.verify.spark.results import write_progress
from bootstrap.verify.spark.tasks import SideFile

_GROUP = "comparison"


class ProgressWriter:
    """A thread that writes progress every `seconds`, while the block runs.

    Spark starts tasks in order, so the first of them count as finished: files and items are exact
    at the ends, and near enough between.
    """

    def __init__(self, session: Any, place: JobPlace, seconds: float) -> None:
        self._context = session.sparkContext
        self._place = place
        self._seconds = seconds
        self._files = self._items = [0]
        self._reducers = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def begin(self, tasks: Sequence[Sequence[SideFile]], reducers: int) -> None:
        """Write the first progress, of tasks that digest and tasks that compare, and continue."""
        self._files = [0, *accumulate(len(each) for each in tasks)]
        self._items = [0, *accumulate(sum(one.file.items for one in each) for each in tasks)]
        self._reducers = reducers
        self._context.setJobGroup(_GROUP, "comparing two exports")
        write_progress(self._place, self._progress(0, 0))
        self._thread.start()

    def __enter__(self) -> ProgressWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._seconds):
            # A job that cannot be watched is no failed job.
            with contextlib.suppress(BootstrapError, OSError):
                write_progress(self._place, self._progress(*self._finished()))

    def _finished(self) -> tuple[int, int]:
        """Return the number of finished tasks of both stages."""
        tracker = self._context.statusTracker()
        stages = [
            stage
            for job in tracker.getJobIdsForGroup(_GROUP)
            if (info := tracker.getJobInfo(job)) is not None
            for stage in info.stageIds
        ]
        done = [
            info.numCompletedTasks
            for stage in sorted(stages)[-2:]
            if (info := tracker.getStageInfo(stage)) is not None
        ]
        digested, compared = (*done, 0, 0)[:2]
        return digested, compared

    def _progress(self, digested: int, compared: int) -> ComparisonProgress:
        digested = min(digested, len(self._files) - 1)
        return ComparisonProgress(
            files=self._files[digested],
            of_files=self._files[-1],
            items=self._items[digested],
            of_items=self._items[-1],
            partitions=compared,
            of_partitions=self._reducers,
        )
