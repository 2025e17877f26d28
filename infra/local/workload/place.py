"""The table that the application writes to: a word in a file, which a switch's command changes.

`python -m infra.local.workload.place FILE target` may run any number of times.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

Side = Literal["source", "target"]


def read_place(file: Path) -> Side:
    """Return the side that a file names.

    Raises:
        ValueError: it names none.
    """
    word = file.read_text().strip()
    if word == "source":
        return "source"
    if word == "target":
        return "target"
    raise ValueError(f"{file} names {word!r}, and no side: source or target.")


def write_place(file: Path, side: Side) -> None:
    """Let the file name a side, in one step: a reader sees the old word or the new one."""
    temporary = file.with_suffix(".part")
    temporary.write_text(f"{side}\n")
    temporary.replace(file)


def main(arguments: Sequence[str]) -> int:
    """Write the place; print the usage and return 2 for other arguments."""
    match arguments:
        case [file, "source" | "target" as side]:
            write_place(Path(file), side)
            return 0
    sys.stderr.write("Usage: python -m infra.local.workload.place FILE source|target\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
