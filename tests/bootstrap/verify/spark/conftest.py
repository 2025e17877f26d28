"""A Spark session, one for a module of tests, where this Python has Spark at all."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bootstrap.verify.engines.java import install_command, java_home

NEEDS_SPARK = ("test_job", "test_local_engine")
"""The modules that start Spark."""


def spark_is_here() -> bool:
    """Return True if this environment has what requirements-spark.txt installs."""
    return importlib.util.find_spec("pyspark") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs Spark where it is not, and say so in the summary, which shows all reasons."""
    needing = [item for item in items if item.path.stem in NEEDS_SPARK]
    for item in needing:
        # Py4J leaves its sockets to the collector, and Spark asks distutils for versions.
        for kind in (
            "ResourceWarning",
            "DeprecationWarning",
            "pytest.PytestUnraisableExceptionWarning",
        ):
            item.add_marker(pytest.mark.filterwarnings(f"ignore::{kind}"))
    if not needing or spark_is_here():
        return
    version = ".".join(map(str, sys.version_info[:2]))
    if sys.version_info >= (3, 13):
        why = f"NOT TESTED: Spark's packages are for Python 3.11 and 3.12, and this is {version}"
    else:
        why = f"NOT TESTED: Spark is not installed. Try: {install_command()}"
    for item in needing:
        item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Spark on both cores, in the process of the tests."""
    from bootstrap.verify.spark.session import local_session

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", str(java_home()))
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("PYTHONPATH", os.pathsep.join(each or str(Path.cwd()) for each in sys.path))
        made = local_session(tmp_path_factory.mktemp("scratch"), 2)
        made.sparkContext.setLogLevel("OFF")
        yield made
        made.stop()
