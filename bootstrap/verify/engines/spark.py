"""The engine that is Spark on this machine, `local[*]`, in a process of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bootstrap.core.errors import BlockedError, UsageError
from bootstrap.core.objects import ObjectReaderFactory
from bootstrap.verify.compare.comparison import Comparison
from bootstrap.verify.compare.partitions import Difference
from bootstrap.verify.compare.spool import SPARK, Spool
from bootstrap.verify.engines.engine import ComparisonTask, OnProgress
from bootstrap.verify.engines.java import install_command, java_home
from bootstrap.verify.engines.process import announcement
from bootstrap.verify.spark.places import DirectoryPlace
from bootstrap.verify.spark.request import make_request, write_request
from bootstrap.verify.spark.results import (
    ERROR,
    PROGRESS,
    JobResults,
    raise_error,
    read_progress,
    read_results,
)
from bootstrap.verify.spark.session import JVM_MEMORY_MB
from bootstrap.verify.spark.worker_memory import WORKER_MEMORY_MB
from infra.verification_names import PROCESS

PROGRAM = "bootstrap.verify.spark.session"
LOG = "spark.log"
POLL_SECONDS = 0.5
END_SECONDS = 10.0
"""Time for Java to end by itself before it is killed."""
PACKAGES = ("pyspark", "pyarrow", "numpy", "pandas")


@dataclass(frozen=True)
class SpoolFolderResults:
    """The results of a comparison in the spool's folder of this engine."""

    spool: Spool
    results: JobResults

    def differences(self) -> Iterator[Difference]:
        return self.results.differences()

    def remove(self) -> None:
        self.spool.remove()


@dataclass(frozen=True)
class SparkEngine:
    """`workers`: the number of cores; None for all of them."""

    opener: ObjectReaderFactory
    workers: int | None
    say: Callable[[str], None]

    def compare(self, task: ComparisonTask, on_progress: OnProgress) -> Comparison:
        refuse_missing_packages()
        java = java_home()
        self.say(
            announcement(task, f" with Spark on {self._cores()} cores")
            + f" Java's heap is {JVM_MEMORY_MB} MB, and each core's Python worker "
            f"{WORKER_MEMORY_MB} MB, at most."
        )
        spool = task.open_spool()
        place = DirectoryPlace(spool.directory / SPARK)
        request = make_request(task.source, task.target, task.key, task.sample)
        results = read_results(place, request)
        if results is None:
            write_request(place, request)
            code = self._run(place, java, on_progress)
            results = read_results(place, request)
            if results is None:
                raise_error(place)
                raise _failed(place, f"it ended with code {code} and without a result")
        return Comparison(
            task.source,
            task.target,
            request.key,
            results.counts,
            SpoolFolderResults(spool, results),
            spool.directory,
        )

    def _cores(self) -> int:
        return self.workers or os.cpu_count() or 1

    def _run(self, place: DirectoryPlace, java: Path, on_progress: OnProgress) -> int:
        """Run the job to its end, and return its exit code.

        What ends this process, and an error of `on_progress`, ends the job too.
        """
        place.remove(ERROR)
        place.remove(PROGRESS)
        with (
            (place.directory / LOG).open("wb") as log,
            _process([str(place.directory), str(self._cores())], java, log) as process,
        ):
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it ended at once: its code says so
                pickle.dump(self.opener, process.stdin)
                process.stdin.flush()
            while process.poll() is None:
                progress = read_progress(place)
                if progress is not None:
                    on_progress(progress)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_SECONDS)
        return process.returncode


def _without_other_sparks(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out what leads to another Spark, or to the settings of one, than the pinned package."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(("SPARK_", "PYSPARK_"))
    }


@contextlib.contextmanager
def _process(arguments: list[str], java: Path, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Start the job in a session of its own, which Ctrl-C does not reach; end it with the block.

    The job ends by itself when its standard input ends: also when this process is killed.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", PROGRAM, *arguments],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        start_new_session=True,
        env={
            **_without_other_sparks(os.environ),
            "JAVA_HOME": str(java),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "OPENBLAS_NUM_THREADS": "1",  # NumPy's threads, which nothing here uses, reserve memory
            # As this process finds its modules, the job and its workers do.
            "PYTHONPATH": os.pathsep.join(each or str(Path.cwd()) for each in sys.path),
        },
    )
    try:
        yield process
    finally:
        with contextlib.suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Java is in its group, and may still be writing.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _failed(place: DirectoryPlace, why: str) -> BlockedError:
    return BlockedError(
        f"The comparison with Spark failed: {why}. Its log is {place.directory / LOG}.",
        fix="look for the reason there; then the same command again, or with "
        f"--engine {PROCESS}, which needs no Java",
    )


def refuse_missing_packages() -> None:
    """Raise UsageError unless this Python has all packages that the engine needs."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if not missing:
        return
    what = f"--engine {SPARK} needs {', '.join(missing)}, which {sys.executable} does not have"
    if sys.version_info >= (3, 13):
        raise UsageError(
            f"{what}: they are for Python 3.11 and 3.12.",
            fix=f"--engine {PROCESS}, or an environment with Python 3.12: make PYTHON=python3.12",
        )
    raise UsageError(f"{what}.", fix=f"{install_command()}; then the same command again")
