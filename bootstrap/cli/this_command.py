"""The command that is running, as it can be typed again with a further option."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click
from click.core import ParameterSource

from bootstrap.core.suggestions import Command

SHARED = frozenset(
    {"stack", "outputs", "table", "source_profile", "target_profile", "external_id", "debug"}
)
"""Parameters of every command about a stack. A suggestion gets them where it is shown."""


def this_command(option: str) -> Command:
    """Return the running command with the arguments that were typed, and one more option."""
    context = click.get_current_context()
    names: list[str] = []
    each = context
    while each.parent is not None:
        names.insert(0, str(each.info_name))
        each = each.parent
    return Command(" ".join(names), shlex.join([*_typed(context), option]))


def _typed(context: click.Context) -> Iterator[str]:
    for parameter in context.command.params:
        name = str(parameter.name)
        typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if name in SHARED or not typed:
            continue
        value = context.params[name]
        values = value if isinstance(value, tuple) else (value,)
        if isinstance(parameter, click.Option) and parameter.is_flag:
            yield parameter.opts[0]
            continue
        for one in values:
            if isinstance(parameter, click.Option):
                yield parameter.opts[0]
            yield str(one)
