"""The table that the application writes to: a word in a file, which a switch's command changes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

Side = Literal["source", "target"]
Place = Side | Literal["stopped"]


def read_place(file: Path) -> Side | None:
    """Return the side that a file names; None where writes are stopped.

    Raises:
        ValueError: it has another word.
    """
    word = file.read_text().strip()
    if word in ("source", "target"):
        return "source" if word == "source" else "target"
    if word == "stopped":
        return None
    raise ValueError(f"{file} names {word!r}, and no place: source, target or stopped.")


def write_place(file: Path, place: Place) -> None:
    """Let the file name a place, in one step: a reader sees the old word or the new one."""
    temporary = file.with_suffix(".part")
    temporary.write_text(f"{place}\n")
    temporary.replace(file)


def moving_command(file: str) -> str:
    """Return a shell command that does the same for the target, as often as it is run."""
    file = shlex.quote(file)
    return f"echo target > {file}.new && mv {file}.new {file}"
