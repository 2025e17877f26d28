"""Refusals of a promotion: a target that is no complete copy, or is the primary already."""

from __future__ import annotations

from bootstrap.core.errors import BlockedError
from bootstrap.core.facts import TableFacts
from bootstrap.core.formatting import instant
from bootstrap.core.journal_rows import Row
from bootstrap.core.refusals import PROMOTE, refuse_in
from bootstrap.core.stack_outputs import TableOutputs
from bootstrap.core.state import State
from bootstrap.core.suggestions import Command, suggest
from bootstrap.journal.records import Exported, Imported

LAST_RESORT = (
    "restore the table in the target account from another backup; or, while the source account "
    "answers, "
)


def refuse_unready(table: TableOutputs, row: Row | None) -> None:
    """Check by the journal alone that the target may be made the primary.

    Raises:
        BlockedError: it is none of this tool's, no complete copy, or the primary already.
    """
    name = table.source_table
    if row is None or not row.run_id:
        raise BlockedError(
            f"Table {name} has no replica to promote: no run has begun.",
            fix=suggest(LAST_RESORT, Command("run"), ", which makes a replica"),
        )
    if row.state in (State.ABANDONING, State.ABANDONED):
        raise BlockedError(
            f"The replica of table {name} was given up ({row.state} since {instant(row.since)}): "
            "the consumer has been off since then, and the target has been without its changes.",
            fix=f"look at table {table.target_table}, if it is still there: this tool no longer "
            "answers for it, and nothing of it keeps other writers off",
        )
    refuse_in(row.state, PROMOTE, name)
    imported = row.record(Imported)
    if imported is None or not imported.done:
        raise BlockedError(
            f"There is no complete copy of table {name} in the target account: it is {row.state}, "
            f"and its import has not ended. {_what_is_there(row)}",
            fix=suggest(LAST_RESORT, Command("run"), ", which completes the copy"),
        )


def refuse_another_table(table: TableOutputs, row: Row, facts: TableFacts | None) -> None:
    """Check that the target table is the one that was imported.

    Raises:
        BlockedError: it is gone, or was made again.
    """
    imported = row.record(Imported)
    if facts is None:
        raise BlockedError(
            f"The target table {table.target_table} does not exist any more.",
            fix="restore it from a backup of the target account under another name; this stack "
            "cannot promote it",
        )
    if imported is not None and imported.table_id and facts.table_id != imported.table_id:
        raise BlockedError(
            f"The target table {table.target_table} is another one than was imported: it has been "
            "deleted and made again, and is no copy of the source.",
            fix="find out who made it, and what it holds; this stack cannot promote it",
        )


def _what_is_there(row: Row) -> str:
    exported = row.record(Exported)
    if exported is None or not exported.begun:
        return "There is no snapshot either."
    if not exported.done:
        return f"Its export, as of {instant(exported.export_time)}, has not ended either."
    return (
        f"Its snapshot as of {instant(exported.export_time)} is complete, in the stack's snapshot "
        f"bucket under {exported.data_prefix}: an import into a new table needs nothing of the "
        "source."
    )
