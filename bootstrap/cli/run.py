"""`run`: starts a replication, or resumes it."""

from __future__ import annotations

import click

from bootstrap.app.command_options import CommandOptions, select
from bootstrap.app.process import this_process
from bootstrap.app.run_all import run_all
from bootstrap.cli.exit_codes import report
from bootstrap.cli.options import (
    RESUMES,
    SKIP_CROSS_ACCOUNT_CHECK,
    clients_of,
    common_options,
    run_command,
)
from bootstrap.core.run_options import STOPS, RunOptions, TtlPolicy
from bootstrap.core.state import State

TAKE_OVER = click.option(
    "--take-over", is_flag=True, help="Replace a run that another process is working on."
)
AS_LINES = click.option(
    "--json", "as_lines", is_flag=True, help="Print progress as one JSON object per line."
)


ADOPT_SOURCE = click.option(
    "--adopt-source",
    is_flag=True,
    help="Continue with a source table that was restored or created again under its name. "
    "`resume` needs its stream, `run` also a verification since then that was equal.",
)


def drive(
    options: CommandOptions, run_options: RunOptions, *, take_over: bool, as_lines: bool
) -> int:
    """Run every selected table towards the goal; return the exit code."""
    selection, process = select(options), this_process()
    clients = clients_of(selection.outputs, process, options)
    errors = run_all(
        selection, clients, process, run_options, take_over=take_over, as_lines=as_lines
    )
    return report(errors)


@click.command(short_help="Start replicating, or resume.")
@common_options
@TAKE_OVER
@AS_LINES
@click.option(
    "--no-wait",
    is_flag=True,
    help="Exit with 6 while AWS exports, loads or works off the backlog.",
)
@click.option(
    "--until",
    type=click.Choice([str(state) for state in STOPS]),
    default=str(State.REPLICATING),
    show_default=True,
    help="Stop at this state, before its work begins.",
)
@click.option(
    "--ttl",
    type=click.Choice([str(policy) for policy in TtlPolicy]),
    help="When to enable time to live on the target. Default: as in an earlier run, else "
    "at-switch.",
)
@click.option(
    "--discard-failed-load",
    "--discard-failed-import",
    "discard_failed_load",
    is_flag=True,
    help="Delete the table that a load left when it failed in an earlier run, and load again. An "
    "adopted table is never deleted.",
)
@click.option(
    "--accept-load-errors",
    "--accept-import-errors",
    "accept_load_errors",
    is_flag=True,
    help="Continue without the items that a load refused. The replica is DEGRADED until "
    "`verify --repair` has written them.",
)
@click.option(
    "--accept-target-stream",
    is_flag=True,
    help="Load an adopted table although its changes go to a stream, whose readers may see every "
    "item as a change.",
)
@ADOPT_SOURCE
@SKIP_CROSS_ACCOUNT_CHECK
def run(
    options: CommandOptions,
    take_over: bool,
    as_lines: bool,
    no_wait: bool,
    until: str,
    ttl: str | None,
    discard_failed_load: bool,
    accept_load_errors: bool,
    accept_target_stream: bool,
    adopt_source: bool,
    skip_cross_account_check: bool,
) -> None:
    """Start replicating, or resume, and wait until the replica has caught up.

    Safe to interrupt: run the same command again and it resumes where it stopped, without
    repeating a paid export or load. --no-wait still blocks for about six minutes, until the
    export has started, because the stream has to be observed without a gap until then.

    \b
    Example:
      python -m bootstrap run --stack prod --source-profile shop --target-profile replica
    """
    run_options = RunOptions(
        until=State(until),
        wait=not no_wait,
        cross_account_check=not skip_cross_account_check,
        ttl=TtlPolicy(ttl) if ttl else None,
        discard_failed_load=discard_failed_load,
        accept_load_errors=accept_load_errors,
        accept_target_stream=accept_target_stream,
        adopt_source=adopt_source,
    )
    run_command(
        lambda: drive(options, run_options, take_over=take_over, as_lines=as_lines),
        options,
        RESUMES,
    )


COMMANDS: tuple[click.Command, ...] = (run,)
