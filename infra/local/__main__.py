"""The command line of the local cloud: `python -m infra.local demo` and `serve`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from infra.config_validation import ConfigError
from infra.local.bindings.inputs import BindingError
from infra.local.bootstrap_process import BootstrapFailedError
from infra.local.cloud import LocalCloudError
from infra.local.data.datafile import DataFileError
from infra.local.demo import DemoOptions
from infra.local.demo import run as run_demo
from infra.local.emulator.chaos.rates import parse as parse_chaos
from infra.local.serve import run as run_serve
from infra.local.setup import SetupError, short
from infra.local.signals import InterruptionError, interruptible
from infra.local.stall_detector import PermissionMissingError, refusals_in_log
from infra.local.workload.process import WritersError
from infra.package import PackageError

FAILED, USAGE = 1, 2
TAIL = 8
PIPE_WIDTH = 110

DEFAULT = DemoOptions()
EXPECTED = (
    BindingError,
    BootstrapFailedError,
    ConfigError,
    LocalCloudError,
    PackageError,
    PermissionMissingError,
    SetupError,
    WritersError,
)
"""Errors that explain themselves. Any other is a bug of the local cloud, with its traceback."""


def outcome(
    action: Callable[[Console], bool], directory: Path, console: Console | None = None
) -> int:
    """Run a command and return its exit status; print the error that stopped it, and the logs."""
    console = console or _console()
    try:
        with interruptible():
            return 0 if action(console) else FAILED
    except InterruptionError as interruption:
        console.print(f"Interrupted ({interruption}); everything it started is stopped.")
        return interruption.exit_status
    except DataFileError as error:
        _print_error(error, console)
        return USAGE
    except EXPECTED as error:
        _print_error(error, console)
        _print_logs(directory, console)
        return FAILED


def _console() -> Console:
    """Return the terminal; in a pipe, one that is wide enough for tables side by side."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = max(console.width, PIPE_WIDTH)
    return console


def _print_error(error: Exception, console: Console) -> None:
    for line in str(error).splitlines():
        console.print(Text(line, style="" if line.startswith("Try: ") else "bold red"))


def _print_logs(directory: Path, console: Console) -> None:
    log = directory / "emulator.log"
    if not log.exists():
        return
    for refusal in refusals_in_log(log):
        console.print(Text(f"Denied by the local cloud: {refusal}", style="red"))
    lines = log.read_text(errors="replace").splitlines()[-TAIL:]
    console.print(
        f"Logs: {short(log)}, {short(directory / 'writers.log')}. The last lines of the first:"
    )
    for line in lines:
        console.print(Text(f"  {line[:300]}", style="dim"))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Two AWS accounts on this machine, and the replication between them."""


@main.command()
@click.option(
    "--items",
    type=click.IntRange(min=50),
    default=DEFAULT.items,
    show_default=True,
    help="Items to generate in the source table.",
)
@click.option(
    "--min-changes",
    type=click.IntRange(min=0),
    default=DEFAULT.min_changes,
    show_default=True,
    help="Fewest changes that the run must capture, or it fails.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help='Your own items instead: lines of {"Item": …}, plain or gzipped.',
)
@click.option(
    "--key",
    metavar="PK[:S][,SK[:S]]",
    help="Key of your items. Default: pk, and sk if the first item has one. Types default to "
    "those of the first item.",
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT.directory,
    show_default=True,
    help="Folder for outputs, logs and the report.",
)
@click.option(
    "--seed",
    type=int,
    default=DEFAULT.seed,
    show_default=True,
    help="Seed of the generated items and writes.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=1),
    default=DEFAULT.rate,
    show_default=True,
    help="Writes per second.",
)
@click.option(
    "--steady",
    type=click.FloatRange(min=0),
    default=DEFAULT.steady,
    show_default=True,
    help="Seconds of writes in the state REPLICATING, to measure the lag.",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=1),
    default=DEFAULT.patience,
    show_default=True,
    help="Longest time that a command of the bootstrap may take, in seconds.",
)
@click.option(
    "--chaos",
    metavar="WHAT",
    default=DEFAULT.chaos,
    help="Faults to inject: on, or a list such as duplicate=0.2,delay=0.3,kill=0.05.",
)
@click.option(
    "--switch",
    type=click.Choice(["on", "writes-stopped"]),
    default=DEFAULT.switch,
    help="Make the target the primary in the end, with an application that writes the whole time: "
    "on (--fence), or after it has stopped writing. Default: do not.",
)
@click.pass_context
def demo(context: click.Context, /, **options: Any) -> None:
    """Replicate a live table from one emulated account to another, and compare."""
    given = context.get_parameter_source("items") is click.core.ParameterSource.COMMANDLINE
    if given and options["data"]:
        raise click.UsageError(
            "--items (ITEMS=…) generates items, and --data (DATA=…) reads your own: "
            "use only one of them"
        )
    if options["key"] and not options["data"]:
        raise click.UsageError("--key describes the items of --data FILE, which is missing")
    try:
        parse_chaos(options["chaos"])
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    chosen = DemoOptions(**options)
    sys.exit(outcome(lambda console: run_demo(chosen, console), chosen.directory))


@main.command()
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/serve"),
    show_default=True,
    help="Folder for outputs and logs.",
)
def serve(directory: Path) -> None:
    """Keep both accounts with a replicated table running, to try things out."""
    sys.exit(outcome(lambda console: run_serve(directory, console), directory))


if __name__ == "__main__":
    main(prog_name="python -m infra.local")
