"""The commands page: the help of every command, as click prints it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from bootstrap.cli.main import main
from bootstrap.cli.options import common_options
from bootstrap.core.suggestions import PROGRAM
from infra.review.__main__ import main as review

WIDTH = 100
REVIEW = "python -m infra.review"


def common() -> str:
    """Render the options that every command about a stack takes."""
    return f"```\n{_options(COMMON)}\n```"


def section() -> str:
    """Render the help of every command, without the options of `common`."""
    return _help_texts(contexts())


def review_section() -> str:
    """Render the help of the commands that print what a stack needs of its accounts."""
    return _help_texts(_contexts(review, REVIEW))


def _help_texts(found: Iterable[click.Context]) -> str:
    parts = []
    for context in found:
        help_text = context.command.get_help(context).rstrip()
        parts.append(f"## `{context.command_path}`\n\n```\n{help_text}\n```")
    return "\n\n".join(parts)


def contexts() -> Iterator[click.Context]:
    """List every command and sub-command, in the order of their names."""
    yield from _contexts(main, PROGRAM)


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
    # Made as `main` makes them: a command's own settings decide how its help is asked for.
    settings: dict[str, Any] = {**command.context_settings, "terminal_width": WIDTH}
    yield click.Context(_without_common(command), info_name=name, parent=parent, **settings)
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name, parent=parent, **settings)
        for inner, each in sorted(command.commands.items()):
            yield from _contexts(each, inner, context)


def _without_common(command: click.Command) -> click.Command:
    # A command on several tables at once has another --table, which is shown with it.
    names = {param.name for param in COMMON if param.name != "table"}
    if {param.name for param in COMMON} <= {param.name for param in command.params}:
        names.add("table")
    if not names <= {param.name for param in command.params}:
        return command
    shown = copy.copy(command)
    shown.params = [param for param in command.params if param.name not in names]
    return shown
