"""The Spark session of this machine, in a process of its own: `local[*]`.

Run as `python -m bootstrap.verify.spark.session DIRECTORY CORES`, with the pickled maker of object
readers on standard input, which stays open as long as the comparison is wanted.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

from bootstrap.core.errors import BootstrapError
from bootstrap.core.objects import ObjectReaderFactory
from bootstrap.verify.spark.places import DirectoryPlace

SCRATCH = "scratch"
"""Folder beside the results for Spark's shuffle files."""

JVM_MEMORY_MB = 1024
"""Java's heap. Digests pass through it in small pieces, and spill to the disk."""

_JAVA_OPTIONS = (
    # Java does little here: its own threads would take the cores that digest.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xss4m",
)


def local_session(scratch: Path, cores: int) -> Any:
    """Start Spark in this process, on this machine alone, with no port but on the loopback."""
    from pyspark.sql import SparkSession

    from bootstrap.verify.spark.job import SETTINGS

    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    builder = SparkSession.builder.master(f"local[{cores}]").appName("verify")
    settings = {
        **SETTINGS,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": f"{JVM_MEMORY_MB}m",
        "spark.driver.extraJavaOptions": " ".join(_JAVA_OPTIONS),
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def main() -> int:
    """Run the request of a directory. Return 0 once its results are there, 1 with its error."""
    from bootstrap.verify.spark.job import run_job

    directory, cores = Path(sys.argv[1]), int(sys.argv[2])
    opener: ObjectReaderFactory = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    session = local_session(directory / SCRATCH, cores)
    session.sparkContext.setLogLevel("WARN")
    try:
        run_job(session, DirectoryPlace(directory), opener)
    except BootstrapError:
        return 1  # it is in the directory
    finally:
        session.stop()
    return 0


def _exit_with_parent() -> None:
    """End when standard input ends: its parent is gone, or no longer wants the comparison.

    Java ends when this process does, and the Python workers with Java.
    """
    while os.read(0, 1):  # not by way of sys.stdin, whose lock Python wants at its own end
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
