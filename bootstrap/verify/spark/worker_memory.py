"""The bound on the memory of Spark's Python workers, which work outside of Java's heap."""

from __future__ import annotations

import resource

WORKER_MEMORY_MB = 2048
"""Most address space of a Python worker, held by the system. It uses some 250 MB of it."""


def bound_memory() -> None:
    """Bound the address space of this process: what needs more of it gets a MemoryError.

    The job does it itself, in either place. AWS documents no setting of Glue for it, and says that
    Glue takes most settings of Spark's executors into no account (AWS re:Post, running more than 1
    executor per worker in AWS Glue): `spark.executor.pyspark.memory` might bound nothing there.
    """
    wanted = WORKER_MEMORY_MB << 20
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = [each for each in (soft, hard, wanted) if each != resource.RLIM_INFINITY]
    if min(limits) != soft:
        resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
