"""The refusal of another way into the target for a table whose load has begun."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pulumi

from infra.load_config import LoadConfig
from infra.refused_changes import listed
from infra.run_rows import PRIMARIES, RunRow
from infra.stack_config import StackConfig

KEPT_ON = ("SWITCHING", *PRIMARIES)
"""States of runs that `abandon` does not end."""


def find_other_loads(config: StackConfig, runs: Mapping[str, RunRow]) -> Iterator[str]:
    """Yield a refusal of another `load` or `adopt` than that of the table's run.

    A run ends the way it began, and the roles would lose the rights for it: a bulk operation that
    is under way could neither be seen nor cancelled, and puts outlive their caller. A table of the
    user's own that stops being adopted could be deleted, and one of ours that is adopted would
    lack what the run sets.
    """
    lines, ends = [], []
    for n, table in enumerate(config.tables):
        run = runs.get(table.source)
        if run is None or run.load is None or run.ended:
            continue
        for key, got, began in _differences(table.load, run.load):
            lines.append(f'tables[{n}].{key}: got {got}; the run of "{table.source}" {began}.')
            if run.state not in KEPT_ON:
                ends.append(
                    f"python -m bootstrap abandon --stack {pulumi.get_stack()} "
                    f"--table {table.source}"
                )
    return listed(
        "A table's load ends the way it began",
        lines,
        "What has begun could not be followed or undone. Try: put the values back, then pulumi up"
        + _another_way(ends),
    )


def _another_way(ends: Sequence[str]) -> str:
    if not ends:
        return ""
    return (
        ". To load a table another way all the same, then end its run, which keeps the target "
        f"table: {'; '.join(ends)}; then docs/operate.md, Load a table another way"
    )


def _differences(wanted: LoadConfig, begun: LoadConfig) -> Iterator[tuple[str, str, str]]:
    """Yield each key that differs: its value, and what the run has."""
    if wanted.mode != begun.mode:
        yield "load", wanted.mode, f"has begun with {begun.mode}"
    elif wanted.adopt != begun.adopt:
        whose = "has adopted its target table" if begun.adopt else "makes its target table"
        yield "adopt", str(wanted.adopt).lower(), whose
