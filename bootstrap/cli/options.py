"""What commands about a stack have in common: options, the tables meant, and how they end."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from bootstrap.app import operations
from bootstrap.core import signals
from bootstrap.core import stack_outputs as stack_outputs
from bootstrap.core.durations import timing_from
from bootstrap.core.errors import (
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_PIPE_CLOSED,
    BootstrapError,
    UsageError,
)
from bootstrap.core.signals import InterruptibleClock
from bootstrap.core.stack_outputs import Outputs, TableOutputs
from bootstrap.core.suggestions import completed, template
from bootstrap.journal.lease import this_machine

F = TypeVar("F", bound=Callable[..., Any])


def common_options(function: F) -> F:
    """What every command about a stack takes."""
    options = (
        click.option(
            "--stack",
            metavar="NAME",
            help="Pulumi stack; its outputs are read with the Pulumi CLI.",
        ),
        click.option(
            "--outputs",
            metavar="FILE",
            type=click.Path(dir_okay=False, path_type=Path),
            help="What `pulumi stack output --json` printed, instead of --stack.",
        ),
        click.option(
            "--table", metavar="NAME", help="One table, by its name in the source. Default: all."
        ),
        click.option(
            "--source-profile",
            metavar="P",
            help="AWS profile that may assume the exporter role. Default: the usual credentials.",
        ),
        click.option(
            "--target-profile",
            metavar="P",
            help="AWS profile that may assume the importer role. Default: the usual credentials.",
        ),
        click.option(
            "--external-id",
            metavar="ID",
            envvar="REPLICATION_EXTERNAL_ID",
            help="The word that the roles ask for, if the stack configuration sets one.",
        ),
        click.option("--debug", is_flag=True, help="Show the traceback of an error."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def process() -> operations.Process:
    return operations.Process(InterruptibleClock(), this_machine(), timing_from(os.environ))


def gateways(
    outputs: Outputs, process: operations.Process, given: Mapping[str, Any]
) -> operations.Gateways:
    return operations.Gateways(
        outputs,
        process.timing,
        source_profile=given["source_profile"],
        target_profile=given["target_profile"],
        external_id=given["external_id"],
    )


def chosen(
    given: Mapping[str, Any],
) -> tuple[Outputs, Sequence[TableOutputs], Mapping[str, str]]:
    """The stack, its tables that are meant, and the command line that means each of them."""
    stack, path = given["stack"], given["outputs"]
    if (stack is None) == (path is None):
        raise UsageError(
            "Which stack is meant is said by either --stack NAME or --outputs FILE.",
            fix=f"{click.get_current_context().command_path} --stack NAME",
        )
    outputs = stack_outputs.from_stack(stack) if stack else stack_outputs.from_file(path)
    name = given["table"]
    tables = (outputs.table(name),) if name else outputs.tables
    several = len(outputs.tables) > 1
    command = {
        table.source_table: template(_repeated(given, table.source_table if several else None))
        for table in tables
    }
    return outputs, tables, command


def _repeated(given: Mapping[str, Any], table: str | None) -> list[str]:
    """The options that mean the same stack and credentials again, and a table of it."""
    names = ["stack", "outputs", "source_profile", "target_profile"]
    # What the environment has need not be shown to whoever sees the screen.
    context = click.get_current_context()
    if context.get_parameter_source("external_id") is ParameterSource.COMMANDLINE:
        names.append("external_id")
    options = [
        part
        for name in names
        if given.get(name)
        for part in (f"--{name.replace('_', '-')}", str(given[name]))
    ]
    return [*options, "--table", table] if table else options


def _as_given() -> str:
    """The command line as it was typed, as far as it says which stack and table are meant."""
    context = click.get_current_context(silent=True)
    given = context.params if context else {}
    return template(_repeated(given, given.get("table")) if given else [])


def guarded(work: Callable[[], int], debug: bool, interrupted: str = "") -> None:
    """Runs a command; turns what ends it into a message and an exit code."""
    signals.listen()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # arrows and bars, where the locale has none
    try:
        code = work()
    except BootstrapError as error:
        if debug:
            traceback.print_exc()
        error.fix = completed(error.fix, _as_given())
        click.echo(str(error), err=True)
        code = error.exit_code
    except BrokenPipeError:
        # Whoever read has seen enough (`| head`). What the interpreter flushes at its end goes
        # nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_PIPE_CLOSED
    except KeyboardInterrupt:
        # How to go on is for whoever may type it: a program that ends this one knows better.
        how = interrupted if signals.by_hand() else ""
        click.echo(f"Interrupted. {how}".strip(), err=True)
        code = EXIT_INTERRUPTED
    except Exception:
        traceback.print_exc()
        click.echo(
            "This is a bug: please report it with the lines above.\n"
            "Try: the same command again; what was done is in the journal.",
            err=True,
        )
        code = EXIT_BUG
    sys.exit(code)
