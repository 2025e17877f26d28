"""The commands of the README: `python -m bootstrap.cli.reference README.md` renews them."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from bootstrap.cli.main import main
from bootstrap.cli.options import common_options
from bootstrap.core.suggestions import PROGRAM

HEAD = "## Commands"
"""The last section of the README."""
MADE_BY = "python -m bootstrap.cli.reference README.md"
WIDTH = 100


def section() -> str:
    """What `--help` says of every command, as the README shows it."""
    parts = [
        HEAD,
        "",
        f"What `{PROGRAM} COMMAND --help` says: this section is made from it, by",
        f"`{MADE_BY}`. What every command about a stack takes stands here once:",
        "",
        "```",
        _options(COMMON),
        "```",
        "",
    ]
    for context in _contexts(main, PROGRAM):
        help_text = context.command.get_help(context).rstrip()
        parts += [f"### `{context.command_path}`", "", "```", help_text, "```", ""]
    return "\n".join(parts)


@common_options
def _about_a_stack() -> None: ...


# In the order in which click shows them.
COMMON: Sequence[click.Parameter] = click.command()(_about_a_stack).params


def _options(params: Sequence[click.Parameter]) -> str:
    command = click.Command(None, params=list(params), add_help_option=False)
    context = click.Context(command, terminal_width=WIDTH)
    formatter = context.make_formatter()
    command.format_options(context, formatter)
    return formatter.getvalue().rstrip()


def _contexts(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[click.Context]:
    # As `main` makes them: a command's own settings decide how its help is asked for.
    settings: dict[str, Any] = {**command.context_settings, "terminal_width": WIDTH}
    yield click.Context(_of_its_own(command), info_name=name, parent=parent, **settings)
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name, parent=parent, **settings)
        for inner, each in sorted(command.commands.items()):
            yield from _contexts(each, inner, context)


def _of_its_own(command: click.Command) -> click.Command:
    """The command without the options that stand in the README once."""
    names = {param.name for param in COMMON}
    if not names <= {param.name for param in command.params}:
        return command
    shown = copy.copy(command)
    shown.params = [param for param in command.params if param.name not in names]
    return shown


def renewed(readme: str) -> str:
    """The README with its last section as the code is now."""
    return readme.partition(f"{HEAD}\n")[0] + section()


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
