"""`pause` and `resume`: the consumer off, and on again."""

from __future__ import annotations

import click

from bootstrap.app.command_options import CommandOptions
from bootstrap.cli.options import RESUMES, common_options, run_command
from bootstrap.cli.run import ADOPT_SOURCE, AS_LINES, TAKE_OVER, drive
from bootstrap.core.run_options import Goal, RunOptions


@click.command(short_help="Disable the consumer. Nothing is lost.")
@common_options
@TAKE_OVER
@AS_LINES
def pause(options: CommandOptions, take_over: bool, as_lines: bool) -> None:
    """Disable the consumer. Nothing is lost: changes wait in the stream.

    It ends once no invocation of the consumer can be running: two to three minutes later.

    From then on no ledger entry expires. `status` shows for how long the stream keeps the changes
    that wait. Where the buffer is the table's own stream, that is a day: the command says by when
    to resume.

    \b
    Example:
      python -m bootstrap pause --stack prod --table orders
    """
    run_options = RunOptions(goal=Goal.PAUSE)
    run_command(
        lambda: drive(options, run_options, take_over=take_over, as_lines=as_lines),
        options,
        RESUMES,
    )


@click.command(short_help="End a pause.")
@common_options
@TAKE_OVER
@AS_LINES
@click.option(
    "--no-wait",
    is_flag=True,
    help="Exit with 6 while the consumer works off the backlog. It still blocks for the minutes in "
    "which the target's write metrics settle.",
)
@click.option(
    "--overwrite-target",
    is_flag=True,
    help="Resume without looking for other writers: items that they wrote to the target are "
    "replaced with the source's.",
)
@ADOPT_SOURCE
def resume(
    options: CommandOptions,
    take_over: bool,
    as_lines: bool,
    no_wait: bool,
    overwrite_target: bool,
    adopt_source: bool,
) -> None:
    """End a pause: enable the consumer, and wait until the replica has caught up.

    The consumer then applies what has changed in the source since the pause began. If the
    application has moved to the target meanwhile, that would replace its newer items with older
    ones. So the command first looks at the target's write metrics since the consumer stopped, less
    what repairs, backfills and redrives wrote, and waits some minutes for those metrics to settle.
    If anything is left, or the metrics cannot be read, it refuses. Where the stack's configuration
    has `operators: {readItems: true}`, it scans up to 10,000 items of the target and names up to
    five that another writer has changed. It does not see deletions by the target's time to live.

    Only then do ledger entries expire again.

    \b
    Example:
      python -m bootstrap resume --stack prod --table orders
    """
    run_options = RunOptions(
        goal=Goal.RESUME,
        wait=not no_wait,
        overwrite_target=overwrite_target,
        adopt_source=adopt_source,
    )
    run_command(
        lambda: drive(options, run_options, take_over=take_over, as_lines=as_lines),
        options,
        RESUMES,
    )


COMMANDS: tuple[click.Command, ...] = (pause, resume)
