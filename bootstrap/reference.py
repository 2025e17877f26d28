"""The README's section about the commands: `python -m bootstrap.reference README.md` renews it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from bootstrap.cli import main
from bootstrap.invocation import PROGRAM

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
    for context in _contexts(main, click.Context(main, info_name=PROGRAM, max_content_width=WIDTH)):
        help_text = context.command.get_help(context).rstrip()
        parts += [f"### `{context.command_path}`", "", "```", help_text, "```", ""]
    return "\n".join(parts)


def _contexts(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(command, click.Group):
        for name, each in sorted(command.commands.items()):
            inner = click.Context(each, info_name=name, parent=context, max_content_width=WIDTH)
            inner.terminal_width = WIDTH
            yield from _contexts(each, inner)


def renewed(readme: str) -> str:
    """The README with its section as the code is now."""
    before, _, rest = readme.partition(f"{NEXT}\n")
    kept = before.partition(f"{HEAD}\n")[0]
    return f"{kept}{section()}\n{NEXT}\n{rest}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
