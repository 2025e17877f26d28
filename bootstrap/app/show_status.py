"""The status of all selected tables, on one screen or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bootstrap.app.command_options import Selection
from bootstrap.app.factory import AwsClients
from bootstrap.app.process import Process
from bootstrap.app.stack_check import StackCheck
from bootstrap.status.json_members import as_json
from bootstrap.status.page import page
from bootstrap.status.snapshot import StatusSnapshot
from bootstrap.status.status import next_of_all, read_status

CLEAR = "\x1b[H\x1b[2J"
WATCH_SECONDS = 10.0


def show_status(
    selection: Selection,
    clients: AwsClients,
    process: Process,
    *,
    found: StackCheck | None = None,
    as_json_text: bool,
    watch: bool = False,
) -> None:
    """Print the status of each table, once or every ten seconds until it is interrupted.

    `found`: of the stack as a whole, once. Changes nothing.
    """
    while True:
        shown = [
            read_status(clients.status_context(table, selection.commands[table.source_table]))
            for table in selection.tables
        ]
        if as_json_text:
            # Watched, a line per look: for scripts that follow it.
            text = json.dumps(_as_json(shown, found), indent=None if watch else 2)
        else:
            text = "\n\n".join(page(each, bars=process.out.isatty()) for each in shown)
            if watch and process.out.isatty():
                text = CLEAR + text
        print(text, file=process.out, flush=True)
        if not watch:
            return
        process.clock.sleep(process.timing.poll(WATCH_SECONDS))


def _as_json(shown: Sequence[StatusSnapshot], found: StackCheck | None) -> dict[str, object]:
    values, stack = [as_json(each) for each in shown], found and found.as_json()
    if len(values) == 1:
        return {**values[0], "stackCheck": stack}
    return {"tables": values, "next": next_of_all(shown), "stackCheck": stack}
