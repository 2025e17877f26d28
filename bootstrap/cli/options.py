"""Options that all commands about a stack share, and the way in which every command ends."""

from __future__ import annotations

import functools
import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from bootstrap.app.account_clients import AccountClients
from bootstrap.app.command_options import CommandOptions
from bootstrap.app.factory import AwsClients
from bootstrap.app.process import Process
from bootstrap.app.stack_check import StackCheck, check_stack
from bootstrap.cli.this_command import this_command
from bootstrap.core import signals
from bootstrap.core.errors import (
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_PIPE_CLOSED,
    BlockedError,
    BootstrapError,
    UsageError,
)
from bootstrap.core.stack_outputs import Outputs
from bootstrap.core.suggestions import suggest

RESUMES = "Run the same command again: it resumes from here."
"""After an interruption."""

_STACK_OPTIONS = (
    click.option(
        "--stack",
        metavar="NAME",
        help="Pulumi stack. Its outputs are read with the Pulumi CLI.",
    ),
    click.option(
        "--outputs",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="File with the output of `pulumi stack output --json`, instead of --stack.",
    ),
)
_TABLE = click.option(
    "--table", metavar="NAME", help="One table, by its name in the source. Default: all tables."
)
_TABLES = click.option(
    "--table",
    "tables",
    metavar="NAME",
    multiple=True,
    help="A table, by its name in the source. Several: with one commit for all.",
)
_ALL = click.option("--all", "all_tables", is_flag=True, help="All tables of the stack.")
_CREDENTIAL_OPTIONS = (
    click.option(
        "--source-profile",
        metavar="P",
        help="AWS profile that may assume the exporter role. Default: AWS's default credentials.",
    ),
    click.option(
        "--target-profile",
        metavar="P",
        help="AWS profile that may assume the importer role. Default: AWS's default credentials.",
    ),
    click.option(
        "--external-id",
        metavar="ID",
        envvar="REPLICATION_EXTERNAL_ID",
        help="External id that the roles require, if the stack configuration sets one. Default: "
        "$REPLICATION_EXTERNAL_ID.",
    ),
    click.option("--debug", is_flag=True, help="Show the traceback of an error."),
)


def common_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options about stack, table and credentials; pass them on as one `CommandOptions`."""

    @functools.wraps(command)
    def with_options(table: str | None, **given: Any) -> None:
        options, own = _taken(given, table=table)
        command(options, **own)

    return _decorated(with_options, (*_STACK_OPTIONS, _TABLE, *_CREDENTIAL_OPTIONS))


def several_tables_options(command: Callable[..., None]) -> Callable[..., None]:
    """The same for a command that works on several tables at once, which have to be named."""

    @functools.wraps(command)
    def with_options(tables: tuple[str, ...], all_tables: bool, **given: Any) -> None:
        if tables and all_tables:
            raise click.UsageError("--table and --all exclude each other.")
        options, own = _taken(given, tables=tables)
        command(options, all_tables=all_tables, **own)

    return _decorated(with_options, (*_STACK_OPTIONS, _TABLES, _ALL, *_CREDENTIAL_OPTIONS))


def _taken(given: dict[str, Any], **tables: Any) -> tuple[CommandOptions, dict[str, Any]]:
    """Separate the options that all commands share from a command's own."""
    context = click.get_current_context()
    origin = context.get_parameter_source("external_id")
    options = CommandOptions(
        context.command_path,
        **{name: given.pop(name) for name in ("stack", "outputs")},
        **tables,
        **{name: given.pop(name) for name in ("source_profile", "target_profile", "external_id")},
        external_id_typed=origin is ParameterSource.COMMANDLINE,
        debug=given.pop("debug"),
    )
    return options, given


def _decorated(
    command: Callable[..., None], options: Sequence[Callable[..., Any]]
) -> Callable[..., None]:
    for option in reversed(options):
        command = option(command)
    return command


SKIP_CROSS_ACCOUNT_CHECK = click.option(
    "--skip-cross-account-check",
    is_flag=True,
    help="Skip the check that the snapshot can cross the accounts. By default a small object is "
    "written into the snapshot bucket, read and deleted.",
)


def clients_of(outputs: Outputs, process: Process, options: CommandOptions) -> AwsClients:
    """Make the command's clients: once, for there is one session for each account."""
    return AwsClients(outputs, process, options)


def run_command(
    work: Callable[[], int], options: CommandOptions | None = None, interrupted: str = ""
) -> None:
    """Run a command; turn its error into a message and an exit code.

    `interrupted` is what Ctrl-C prints about resuming.
    """
    signals.listen()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # arrows and bars, where the locale has none
    try:
        code = work()
    except BootstrapError as error:
        if options is not None and options.debug:
            traceback.print_exc()
        if options is not None:
            error.about(options.command)
        click.echo(str(error), err=True)
        code = error.exit_code
    except BrokenPipeError:
        # The reader has closed the pipe (`| head`). What the interpreter flushes at its end is
        # discarded.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_PIPE_CLOSED
    except KeyboardInterrupt:
        # A program that ends this one knows better how to resume.
        advice = interrupted if signals.by_hand() else ""
        click.echo(f"Interrupted. {advice}".strip(), err=True)
        code = EXIT_INTERRUPTED
    except Exception:
        traceback.print_exc()
        click.echo(
            "This is a bug: please report it with the lines above.\n"
            "Try: the same command again. The journal holds what was done.",
            err=True,
        )
        code = EXIT_BUG
    sys.exit(code)


def confirm(question: str, *, attempted: str, declined: str, err: bool = False) -> None:
    """Ask a question that only a human may answer.

    Raises:
        UsageError: where stdin is no terminal. `attempted` names what needs the answer.
        BlockedError: when the answer is no. `declined` says what was left undone.
    """
    if not stdin_is_terminal():
        raise UsageError(
            f"{attempted} needs a confirmation, and stdin is no terminal.",
            fix=suggest(this_command("--yes")),
        )
    try:
        agreed = click.confirm(question, err=err)
    except click.Abort:
        agreed = False
    if not agreed:
        raise BlockedError(declined, fix="the same command, and answer y")


def stdin_is_terminal() -> bool:
    """Tell a human from a script."""
    return sys.stdin.isatty()


def checked_stack(
    options: CommandOptions, outputs: Outputs, clients: AccountClients
) -> StackCheck | None:
    """Print to standard error what an `up` that was killed left behind; return it.

    Only for a stack that is read with the Pulumi CLI: a file of outputs has no state.
    """
    found = check_stack(options, outputs, clients)
    for warning in found.warnings if found else ():
        click.echo(f"warning: {warning}", err=True)
    for note in found.notes if found else ():
        click.echo(f"note: {note}", err=True)
    return found
