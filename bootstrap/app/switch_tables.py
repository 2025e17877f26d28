"""A switch of the selected tables, its cancellation and its end, in one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from bootstrap.app.command_options import Selection
from bootstrap.app.factory import AwsClients
from bootstrap.app.process import Process
from bootstrap.app.shell import run_in_shell
from bootstrap.app.switch_display import SwitchDisplay
from bootstrap.core.errors import LeaseHeldError
from bootstrap.core.stack_outputs import TableOutputs
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.cutover.context import SwitchContext, SwitchOptions
from bootstrap.cutover.switch.cancel import tables_left
from bootstrap.cutover.switch.finish import finish_table
from bootstrap.cutover.switch.progress import SwitchProgress
from bootstrap.cutover.switch.switch import Switch
from bootstrap.journal.switch_records import Switching, SwitchMode


def switch_tables(
    selection: Selection,
    clients: AwsClients,
    process: Process,
    options: SwitchOptions,
    *,
    take_over: bool,
    as_lines: bool,
) -> SwitchProgress:
    """Switch the tables with one commit, or continue a switch that is committed."""
    contexts = _contexts(selection, clients, selection.tables, options)
    return _drive(contexts, process, as_lines, lambda run: run.run(take_over))


def cancel_switch(
    selection: Selection,
    clients: AwsClients,
    process: Process,
    *,
    take_over: bool,
    as_lines: bool,
) -> None:
    """Take back the switches of these tables, and of those that were to be switched with them."""
    options = SwitchOptions(SwitchMode.FENCE)
    for tables in attempts_of(selection, clients):
        contexts = _contexts(selection, clients, tables, options)
        _drive(contexts, process, as_lines, lambda run: run.cancel(take_over))


def finish_switch(
    selection: Selection, clients: AwsClients, *, open_source: bool, take_over: bool
) -> None:
    """End the streaming of the old sources, a day after their switch."""
    options = SwitchOptions(SwitchMode.FENCE)
    for context in _contexts(selection, clients, selection.tables, options):
        finish_table(context, open_source=open_source, take_over=take_over)


def _drive(
    contexts: Sequence[SwitchContext],
    process: Process,
    as_lines: bool,
    work: Callable[[Switch], None],
) -> SwitchProgress:
    """Do the work with a display; return how it ended."""
    display = SwitchDisplay(process.out, as_lines=as_lines)
    run = Switch(
        contexts, run_command=partial(run_in_shell, clock=process.clock), report=display.show
    )
    try:
        work(run)
    except LeaseHeldError as error:
        raise LeaseHeldError(
            error.what,
            fix=suggest(
                "wait for it (",
                Command("status"),
                " shows what it does); or, if it is stuck: the same command with --take-over",
            ),
        ) from error
    finally:
        display.close()
    return run.progress()


def _contexts(
    selection: Selection,
    clients: AwsClients,
    tables: Sequence[TableOutputs],
    options: SwitchOptions,
) -> list[SwitchContext]:
    command = next(iter(selection.commands.values()))
    return [clients.switch_context(table, command, options) for table in tables]


def attempts_of(selection: Selection, clients: AwsClients) -> Sequence[Sequence[TableOutputs]]:
    """Return the tables of each attempt that one of the selected tables is in, unless promoted.

    Without any attempt, the selected tables.
    """
    store, attempts = clients.journal(), dict[Switching, None]()
    for each in selection.tables:
        row, _ = store.read(each.source_table)
        attempt = row.record(Switching) if row is not None else None
        if row is not None and attempt is not None and row.state is State.SWITCHING:
            attempts[attempt] = None
    tables = [
        [selection.outputs.table(name) for name in sorted(tables_left(store, attempt))]
        for attempt in attempts
    ]
    return tables or [selection.tables]
