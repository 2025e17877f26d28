"""`make bench`: this project's consumer beside the blog's handler, in one run on one machine.

Prints a table and writes build/bench/replicator.json. Every row gives what one process did with one
event against a stub that answers after a fixed time; compare rows, not machines.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench import contenders, decoding
from tests.bench.events import Shape, event

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "build" / "bench" / "replicator.json"
LATENCIES = (2, 5, 20, 150)  # milliseconds
SIZES = (200, 1024, 10 * 1024)  # bytes of an item
BLOG_CHANGES = 100  # the blog's handler is timed on this many: its time grows in proportion


@dataclass(frozen=True)
class Row:
    """One contender on one event at one latency."""

    contender: str
    shape: str
    latency_ms: int
    changes: int
    changes_per_second: float
    cpu_us_per_change: float
    requests_per_change: float
    write_units_per_change: float
    peak_memory_mb: float


@contextlib.contextmanager
def stub() -> Iterator[int]:
    """The stub's port; the process ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.stub"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def measure(contender: str, shape: Shape, latency: int, port: int) -> Row:
    """In this process: applies the event twice (the first call opens connections) and times the second."""
    contenders.environment(f"http://127.0.0.1:{port}/{latency}")
    batch, changes = event(shape)
    apply = contenders.CONTENDERS[contender]()
    requests = _count_requests()
    with contextlib.redirect_stdout(io.StringIO()):
        apply({"Records": batch["Records"][: max(1, len(batch["Records"]) // 20)]})
        before = requests()
        wall, cpu = time.perf_counter(), time.process_time()
        apply(batch)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Row(
        contender=contender,
        shape=shape.name,
        latency_ms=latency,
        changes=changes,
        changes_per_second=round(changes / wall, 1),
        cpu_us_per_change=round(cpu * 1e6 / changes, 1),
        requests_per_change=round((requests() - before) / changes, 4),
        write_units_per_change=contenders.write_units(contender, shape.item_bytes),
        peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    )


def _count_requests() -> Any:
    """A counter of HTTP requests sent by this process, whoever sends them through urllib3."""
    from urllib3.connectionpool import HTTPConnectionPool

    original, sent = HTTPConnectionPool.urlopen, [0]

    def urlopen(self: Any, *arguments: Any, **options: Any) -> Any:
        sent[0] += 1
        return original(self, *arguments, **options)

    HTTPConnectionPool.urlopen = urlopen
    return lambda: sent[0]


def _child(contender: str, shape: Shape, latency: int, port: int) -> Row:
    """`measure` in a fresh process: peak memory is a process's, and nobody inherits warm caches."""
    command = [sys.executable, "-m", "tests.bench", "--row", contender, json.dumps(asdict(shape))]
    done = subprocess.run(
        [*command, str(latency), str(port)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return Row(**json.loads(done.stdout.splitlines()[-1]))


def shapes(quick: bool) -> list[tuple[str, Shape]]:
    """The (contender, event) pairs of the table."""
    pairs: list[tuple[str, Shape]] = []
    for size in (1024,) if quick else SIZES:
        pairs += [(name, Shape(size, BLOG_CHANGES)) for name in contenders.CONTENDERS]
        pairs += [("threads", Shape(size, None)), ("ledger", Shape(size, None))]
        pairs.append(("ledger", Shape(size, None, repeated=0.5)))
        pairs.append(("ledger", Shape(size, None, aggregated=True)))
    return pairs


def import_times(rounds: int = 7) -> dict[str, float]:
    """Seconds to import the handler, and boto3 with powertools as their quick starts say; medians."""
    statements = {
        "replicator.handler": "import replicator.handler",
        "boto3 and aws_lambda_powertools": (
            "import boto3, aws_lambda_powertools; "
            "from aws_lambda_powertools import Logger, Metrics, Tracer"
        ),
        "nothing": "pass",
    }
    taken: dict[str, list[float]] = {name: [] for name in statements}
    surroundings = {**os.environ, **contenders.CREDENTIALS, **contenders.CONSUMER}
    for _ in range(rounds):
        for name, statement in statements.items():
            started = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", statement], cwd=ROOT, env=surroundings, check=True
            )
            taken[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in taken.items()}
    return {name: round(value - medians["nothing"], 4) for name, value in medians.items()}


def table(rows: list[Row]) -> str:
    """Rows for a terminal and for the README (Markdown); the ratio is to the blog's at that latency."""
    blog = {
        (row.shape.split(",")[0], row.latency_ms): row.changes_per_second
        for row in rows
        if row.contender == "blog"
    }
    lines = [
        "| event | latency | handler | changes/s | against the blog's | CPU µs/change | "
        "requests/change | write units | peak MB |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        ratio = row.changes_per_second / blog[row.shape.split(",")[0], row.latency_ms]
        lines.append(
            f"| {row.shape} | {row.latency_ms} ms | {row.contender} | {row.changes_per_second:,.0f} "
            f"| {ratio:.1f} × | {row.cpu_us_per_change:,.0f} | {row.requests_per_change:.3f} "
            f"| {row.write_units_per_change:g} | {row.peak_memory_mb:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1 KB items at 5 ms only")
    parser.add_argument("--row", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        contender, shape, latency, port = arguments.row
        row = measure(contender, Shape(**json.loads(shape)), int(latency), int(port))
        print(json.dumps(asdict(row)))
        return
    rows: list[Row] = []
    with stub() as port:
        for latency in (5,) if arguments.quick else LATENCIES:
            for contender, shape in shapes(arguments.quick):
                rows.append(_child(contender, shape, latency, port))
                print(f"  {rows[-1].contender:8} {rows[-1].shape:28} {latency:4} ms", flush=True)
    decode = decoding.rates((1024,) if arguments.quick else SIZES)
    imports = import_times()
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    result = {"rows": [asdict(row) for row in rows], "decode": decode, "import_seconds": imports}
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(table(rows))
    print(f"\nDecoding alone: {decode}\nImport, seconds: {imports}\nWritten to {RESULTS}")


if __name__ == "__main__":
    main()
