"""The README's section about the commands: `python -m bootstrap.reference README.md` renews it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from bootstrap.cli import main
from bootstrap.commandline import PROGRAM

HEAD = "## Commands"
NEXT = "## The local cloud"
WIDTH = 100


def section() -> str:
    """What `--help` says of every command, as the README shows it."""
    parts = [
        HEAD,
        "",
        f"What `{PROGRAM} COMMAND --help` says (this section is made from it: "
        "`python -m bootstrap.reference README.md`).",
        "",
    ]
    for context in _contexts(main, PROGRAM):
        help_text = context.command.get_help(context).rstrip()
        parts += [f"### `{context.command_path}`", "", "```", help_text, "```", ""]
    return "\n".join(parts)


def _contexts(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[click.Context]:
    # As `main` makes them: a command's own settings decide how its help is asked for.
    settings: dict[str, Any] = {**command.context_settings, "terminal_width": WIDTH}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    yield context
    if isinstance(command, click.Group):
        for inner, each in sorted(command.commands.items()):
            yield from _contexts(each, inner, context)


def renewed(readme: str) -> str:
    """The README with its section as the code is now."""
    before, _, rest = readme.partition(f"{NEXT}\n")
    kept = before.partition(f"{HEAD}\n")[0]
    return f"{kept}{section()}\n{NEXT}\n{rest}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
