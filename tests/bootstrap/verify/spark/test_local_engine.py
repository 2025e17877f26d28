"""`--engine spark`: Spark in a process of its own, from the first item to the report."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bootstrap.verify.compare.comparison import ComparisonProgress
from bootstrap.verify.compare.partitions import Counts
from bootstrap.verify.engines.engine import ComparisonTask
from bootstrap.verify.engines.spark import LOG, SparkEngine
from bootstrap.verify.exports.manifest import DamagedExportError
from infra.verification_names import SPARK
from tests.support.verify.exports import KEY, Directory, export, orders
from tests.support.verify.twin import Twin

pytestmark = [pytest.mark.slow, pytest.mark.promise("C1", "C6")]

ROOT = Path(__file__).resolve().parents[4]

PROGRAM = """
import sys
from pathlib import Path
from bootstrap.verify.engines.engine import ComparisonTask
from bootstrap.verify.engines.spark import SparkEngine
from bootstrap.verify.exports.manifest import read_export
from tests.support.verify.exports import ARN, BUCKET, KEY, Directory, summary_key

root = Path(sys.argv[1])
objects = Directory(root / "s3")
keys = (summary_key(ARN.format(n), "orders") for n in (1, 2))
source, target = (read_export(objects, BUCKET, key) for key in keys)
task = ComparisonTask(source, target, KEY, 1.0, root / "spool")
print(SparkEngine(objects, 2, print).compare(task, lambda progress: None).counts)
"""


@pytest.fixture
def twin(tmp_path: Path) -> Twin:
    made = Twin(tmp_path)
    for n in range(20):
        for table in (made.source, made.target):
            table.items[f"k{n}"] = {"pk": {"S": f"k{n}"}, "v": {"N": "1"}}
    return made


def test_a_verification_reports_the_same_with_either_engine(twin: Twin) -> None:
    del twin.target.items["k1"]
    twin.target.items["k2"] = {"pk": {"S": "k2"}, "v": {"B": "AP8="}}
    twin.target.items["extra"] = {"pk": {"S": "extra"}}
    reports = []
    for pid, engine in ((100, "process"), (200, SPARK)):
        report = twin.directory / f"{engine}.jsonl"
        found = twin.verify(pid=pid, engine=engine, report=report, show_values=True, workers=2)
        done = found.verified
        assert (done.equal, done.missing, done.extra, done.different) == (18, 1, 1, 1)
        assert not (twin.directory / "spool").exists()
        reports.append(report.read_text())
    assert reports[0] == reports[1]


def comparison(
    tmp_path: Path, ours: list[Any], theirs: list[Any]
) -> tuple[Directory, ComparisonTask]:
    objects = Directory(tmp_path / "s3")
    source, target = export(objects, 1, ours), export(objects, 2, theirs)
    return objects, ComparisonTask(source, target, KEY, 1.0, tmp_path / "spool")


def secret(items: list[Any]) -> list[Any]:
    return [item | {"note": {"S": "secret-value"}} for item in items]


def test_errors_and_progress_come_home_and_a_finished_comparison_is_kept(tmp_path: Path) -> None:
    damaged = {"pk": {"S": "secret-key"}, "note": {"X": "secret-value"}}
    objects, task = comparison(tmp_path, secret(orders(300)), [*secret(orders(300)), damaged])
    with pytest.raises(DamagedExportError, match="is unreadable") as caught:
        SparkEngine(objects, 2, print).compare(task, lambda progress: None)
    log = task.directory / SPARK / LOG
    # Spark has logged the failure, with the cause of the cause, and no item's content.
    assert "job-error" in log.read_text()
    assert "secret" not in log.read_text() + str(caught.value)
    objects, task = comparison(tmp_path / "next", secret(orders(300)), secret(orders(300))[1:])
    seen: list[ComparisonProgress] = []
    done = SparkEngine(objects, 2, print).compare(task, seen.append)
    assert done.counts == Counts(300, 299, 299, missing=1)
    assert {each.of_items for each in seen} == {599}
    log = task.directory / SPARK / LOG
    assert "secret" not in log.read_text()
    log.unlink()
    again = SparkEngine(objects, 2, print).compare(task, seen.append)
    assert list(again.differences()) == list(done.differences())
    assert not log.exists()  # no second process
    again.results.remove()
    assert not task.directory.exists()


def family(tmp_path: Path) -> list[str]:
    """The processes, but this one's, that have the test's directory in their command or open."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            command = (each / "cmdline").read_bytes().decode()
            held = [str(link.readlink()) for link in (each / "fd").iterdir()]
        except OSError:
            continue
        if int(each.name) != os.getpid() and any(str(tmp_path) in one for one in (command, *held)):
            found.append(command.replace("\0", " ")[:100])
    return found


def until(seconds: float, true: Callable[[], bool]) -> bool:
    ended = time.monotonic() + seconds
    while time.monotonic() < ended:
        if true():
            return True
        time.sleep(0.2)
    return true()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A command whose comparison is at work: Spark has made its folder."""
    objects = Directory(tmp_path / "s3")
    export(objects, 1, orders(60_000))
    export(objects, 2, orders(60_000))
    (tmp_path / "program.py").write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert until(60, lambda: (tmp_path / "spool" / SPARK / "scratch").exists())
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_spark_ends_with_its_command(
    tmp_path: Path, running: subprocess.Popen[str], number: signal.Signals
) -> None:
    assert any("java" in each for each in family(tmp_path))

    running.send_signal(number)

    running.wait(30)
    assert until(20, lambda: not family(tmp_path)), family(tmp_path)
