"""The job: one comparison of two exports, with Spark for distribution, shuffle, spill and retries.

The same code runs under `local[*]` and on AWS Glue. A range of task numbers is mapped to digests,
by the reader and the digester of the one-process engine; they are shuffled by bucket, a range of
key digests; and each bucket is compared as a whole. What goes through the JVM is one row for many
records: a row for each would cost several times what digesting costs.
"""

from __future__ import annotations

from typing import Any

from bootstrap.core.errors import BlockedError, BootstrapError
from bootstrap.core.objects import ObjectReader, ObjectReaderFactory
from bootstrap.verify.compare.partitions import Counts
from bootstrap.verify.compare.spool import RECORD_BYTES
from bootstrap.verify.exports.manifest import (
    TAKE_ANOTHER,
    DamagedExportError,
    Export,
    read_export,
)
from bootstrap.verify.spark.places import JobPlace
from bootstrap.verify.spark.progress import ProgressWriter
from bootstrap.verify.spark.request import ExportReference, JobRequest, read_request
from bootstrap.verify.spark.results import (
    ERROR,
    PROGRESS,
    read_results,
    write_error,
    write_results,
)
from bootstrap.verify.spark.tasks import (
    COUNTS,
    DIGESTS,
    CompareTask,
    DigestTask,
    SideFile,
    find_error,
    records_at_once,
)

SETTINGS = {
    "spark.sql.adaptive.enabled": "false",  # the sizes are known from the manifests
    "spark.shuffle.compress": "false",  # digests do not compress
    "spark.shuffle.spill.compress": "false",
    "spark.sql.codegen.wholeStage": "false",  # few rows: compiling them costs more than it saves
}
"""Of any session that runs the job."""

BATCH_BYTES = 8 << 20
"""Bytes of digests that a worker receives at a time."""
_BATCH_SETTING = "spark.sql.execution.arrow.maxRecordsPerBatch"

MOST_TASKS = 4_000
"""Tasks that take data files, while none has more than its share: a task costs 20 ms or more."""
_FEWEST_ITEMS = 2_000
"""Items for which a task of its own is worth its cost."""
_FILE_COST = 20
"""Opening a file takes as long as digesting so many items."""
TASKS_A_CORE = 3
"""Tasks that compare buckets, for each core."""
PROGRESS_SECONDS = 1.0


def run_job(
    session: Any,
    place: JobPlace,
    opener: ObjectReaderFactory,
    progress_seconds: float = PROGRESS_SECONDS,
) -> None:
    """Compare as the place's request says; leave in it the results, or the error that is raised.

    `session`: a SparkSession. `opener` makes readers of the exports' buckets, in workers too. A
    finished result is kept: a second run of the same request has nothing to do.

    Raises:
        DamagedExportError, DuplicateKeyError, AccountError: as of the one-process engine.
        BlockedError: Spark failed, or the place holds something else.
    """
    place.remove(ERROR)
    try:
        request = read_request(place)
        if read_results(place, request) is None:
            with ProgressWriter(session, place, progress_seconds) as progress:
                _compare(session, request, place, opener, progress)
            place.remove(PROGRESS)
    except BootstrapError as error:
        write_error(place, error)
        raise
    except Exception as error:
        found = find_error(str(error)) or BlockedError(
            f"The Spark job failed: {_essence(error)}",
            fix="look for the reason in the job's log; then run the same command again",
        )
        write_error(place, found)
        raise found from error


def _essence(error: Exception) -> str:
    """Return the line of Spark's error that says most: the text has whole stack traces."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return repr(error)
    if "thrown from the Python worker" in lines[0]:
        return lines[-1]
    return next((each for each in lines if "Job aborted" in each), lines[0])


def _compare(
    session: Any,
    request: JobRequest,
    place: JobPlace,
    opener: ObjectReaderFactory,
    progress: ProgressWriter,
) -> None:
    context, objects = session.sparkContext, opener()
    exports = [_read(objects, each) for each in (request.source, request.target)]
    tasks = plan_tasks(*exports)
    digest = DigestTask(
        tasks=context.broadcast(tasks),
        buckets_of=(request.source.bucket, request.target.bucket),
        key=request.key,
        sample=request.sample,
        buckets=request.buckets,
        opener=opener,
    )
    compare = CompareTask(
        place=place,
        arns=(request.source.arn, request.target.arn),
        files=context.broadcast([[file.key for file in each.files] for each in exports]),
    )
    reducers = max(1, min(request.buckets, TASKS_A_CORE * context.defaultParallelism))
    progress.begin(tasks, reducers)
    row_bytes = records_at_once(request.buckets) * RECORD_BYTES // request.buckets
    session.conf.set(_BATCH_SETTING, str(min(10_000, max(1, BATCH_BYTES // row_bytes))))
    rows = (
        session.range(0, len(tasks), 1, max(1, len(tasks)))
        .mapInArrow(digest.rows, DIGESTS)
        .repartition(reducers, "bucket")
        .sortWithinPartitions("bucket", "side")
        .mapInArrow(compare.rows, COUNTS)
        .collect()  # a row of counts for each bucket: the differences are written by the tasks
    )
    counts, parts = Counts(), []
    for row in sorted(rows, key=lambda row: int(row["bucket"])):
        found = Counts(**{name: int(row[name]) for name in Counts.__dataclass_fields__})
        counts += found
        if found.differing:
            parts.append((int(row["bucket"]), found.differing))
    for export, held in zip(exports, (counts.source, counts.target), strict=True):
        if request.sample >= 1 and held != export.items:
            raise BlockedError(
                f"Spark compared {held} of the {export.items} items of {export.arn}.",
                fix="run the same command again; if it happens again, use --engine process",
            )
    write_results(place, request, counts, tuple(parts))


def _read(objects: ObjectReader, reference: ExportReference) -> Export:
    export = read_export(objects, reference.bucket, reference.summary)
    if (export.arn, export.items) != (reference.arn, reference.items):
        raise DamagedExportError(
            f"Reading the export's manifest {reference.summary}: it has changed since the "
            "comparison began.",
            fix=TAKE_ANOTHER,
        )
    return export


def plan_tasks(source: Export, target: Export) -> list[list[SideFile]]:
    """Distribute the data files over tasks, the largest first.

    A file is a task, because gzip does not split. Where files are many or tiny, small ones share
    a task, up to MOST_TASKS tasks of the same size.
    """
    files = [
        SideFile(side, file) for side, each in enumerate((source, target)) for file in each.files
    ]
    files.sort(key=lambda each: (-each.file.items, each.side, each.file.number))
    whole = sum(each.file.items + _FILE_COST for each in files)
    share = max(_FEWEST_ITEMS, whole // MOST_TASKS)
    tasks: list[list[SideFile]] = []
    held = share
    for each in files:
        size = each.file.items + _FILE_COST
        if held + size > share:
            tasks.append([])
            held = 0
        tasks[-1].append(each)
        held += size
    return tasks
