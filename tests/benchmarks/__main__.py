"""`make bench`: this project's consumer beside the blog's handler, in one run on one machine.

Prints a table, says which targets were reached, and writes build/bench/replicator.json. Every row
is what one process did with one event against a stub that answers after a fixed time; compare rows
of a run, not machines.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass

from tests.benchmarks import contenders, decoding
from tests.benchmarks.events import Shape
from tests.benchmarks.rows import ROOT, Row, in_a_process, running_stub

RESULTS = ROOT / "build" / "bench" / "replicator.json"
LATENCIES = (2, 5, 20, 150)  # milliseconds
SIZES = (200, 1024, 10 * 1024)  # bytes of an item
FEW = 100  # changes; the blog's handler is timed on these alone: its time grows in proportion

HANDLER = "replicator.handler"
DEFAULTS = "boto3 and aws_lambda_powertools"


@dataclass(frozen=True)
class Target:
    """What was aimed at, at 5 ms with distinct 1 KB items, and what came out of this run."""

    what: str
    aim: str
    reached: float
    ok: bool


def shapes(sizes: tuple[int, ...]) -> list[tuple[str, Shape]]:
    """The (contender, event) pairs of the table."""
    pairs: list[tuple[str, Shape]] = []
    for size in sizes:
        pairs += [(name, Shape(size, FEW)) for name in contenders.CONTENDERS]
        pairs += [("threads", Shape(size, None)), ("ledger", Shape(size, None))]
        pairs.append(("ledger", Shape(size, None, repeated=0.5)))
        pairs.append(("ledger", Shape(size, None, aggregated=True)))
    return pairs


def import_times(rounds: int = 11) -> dict[str, float]:
    """Seconds of CPU to import the handler, and boto3 with powertools as their guides do.

    The best of the rounds, after one that does not count: it leaves the bytecode of the one where
    that of the others is, which installing them has compiled.
    """
    statements = {
        HANDLER: f"import {HANDLER}",
        DEFAULTS: (
            "import boto3, aws_lambda_powertools; "
            "from aws_lambda_powertools import Logger, Metrics, Tracer"
        ),
        "nothing": "pass",
    }
    taken: dict[str, list[float]] = {name: [] for name in statements}
    surroundings = {**os.environ, **contenders.CREDENTIALS, **contenders.CONSUMER}
    surroundings.pop("PYTHONDONTWRITEBYTECODE", None)
    for _ in range(1 + rounds):
        for name, statement in statements.items():
            before = _children_seconds()
            subprocess.run(
                [sys.executable, "-c", statement], cwd=ROOT, env=surroundings, check=True
            )
            taken[name].append(_children_seconds() - before)
    best = {name: min(values[1:]) for name, values in taken.items()}
    return {name: round(value - best["nothing"], 4) for name, value in best.items()}


def _children_seconds() -> float:
    """CPU of processes that have ended; how busy the machine is does not matter to it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(rows: list[Row]) -> str:
    """Rows for a terminal and for the README; the ratio is to the blog's at size and latency."""
    blog = {(_size(row), row.latency_ms): row for row in rows if row.contender == "blog"}
    lines = [
        "| event | latency | handler | changes/s | against the blog's | CPU µs/change "
        "| requests/change | write units/change | peak MB |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        ratio = row.changes_per_second / blog[_size(row), row.latency_ms].changes_per_second
        lines.append(
            f"| {row.shape} | {row.latency_ms} ms | {row.contender} "
            f"| {row.changes_per_second:,.0f} | {ratio:.1f} × | {row.cpu_us_per_change:,.0f} "
            f"| {row.requests_per_change:.3f} | {row.write_units_per_change:g} "
            f"| {row.peak_memory_mb:.0f} |"
        )
    return "\n".join(lines)


def _size(row: Row) -> str:
    return row.shape.split(",")[0]


def targets(rows: list[Row], imports: dict[str, float]) -> list[Target]:
    """The run's own numbers against what was aimed at."""
    named = {(row.contender, row.shape): row for row in rows if row.latency_ms == 5}
    blog = named["blog", Shape(1024, FEW).name]
    ledger = named["ledger", Shape(1024, None).name]
    speed = ledger.changes_per_second / blog.changes_per_second
    cpu = ledger.cpu_us_per_change / blog.cpu_us_per_change
    start = imports[HANDLER] / imports[DEFAULTS]
    memory = max(row.peak_memory_mb for row in rows if row.contender == "ledger")
    return [
        Target("changes/s, times the blog's", "≥ 30", round(speed, 1), speed >= 30),
        Target("CPU per change, of a boto3 put_item's", "≤ 0.5", round(cpu, 2), cpu <= 0.5),
        Target("peak memory, MB, any event", "< 256", memory, memory < 256),
        Target("import, of boto3's and powertools'", "< 0.33", round(start, 2), start < 1 / 3),
    ]


def measured(sizes: tuple[int, ...], latencies: tuple[int, ...], rounds: int) -> list[Row]:
    """The rows of the table. All of a latency are measured before the next round begins."""
    rows: list[Row] = []
    with running_stub() as port:
        for latency in latencies:
            best: dict[tuple[str, str], Row] = {}
            for number in range(rounds):
                for contender, shape in shapes(sizes):
                    print(
                        f"  {contender:8} {shape.name:28} {latency:4} ms  {number + 1}", flush=True
                    )
                    row = in_a_process(contender, shape, latency, port)
                    known = best.setdefault((contender, shape.name), row)
                    if row.changes_per_second > known.changes_per_second:
                        best[contender, shape.name] = row
            rows += best.values()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1 KB items only, at 5 ms")
    parser.add_argument("--aim", action="store_true", help="at 5 ms only")
    parser.add_argument(
        "--rounds",
        type=int,
        default=1,
        help="on a busy machine: how often; the best of each counts",
    )
    asked = parser.parse_args()
    sizes = (1024,) if asked.quick else SIZES
    latencies = (5,) if asked.quick or asked.aim else LATENCIES
    rows = measured(sizes, latencies, asked.rounds)
    decode, imports = decoding.rates(sizes), import_times()
    aims = targets(rows, imports)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "rows": [asdict(row) for row in rows],
        "decode": decode,
        "import_seconds": imports,
        "targets": [asdict(aim) for aim in aims],
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(f"\n{table(rows)}\n")
    for name, taken in decode.items():
        print(f"Decoding alone, {name}: {taken['decode_us']} µs, digests {taken['digest_us']} µs")
    for aim in aims:
        verdict = "reached" if aim.ok else "missed"
        print(f"{verdict:8} {aim.what}: {aim.reached} (aim {aim.aim})")
    print(f"Written to {RESULTS}")


if __name__ == "__main__":
    main()
