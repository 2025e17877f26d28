"""Each Python worker of Spark bounds its own memory, and says so when it needs more."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bootstrap.core.errors import BlockedError
from bootstrap.verify.spark.worker_memory import WORKER_MEMORY_MB

pytest.importorskip("pyspark", reason="requirements-spark.txt is not installed")

PROGRAM = """
import resource, sys
from bootstrap.verify.spark.tasks import _as_text

megabytes = int(sys.argv[1])

@_as_text
def rows(self, batches):
    yield resource.getrlimit(resource.RLIMIT_AS)[0]
    yield len(bytearray(megabytes << 20)) >> 20

for each in rows(None, iter(())):
    print(each)
"""


def in_a_worker(megabytes: int) -> subprocess.CompletedProcess[str]:
    """Run a task that takes so much memory, in a process of its own as Spark's workers are."""
    command = [sys.executable, "-c", PROGRAM, str(megabytes)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_task_that_needs_more_than_its_worker_may_have_fails_with_an_error_that_says_so() -> None:
    from bootstrap.verify.spark.tasks import find_error

    ran = in_a_worker(WORKER_MEMORY_MB)
    assert ran.stdout.split() == [str(WORKER_MEMORY_MB << 20)]
    found = find_error(ran.stderr)
    assert isinstance(found, BlockedError)
    assert f"more than the {WORKER_MEMORY_MB} MB" in found.what


def test_a_task_that_needs_less_is_not_hindered() -> None:
    assert in_a_worker(100).stdout.split()[1:] == ["100"]
