"""The streaming destination of a table, before and after a switch."""

from __future__ import annotations

from enum import Enum

from infra.held_resources import DESTINATION, HeldResources
from infra.run_rows import RunRow
from infra.table_config import TableConfig


class StreamingChoice(Enum):
    """The part that an `up` has in the streaming of a source table's changes."""

    MADE = "made"
    """It makes the destination where there is none: changes must not be lost."""
    KEPT = "kept"
    """The target is the primary: the destination stays as it is, and is never made anew."""
    ENDED = "ended"
    """`switch --finish` has stopped it, or it has gone since the switch: it is no part of the
    stack any more."""

    @classmethod
    def of(cls, table: TableConfig, run: RunRow | None, held: HeldResources) -> StreamingChoice:
        """Choose by the table's run, as its journal has it, and by the stack's state."""
        if run is None or not run.target_is_primary:
            return cls.MADE
        if run.finished or not held.has(DESTINATION, destination_name(table)):
            return cls.ENDED
        return cls.KEPT


def destination_name(table: TableConfig) -> str:
    """Return the name of the table's destination in the program."""
    return f"{table.prefix}-buffer-destination"
