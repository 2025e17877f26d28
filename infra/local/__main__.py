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
from infra.local.demo import run as run_demo
from infra.local.demo_options import EXAMPLES, VARIABLES, DemoOptions, OptionError
from infra.local.emulator.table_streams.limits import AS_ON_AWS
from infra.local.emulator.table_streams.limits import parse as parse_streams
from infra.local.serve import run as run_serve
from infra.local.setup import SetupError, short
from infra.local.signals import InterruptionError, interruptible
from infra.local.stall_detector import PermissionMissingError, refusals_in_log
from infra.local.workload.process import WritersError
from infra.package import PackageError
from replicator.buffers import BUFFERS

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


class DemoCommand(click.Command):
    """The demo's command. It names what it takes, and a command that works, where it refuses."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        """Read the options.

        Raises:
            click.UsageError: an unknown option, a value that cannot be used, or options that do
                not go together.
        """
        try:
            rest = super().parse_args(context, arguments)
            given = context.get_parameter_source("items")
            if given is click.core.ParameterSource.COMMANDLINE and context.params["data"]:
                raise OptionError(
                    "data", "--items generates items, and --data reads your own: use one of them."
                )
            DemoOptions(**context.params).check()
            return rest
        except OptionError as error:
            raise _refused(str(error), error.option, context) from None
        except click.NoSuchOption as error:
            known = ", ".join(each.opts[0] for each in self.get_params(context))
            text = f"{error.format_message()} It takes {known}."
            raise _refused(text, None, context) from None
        except click.BadParameter as error:
            option = error.param.name if error.param else None
            raise _refused(error.format_message(), option, context) from None
        except click.UsageError as error:
            raise _refused(error.format_message(), None, context) from None


def _refused(text: str, option: str | None, context: click.Context) -> click.UsageError:
    """Return the error with the option's variable of `make demo` and a command that works."""
    variable = VARIABLES.get(option or "")
    said = f"{text}\n--{_typed(option)} is {variable}=… of make demo." if variable else text
    example = EXAMPLES.get(option or "", ".venv/bin/python -m infra.local demo --help")
    return click.UsageError(f"{said}\nTry: {example}", context)


def _typed(option: str | None) -> str:
    return (option or "").replace("_", "-")


def _stream_limits(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    """Return the text of --streams, which the emulator reads again. Raises click's usage error."""
    try:
        parse_streams(text, AS_ON_AWS)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return text


STREAMS = click.option(
    "--streams",
    metavar="LIMITS",
    default="",
    callback=_stream_limits,
    help="Limits of DynamoDB Streams, such as shard_records=20,retention_seconds=60. Default: "
    "AWS's, on the local cloud's clock.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Two AWS accounts on this machine, and the replication between them."""


@main.command(cls=DemoCommand)
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
    type=click.Choice(["off", "on", "writes-stopped"]),
    default=DEFAULT.switch,
    show_default=True,
    help="Make the target the primary in the end, with an application that writes the whole time: "
    "on (--fence), or after it has stopped writing.",
)
@click.option(
    "--lsi",
    type=click.Choice(["off", "on"]),
    default=DEFAULT.lsi,
    show_default=True,
    help="Give the source table local secondary indexes, and a global one with a key of several "
    "attributes: a bulk put loads the target, as an import cannot make them.",
)
@click.option(
    "--buffer",
    type=click.Choice(BUFFERS),
    default=DEFAULT.buffer,
    show_default=True,
    help="Where changes wait: in a Kinesis data stream, or in the table's own stream, for a day.",
)
@click.option(
    "--engine",
    type=click.Choice(["process", "spark"]),
    default=DEFAULT.engine,
    show_default=True,
    help="What the verification compares with: processes, or the stack's job on AWS Glue, which "
    "the local cloud runs by Spark.",
)
def demo(**options: Any) -> None:
    """Replicate a live table from one emulated account to another, and compare."""
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
@click.option(
    "--buffer",
    type=click.Choice(BUFFERS),
    default=DEFAULT.buffer,
    show_default=True,
    help="Where the table's changes wait: a Kinesis stream, or the table's own stream.",
)
@STREAMS
def serve(directory: Path, buffer: str, streams: str) -> None:
    """Keep both accounts with a replicated table running, to try things out."""
    sys.exit(outcome(lambda console: run_serve(directory, console, streams, buffer), directory))


if __name__ == "__main__":
    main(prog_name="python -m infra.local")
