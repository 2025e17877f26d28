"""`switch`: makes the target the primary, with one commit for all tables named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from bootstrap.app.command_options import CommandOptions, Selection, select
from bootstrap.app.process import this_process
from bootstrap.app.show_switch_plan import show_switch_plan
from bootstrap.app.switch_tables import cancel_switch, finish_switch, switch_tables
from bootstrap.cli.duration_option import DURATION
from bootstrap.cli.options import clients_of, run_command, several_tables_options
from bootstrap.cli.this_command import this_command
from bootstrap.core.errors import UsageError, errors_about
from bootstrap.core.suggestions import suggest
from bootstrap.cutover.context import SwitchOptions
from bootstrap.cutover.switch.progress import SwitchProgress
from bootstrap.cutover.switch.switch import TAKEN_BACK
from bootstrap.journal.switch_records import SwitchMode

INTERRUPTED = "`python -m bootstrap status` says what is closed, and which command opens it."


@click.command(short_help="Make the target the primary.")
@several_tables_options
@click.option(
    "--dry-run",
    is_flag=True,
    help="Change nothing: show the checks, the actions, and for how long writers will be refused.",
)
@click.option(
    "--fence",
    is_flag=True,
    help="Refuse writers in the source by a Deny in its resource policy, for everyone.",
)
@click.option(
    "--writes-stopped",
    is_flag=True,
    help="Rely on you: every writer of the source has been stopped. Nothing checks that.",
)
@click.option(
    "--max-lag",
    metavar="DURATION",
    type=DURATION,
    default="30s",
    show_default=True,
    help="The longest time by which the consumer may be behind before anything is closed.",
)
@click.option(
    "--timeout",
    metavar="DURATION",
    type=DURATION,
    default="20m",
    show_default=True,
    help="From the source's closing to the commit. Afterwards the switch takes itself back.",
)
@click.option(
    "--verified-within",
    metavar="DURATION",
    type=DURATION,
    default="7d",
    show_default=True,
    help="The greatest age of the verification that was equal.",
)
@click.option(
    "--check-cmd",
    "check_command",
    metavar="CMD",
    default="",
    help="Run while both tables are closed. Any exit code but 0 takes the switch back.",
)
@click.option(
    "--exec",
    "exec_command",
    metavar="CMD",
    default="",
    help="Run after the commit, to move the application. It may run again: after a failure, the "
    "same command line repeats it.",
)
@click.option(
    "--settings",
    metavar="source|keep|FILE",
    default="source",
    show_default=True,
    help="The target's settings: the source's, those it has, or the edited `settings` of "
    "--dry-run --json.",
)
@click.option("--cancel", is_flag=True, help="Take back a switch that is not committed.")
@click.option(
    "--finish",
    "finish_",
    is_flag=True,
    help="A day after the switch: stop streaming the old source's changes.",
)
@click.option(
    "--open-source",
    is_flag=True,
    help="With --finish: also let the old source take writes again.",
)
@click.option(
    "--take-over", is_flag=True, help="Replace a process that works on one of the tables."
)
@click.option(
    "--json",
    "as_lines",
    is_flag=True,
    help="Print progress as one JSON object per line; with --dry-run, the plan.",
)
def switch(
    options: CommandOptions,
    all_tables: bool,
    dry_run: bool,
    fence: bool,
    writes_stopped: bool,
    max_lag: float,
    timeout: float,
    verified_within: float,
    check_command: str,
    exec_command: str,
    settings: str,
    cancel: bool,
    finish_: bool,
    open_source: bool,
    take_over: bool,
    as_lines: bool,
) -> None:
    """Make the target the primary: the source stops taking writes, the target starts.

    At every moment at most one of the two tables takes writes. Before the commit, any failed check,
    the timeout and Ctrl-C take everything back: then the source takes writes again, and nothing is
    lost. After the commit everything only goes forward; the same command continues what is left.

    With --fence the source's own resource policy refuses every writer, from an instant that is
    announced minutes before. With --writes-stopped you have stopped them, and a writer that still
    runs loses what it writes.

    \b
    Exit codes: 0 switched, 7 cancelled (the source takes writes), 8 switched but --exec failed.
    With any other the message says what is left, and `status` which table takes writes.

    \b
    Examples:
      python -m bootstrap switch --stack prod --table orders --fence --dry-run
      python -m bootstrap switch --stack prod --all --fence --exec ./move-application.sh
      python -m bootstrap switch --stack prod --all --cancel
      python -m bootstrap switch --stack prod --all --finish
    """

    def work() -> int:
        _refuse_together({"--dry-run": dry_run, "--cancel": cancel, "--finish": finish_})
        if open_source and not finish_:
            raise UsageError(
                "--open-source is a part of --finish.", fix=suggest(this_command("--finish"))
            )
        selection, process = select(options), this_process()
        _refuse_unnamed(selection, options, all_tables)
        clients = clients_of(selection.outputs, process, options)
        with errors_about(options.command):
            if cancel:
                cancel_switch(selection, clients, process, take_over=take_over, as_lines=as_lines)
                click.echo(f"The switch is cancelled. {TAKEN_BACK}", err=as_lines)
                return 0
            if finish_:
                finish_switch(selection, clients, open_source=open_source, take_over=take_over)
                click.echo("The old source's changes are no longer streamed.", err=as_lines)
                return 0
            wanted = SwitchOptions(
                mode=_mode(fence, writes_stopped),
                max_lag=max_lag,
                timeout=timeout,
                verified_within=verified_within,
                check_command=check_command,
                exec_command=exec_command,
                settings=settings if settings in ("source", "keep") else Path(settings),
            )
            if dry_run:
                return show_switch_plan(selection, clients, process, wanted, as_json=as_lines)
            if wanted.mode is SwitchMode.WRITES_STOPPED:
                click.echo(
                    "Only you keep writers off the source: nothing refuses them, and what one "
                    "still writes is lost.",
                    err=as_lines,
                )
            ended = switch_tables(
                selection, clients, process, wanted, take_over=take_over, as_lines=as_lines
            )
            click.echo(_summary(ended), err=as_lines)
            return 0

    run_command(work, options, INTERRUPTED)


def _mode(fence: bool, writes_stopped: bool) -> SwitchMode:
    if fence == writes_stopped:
        raise UsageError(
            "A switch needs to know what keeps writers off the source: --fence or "
            "--writes-stopped, one of them.",
            fix=suggest(this_command("--fence")),
        )
    return SwitchMode.FENCE if fence else SwitchMode.WRITES_STOPPED


def _refuse_together(given: Mapping[str, bool]) -> None:
    names = [name for name, is_given in given.items() if is_given]
    if len(names) > 1:
        raise UsageError(
            f"{' and '.join(names)} do not go together: --dry-run shows a switch and changes "
            "nothing, --cancel takes one back, --finish ends one.",
            fix="the same command with one of them",
        )


def _refuse_unnamed(selection: Selection, options: CommandOptions, all_tables: bool) -> None:
    if len(selection.outputs.tables) == 1 or options.tables or all_tables:
        return
    names = ", ".join(each.source_table for each in selection.outputs.tables)
    raise UsageError(
        f"The stack has several tables, and a switch is of those that are named: {names}.",
        fix=suggest(this_command("--all"), ", or --table for each"),
    )


def _summary(ended: SwitchProgress) -> str:
    """Return the last words: the primary, and for how long writers were refused."""
    tables, refused = ", ".join(ended.tables), ended.refused_seconds
    text = f"{tables}: switched. The target is the primary"
    if refused is None or not ended.opened_at:
        text += "; callers may still be refused."
    else:
        text += f". Writers were refused for {refused:.0f} s."
    if ended.left_to_ttl:
        text += (
            f" {ended.left_to_ttl} items that the source's time to live deleted meanwhile are left "
            "to the target's time to live."
        )
    if ended.open_items:
        text += f" Open, until the same command again: {'; '.join(ended.open_items)}."
    return text


COMMANDS: tuple[click.Command, ...] = (switch,)
