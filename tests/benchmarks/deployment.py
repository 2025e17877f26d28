"""The times of a deployment with the real Pulumi CLI: `python -m tests.benchmarks.deployment`.

`preview`, `up`, a second `up` and `destroy` of stacks of several sizes on the local cloud, with a
stand-in for AWS's provider. So they are the engine's own time and this program's: AWS's is added to
them. Prints Markdown and writes build/bench/deployment.json.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from infra.local.cloud import LocalCloud
from tests.pulumi_engine.cli import find_cli
from tests.pulumi_engine.workspace import PROJECT, Workspace
from tests.support.infra.clouds import make_table

RESULTS = Path(__file__).resolve().parents[2] / "build" / "bench" / "deployment.json"
TABLES = (1, 3, 10)
STACK = "bench"


@dataclass(frozen=True)
class Row:
    """Seconds of each command for a stack of `tables` tables."""

    tables: int
    resources: int
    preview: float
    up: float
    second_up: float
    destroy: float


def measured(tables: int) -> Row:
    """Deploy a stack of so many tables on a cloud of its own, and destroy it."""
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        with LocalCloud(folder / "cloud") as cloud:
            names = [f"table-{n}" for n in range(tables)]
            for name in names:
                make_table(cloud.client("dynamodb", cloud.source), name)
            workspace = Workspace(find_cli(), cloud, folder / "workspace")
            config = workspace.config(
                *({"source": name, "target": f"{name}-replica"} for name in names), protect=False
            )
            content = {"config": {f"{PROJECT}:{key}": value for key, value in config.items()}}
            file = workspace.project / f"Pulumi.{STACK}.yaml"
            file.write_text(yaml.safe_dump(content))
            _timed(workspace, "stack", "init", STACK)
            preview, _ = _timed(workspace, "preview")
            up, said = _timed(workspace, "up", "--yes")
            second, again = _timed(workspace, "up", "--yes")
            assert _count(again, "unchanged") == _count(said, "created"), again
            destroy, _ = _timed(workspace, "destroy", "--yes")
    return Row(tables, _count(said, "created"), preview, up, second, destroy)


def _timed(workspace: Workspace, *command: str) -> tuple[float, str]:
    """Run a command of the CLI; return its seconds and what it printed."""
    begun = time.perf_counter()
    ran = subprocess.run(
        ["pulumi", *command, "--non-interactive"],
        cwd=workspace.project,
        env=workspace.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    taken = round(time.perf_counter() - begun, 1)
    if ran.returncode:
        raise RuntimeError(f"pulumi {' '.join(command)}:\n{ran.stdout}\n{ran.stderr}")
    return taken, ran.stdout


def _count(said: str, what: str) -> int:
    found = re.search(rf"(\d+) {what}", said)
    assert found is not None, said
    return int(found[1])


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown."""
    lines = [
        "| tables | resources | preview s | up s | second up s | destroy s |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row.tables} | {row.resources} | {row.preview} | {row.up} | {row.second_up} "
        f"| {row.destroy} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print one row for each number of tables."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.deployment", description=__doc__
    )
    parser.add_argument("--tables", type=int, nargs="+", default=TABLES, help="sizes of stacks")
    rows = []
    for tables in parser.parse_args().tables:
        rows.append(measured(tables))
        print(f"  {rows[-1]}", flush=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    print(table(rows))
    print(f"\nWritten to {RESULTS}")


if __name__ == "__main__":
    main()
