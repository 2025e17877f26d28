"""The engine on Spark beside the one-process engine: `python -m tests.benchmarks.spark`.

Both compare the same exports, from the manifests to the differences, each in a fresh process. What
counts is seconds on cores, of all processes and Java together: those do not depend on what else the
machine does. Prints Markdown and writes build/bench/spark.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bootstrap.verify.engines.engine import ComparisonTask, Engine
from bootstrap.verify.engines.process import ProcessEngine
from bootstrap.verify.engines.spark import SparkEngine
from bootstrap.verify.exports.manifest import read_export
from infra.verification_names import PROCESS, SPARK
from tests.benchmarks.exported import KEY
from tests.benchmarks.verification import exports
from tests.support.verify.exports import BUCKET, Directory

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "build" / "bench" / "spark.json"
SIZES = (100_000, 1_000_000, 10_000_000)
ITEM_BYTES = 1024
TERABYTE = 10**12
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class EngineRow:
    """One comparison. Memory is the most of one process of a kind, in MB; 0 if there is none."""

    engine: str
    items: int
    cores: int
    seconds: float
    core_seconds: float
    items_per_core_second: int
    worker_mb: float
    java_mb: float


class FamilyUsage:
    """Processor time of all processes that this one has started; memory by command, its own too."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[int, str], float] = {}
        self.peaks: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> FamilyUsage:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        return sum(self._seconds.values())

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            found = {}
            for path in Path("/proc").glob("[0-9]*/stat"):
                with contextlib.suppress(OSError):
                    head, tail = path.read_text().rsplit(")", 1)
                    found[int(path.parent.name)] = (head.partition("(")[2], tail.split())
            family = {os.getpid()}
            while more := {n for n, (_, each) in found.items() if int(each[1]) in family} - family:
                family |= more
            for number in family & found.keys():
                name, each = found[number]
                if number != os.getpid():
                    # The start's time in the key: a number may be used again.
                    self._seconds[number, each[19]] = (int(each[11]) + int(each[12])) / _TICKS
                memory = int(each[21]) * _PAGE / 1e6
                self.peaks[name] = max(self.peaks.get(name, 0), memory)


def measure(root: Path, summaries: list[str], name: str, cores: int) -> EngineRow:
    """Compare once, in this process and those that it starts."""
    objects = Directory(root, chunk=1 << 20)
    with FamilyUsage() as usage:
        started, own = time.perf_counter(), time.thread_time()
        source, target = (read_export(objects, BUCKET, summary) for summary in summaries)
        engine: Engine = (ProcessEngine if name == PROCESS else SparkEngine)(
            objects, cores, lambda text: None
        )
        task = ComparisonTask(source, target, KEY, 1.0, root / f"spool-{name}")
        done = engine.compare(task, lambda progress: None)
        differences = sum(1 for _ in done.differences())
        # This thread's share, without the thread that watches.
        seconds, own = time.perf_counter() - started, time.thread_time() - own
    done.results.remove()
    assert differences == done.counts.different == len(range(5, source.items, 10_007))
    used = usage.seconds + own
    return EngineRow(
        engine=name,
        items=source.items,
        cores=cores,
        seconds=round(seconds, 1),
        core_seconds=round(used, 1),
        items_per_core_second=round((source.items + target.items) / used),
        worker_mb=round(max((v for k, v in usage.peaks.items() if "python" in k), default=0)),
        java_mb=round(usage.peaks.get("java", 0)),
    )


def in_a_process(root: Path, summaries: list[str], name: str, cores: int) -> EngineRow:
    """`measure` in a fresh process: memory is a process's, and none inherits a warm one."""
    command = [sys.executable, "-m", "tests.benchmarks.spark", "--row", str(root), *summaries]
    done = subprocess.run(
        [*command, name, str(cores)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return EngineRow(**json.loads(done.stdout.splitlines()[-1]))


def table(rows: list[EngineRow]) -> str:
    """Render the rows, each beside the one-process engine's of that size, as Markdown."""
    lines = [
        "| items a side, 1 KB | engine | cores | on cores | against one process | items/s and core "
        "| a worker's memory | Java's memory |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        (base,) = (
            each
            for each in rows
            if (each.engine, each.items, each.cores) == (PROCESS, row.items, row.cores)
        )
        lines.append(
            f"| {row.items:,} | {row.engine} | {row.cores} | {row.core_seconds:.1f} s "
            f"| {row.core_seconds / base.core_seconds:.2f} × | {row.items_per_core_second:,} "
            f"| {row.worker_mb:,.0f} MB | {row.java_mb:,.0f} MB |"
        )
    return "\n".join(lines)


def on_paper(rows: list[EngineRow]) -> str:
    """Compute the core hours of large tables from the largest one measured on Spark."""
    largest = max((row for row in rows if row.engine == SPARK), key=lambda row: row.items)
    hours = {
        size: 2 * size * TERABYTE / ITEM_BYTES / largest.items_per_core_second / 3600
        for size in (1, 10, 100)
    }
    return "; ".join(f"{size} TB: {needed:,.0f} core hours" for size, needed in hours.items())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.spark", description=__doc__)
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="most items a side")
    parser.add_argument("--dir", type=Path, help="where the exports are made; 2 KB an item")
    parser.add_argument("--row", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        root, one, other, name, cores = arguments.row
        row = measure(Path(root), [one, other], name, int(cores))
        print(json.dumps(asdict(row)))
        return
    rows: list[EngineRow] = []
    for count in [n for n in SIZES if n <= arguments.largest] or [arguments.largest]:
        with exports(count, arguments.dir) as (root, summaries, _):
            for cores in sorted({1, min(2, os.cpu_count() or 1)}):
                for name in (PROCESS, SPARK):
                    rows.append(in_a_process(root, summaries, name, cores))
                    print(f"  {rows[-1]}", flush=True)
                    RESULTS.parent.mkdir(parents=True, exist_ok=True)
                    RESULTS.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    print(table(rows))
    print(f"\nOn paper, for items of {ITEM_BYTES} B: {on_paper(rows)}.\nWritten to {RESULTS}")


if __name__ == "__main__":
    main()
