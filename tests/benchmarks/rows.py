"""One row of the table: one contender, one event, one latency, in a process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.request import urlopen

from tests.benchmarks import contenders, stub
from tests.benchmarks.events import Shape, event

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Row:
    """What one contender did with one event at one latency; a "change" is one of the event's."""

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
def running_stub() -> Iterator[int]:
    """The stub's port; its process ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.stub"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def in_a_process(contender: str, shape: Shape, latency: int, port: int) -> Row:
    """`measure` in a fresh process: peak memory is a process's, and none inherits warm caches."""
    command = [sys.executable, "-m", "tests.benchmarks.rows", contender, json.dumps(asdict(shape))]
    done = subprocess.run(
        [*command, str(latency), str(port)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return Row(**json.loads(done.stdout.splitlines()[-1]))


def measure(contender: str, shape: Shape, latency: int, port: int) -> Row:
    """Applies a small event, which opens the connections, and then times the one that is meant."""
    contenders.environment(f"http://127.0.0.1:{port}/{latency}")
    small, _ = event(Shape(shape.item_bytes, 80), seed=2, first=10**9)
    batch, changes = event(shape)
    apply = contenders.CONTENDERS[contender]()
    with contextlib.redirect_stdout(io.StringIO()):
        apply(small)
        _counts(port)
        wall, cpu = time.perf_counter(), time.process_time()
        apply(batch)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    counts = _counts(port)
    return Row(
        contender=contender,
        shape=shape.name,
        latency_ms=latency,
        changes=changes,
        changes_per_second=round(changes / wall, 1),
        cpu_us_per_change=round(cpu * 1e6 / changes, 1),
        requests_per_change=round(counts["requests"] / changes, 4),
        write_units_per_change=round(
            contenders.write_units(contender, shape.item_bytes, counts) / changes, 2
        ),
        peak_memory_mb=peak_memory_mb(),
    )


def peak_memory_mb() -> float:
    """Of this process since it was executed. Not getrusage's: Linux counts there what the process
    was before, a copy of its parent, and the parent may be a test run of any size.
    """
    status = Path("/proc/self/status")
    if not status.exists():  # not Linux: the best there is; bytes on macOS
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 1)
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return round(int(peak.split()[1]) / 1024, 1)


def _counts(port: int) -> dict[str, int]:
    with urlopen(f"http://127.0.0.1:{port}{stub.COUNTS}") as answer:
        counts: dict[str, int] = json.load(answer)
    return counts


if __name__ == "__main__":
    who, what, latency_ms, at = sys.argv[1:]
    print(json.dumps(asdict(measure(who, Shape(**json.loads(what)), int(latency_ms), int(at)))))
