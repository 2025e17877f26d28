"""What to type: a command line that means a stack, or a table of it, once more.

A text that says what to try writes a command without the options that say which stack, whose
credentials and which table: `python -m bootstrap status`. Who shows the text knows them, and they
may be others than those of the run that wrote it into the journal. So they are added where it is
shown, and what is printed can be typed.

A *template* is such a command line with {} in the place of the sub-command.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bootstrap.core.errors import BootstrapError

PROGRAM = "python -m bootstrap"
GENERIC = f"{PROGRAM} {{}}"
"""Where nobody knows which stack is meant."""

_COMMANDS = (
    "(?:quarantine (?:list|show|redrive|discard)|abandon|backfill|explain|parity|park|pause|plan|"
    "resume|run|status|unpark|verify)"
)
_ARGUMENTS = r"(?: (?:--[a-z-]+|'[^']*'|[A-Z]{3,}))*"
_WRITTEN = re.compile(
    # The detectors' texts, which stand in alarms as well, leave `python -m` out.
    r"(?<![`\w/-])(?:python -m |(?<!python -m ))bootstrap "
    rf"({_COMMANDS})\b(?! --(?:stack|outputs|config)\b)({_ARGUMENTS})"
)


def template(options: Sequence[str]) -> str:
    """The command line with these options."""
    written = shlex.join(options).replace("{", "{{").replace("}", "}}")
    return f"{GENERIC} {written}" if options else GENERIC


def completed(text: str, command: str) -> str:
    """The text, in which every command has the options of a template.

    A command that is not the whole text stands in backticks: where it ends has to be seen.
    """
    alone = _WRITTEN.fullmatch(text)
    return _WRITTEN.sub(
        lambda found: ("{}" if alone else "`{}`").format(command.format(found[1]) + found[2]), text
    )


@contextmanager
def telling(command: str) -> Iterator[None]:
    """Whatever error ends the block says what to type with the options of a template."""
    try:
        yield
    except BootstrapError as error:
        error.fix = completed(error.fix, command)
        raise
