"""Runs of all selected tables in one process, with one screen."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TextIO

from bootstrap.app.command_options import Selection
from bootstrap.app.factory import AwsClients
from bootstrap.app.process import Process
from bootstrap.core.errors import BootstrapError, LeaseLostError, errors_about
from bootstrap.core.run_options import RunOptions
from bootstrap.plan.plan import Plan
from bootstrap.run.drive import drive
from bootstrap.run.runner import TableRunner
from bootstrap.status.render import screen


def run_all(
    selection: Selection,
    clients: AwsClients,
    process: Process,
    options: RunOptions,
    *,
    take_over: bool,
    as_lines: bool,
) -> list[BootstrapError]:
    """Bring every table to the goal; return why the others have not reached it.

    `take_over` replaces a live run of another process. `as_lines` prints a JSON object per change.
    """
    runs = [
        clients.runner(table, selection.commands[table.source_table], options)
        for table in selection.tables
    ]
    started: list[TableRunner] = []
    try:
        errors = _start(runs, started, process, take_over=take_over, announce=not as_lines)
        view = screen(
            process.out, process.clock, process.timing, several=len(runs) > 1, as_lines=as_lines
        )
        try:
            for run, error in drive(started, process.clock, process.timing, view.show):
                error.about(run.command)
                errors.append(error)
            view.finish([run.snapshot(final=True) for run in started])
        finally:
            view.close()
    finally:
        for run in started:
            run.stop()
    return errors


def _start(
    runs: Sequence[TableRunner],
    started: list[TableRunner],
    process: Process,
    *,
    take_over: bool,
    announce: bool,
) -> list[BootstrapError]:
    """Start each run and add it to `started`; return why the others did not start."""
    errors = []
    for run in runs:
        try:
            with errors_about(run.command):
                plan = run.start(
                    take_over,
                    tell=partial(print, file=process.err, flush=True),
                    meanwhile=partial(_keep_leases, started),
                )
        except BootstrapError as error:
            run.stop()
            errors.append(error)
            continue
        started.append(run)
        if plan is not None and announce:
            _announce(plan, process.out)
    return errors


def _keep_leases(runs: Sequence[TableRunner]) -> None:
    for run in runs:
        with suppress(LeaseLostError):  # its next tick reports it
            run.keep_lease()


def _announce(plan: Plan, out: TextIO) -> None:
    print(f"{plan.table}: the plan", file=out)
    for line in plan.action_lines:
        print(line, file=out)
    for note in plan.notes:
        print(f"  note: {note}", file=out)
    out.flush()
