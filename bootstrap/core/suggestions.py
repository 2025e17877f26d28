"""Suggestions after `Try:` as values: text, and commands of this tool that can be typed as shown.

A suggestion names a command without the options that say which stack, credentials and table are
meant. They are added where it is shown: the journal's reader may use others than its writer did.

A *template* is a command line with those options and {} in the place of the sub-command.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

PROGRAM = "python -m bootstrap"
GENERIC = f"{PROGRAM} {{}}"
"""The template where no stack is known."""

_PREFIXES = (f"{PROGRAM} ", "bootstrap ")
"""How the notation begins a command. The texts of alarms leave `python -m` out."""
_GROUPS = ("quarantine",)
"""Commands that have sub-commands."""


def template(options: Sequence[str]) -> str:
    """Return the template with these options."""
    written = shlex.join(options).replace("{", "{{").replace("}", "}}")
    return f"{GENERIC} {written}" if options else GENERIC


@dataclass(frozen=True)
class Command:
    """A command of this tool, without the options that name the stack and the table."""

    name: str
    """With its sub-command, if it has one: `quarantine list`."""
    arguments: str = ""
    """As typed in a shell."""

    def line(self, command: str = GENERIC) -> str:
        """Return the command line that a template makes of it."""
        return f"{command.format(self.name)} {self.arguments}".strip()


@dataclass(frozen=True)
class Suggestion:
    """Text with commands in it, shown after `Try:`."""

    parts: tuple[str | Command, ...]

    def text(self, command: str = GENERIC) -> str:
        """Render for a human. A command within a text stands in backticks, to show its end."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Command):
            return self.parts[0].line(command)
        return self._written(command)

    @property
    def notation(self) -> str:
        """The text from which `parse` makes the suggestion again: every command in backticks."""
        return self._written(GENERIC)

    def _written(self, command: str) -> str:
        return "".join(
            f"`{part.line(command)}`" if isinstance(part, Command) else part for part in self.parts
        )

    @classmethod
    def parse(cls, notation: str) -> Suggestion:
        """Read the notation: of the journal, and of the watchdog's detectors.

        A text of an older version has no backticks around its commands: it stays as it is.
        """
        parts = [
            (_command(part) or f"`{part}`") if inside % 2 else part
            for inside, part in enumerate(notation.split("`"))
        ]
        return suggest(*parts)


def suggest(*parts: str | Command) -> Suggestion:
    """Make a suggestion of texts and commands, in order."""
    return Suggestion(tuple(part for part in parts if part))


def _command(text: str) -> Command | None:
    for prefix in _PREFIXES:
        if text.startswith(prefix):
            words = text.removeprefix(prefix).split(" ")
            length = 2 if words[0] in _GROUPS else 1
            return Command(" ".join(words[:length]), " ".join(words[length:]))
    return None
