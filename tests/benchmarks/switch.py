"""The time for which a switch refuses writers: `python -m tests.benchmarks.switch`.

Runs the demo with SWITCH, in both ways. The local cloud shrinks AWS's delays, and with them the
waits that are fixed; calls, probes and polls take here what they take. So the two are counted
apart, and the time on AWS is the fixed waits there and what is our own here. Prints Markdown and
writes build/bench/switch.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "bench"
RESULTS = FOLDER / "switch.json"
WAYS = {"fence": "on", "writes-stopped": "writes-stopped"}
SMALL = ("--items", "2000", "--min-changes", "300", "--steady", "3")


@dataclass(frozen=True)
class Row:
    """Seconds of one switch. `findings`: what the witness found, lost writes among it."""

    way: str
    preparing: float
    """Since the last write, where writes were stopped."""
    refused: float
    fixed: float
    own: float
    fixed_on_aws: float
    first_let_in: float
    all_let_in: float
    acknowledged: int
    findings: int


def measured(way: str) -> Row:
    """Run the demo once."""
    directory = FOLDER / f"switch-{WAYS[way]}"
    options = ("--switch", WAYS[way], "--directory", str(directory))
    ran = subprocess.run(
        [sys.executable, "-m", "infra.local", "demo", *SMALL, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise RuntimeError(f"{ran.stdout}\n{ran.stderr}")
    found: dict[str, Any] = json.loads((directory / "report.json").read_text())["switch"]
    return Row(
        way=way,
        preparing=found["preparing_seconds"] or 0.0,
        refused=found["refused_seconds"],
        fixed=found["fixed_seconds"],
        own=found["own_seconds"],
        fixed_on_aws=found["fixed_seconds_on_aws"],
        first_let_in=found["first_let_in_seconds"],
        all_let_in=found["all_let_in_seconds"],
        acknowledged=sum(found["acknowledged"].values()),
        findings=len(found["findings"]),
    )


def table(rows: Sequence[Row]) -> str:
    """Return the rows as Markdown."""
    lines = [
        "| way | preparing, s | refused up to the commit, s | fixed waits, s | our own, s "
        "| fixed waits on AWS, s | first let in, s | all let in, s | writes acknowledged "
        "| findings |",
        "| --- " + "| ---: " * 9 + "|",
    ]
    lines += [
        f"| `--{row.way}` | {row.preparing:.1f} | {row.refused:.1f} | {row.fixed:.1f} "
        f"| {row.own:.1f} | {row.fixed_on_aws:.0f} | {row.first_let_in:.1f} | {row.all_let_in:.1f} "
        f"| {row.acknowledged:,} | {row.findings} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print a row for each round of each way."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.switch", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="of each way (1)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows = []
    for way in options.ways:
        for _ in range(options.rounds):
            rows.append(measured(way))
            print(f"  {rows[-1]}", flush=True)
    RESULTS.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    print(table(rows))
    print(f"\nWritten to {RESULTS}")


if __name__ == "__main__":
    main()
