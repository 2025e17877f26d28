"""Options that every command about a stack takes, and the tables that they select."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bootstrap.core import stack_outputs
from bootstrap.core.errors import UsageError
from bootstrap.core.stack_outputs import AccountOutputs, Outputs, TableOutputs
from bootstrap.core.suggestions import template


@dataclass(frozen=True)
class CommandOptions:
    """The options of a command line that say which stack, table and credentials are meant."""

    command_path: str
    """The program and its sub-command, as typed."""
    stack: str | None = None
    outputs: Path | None = None
    table: str | None = None
    """Its name in the source. None: every table of the stack."""
    tables: tuple[str, ...] = ()
    """Several, for a command that works on them together; `table` is None then."""
    source_profile: str | None = None
    target_profile: str | None = None
    external_id: str | None = None
    external_id_typed: bool = False
    """False: it came from the environment, and is not repeated on the screen."""
    debug: bool = False

    def external_id_for(self, account: AccountOutputs) -> str | None:
        """Return what to present to an account's role: what was typed before what a stack file says
        of that role, and that before the environment's, which is for the operators' roles.
        """
        if self.external_id_typed or not account.external_id:
            return self.external_id
        return account.external_id

    def repeated(self, table: str | None) -> list[str]:
        """Return the options that name the same stack and credentials again, and a table of it."""
        given = {
            "--stack": self.stack,
            "--outputs": self.outputs,
            "--source-profile": self.source_profile,
            "--target-profile": self.target_profile,
            "--external-id": self.external_id if self.external_id_typed else None,
            "--table": table,
        }
        several = [part for name in self.tables for part in ("--table", name)] if not table else []
        typed = [part for name, value in given.items() if value for part in (name, str(value))]
        return [*typed, *several]

    @property
    def command(self) -> str:
        """The template of command lines about the same stack and table."""
        return template(self.repeated(self.table))


@dataclass(frozen=True)
class Selection:
    """A stack and the tables of it that a command is about."""

    outputs: Outputs
    tables: Sequence[TableOutputs]
    commands: Mapping[str, str]
    """By source table: the template of command lines about it."""


def select(options: CommandOptions) -> Selection:
    """Read the outputs of the stack and choose its tables.

    Raises:
        UsageError: for no stack or two, outputs that cannot be read, or an unknown table.
    """
    if options.stack is not None and options.outputs is None:
        outputs = stack_outputs.from_stack(options.stack)
    elif options.outputs is not None and options.stack is None:
        outputs = stack_outputs.from_file(options.outputs)
    else:
        raise UsageError(
            "A command needs either --stack NAME or --outputs FILE.",
            fix=f"{options.command_path} --stack NAME",
        )
    named = (options.table,) if options.table else options.tables
    tables = tuple(outputs.table(name) for name in dict.fromkeys(named)) or outputs.tables
    several = len(outputs.tables) > 1
    commands = {
        each.source_table: template(options.repeated(each.source_table if several else None))
        for each in tables
    }
    return Selection(outputs, tables, commands)
