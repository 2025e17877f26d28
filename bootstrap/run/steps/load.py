"""The load: the snapshot becomes the target table, or is put into one that exists."""

from __future__ import annotations

from bootstrap.core.outcome import Outcome
from bootstrap.core.state import State
from bootstrap.journal.load_records import LoadTarget
from bootstrap.journal.records import Imported
from bootstrap.run.step import Step
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import bulk_load, import_


def advance(context: StepContext) -> Outcome:
    """Lead to a complete copy of the snapshot: by an import, or in bulk."""
    return bulk_load.advance(context) if is_bulk(context) else import_.advance(context)


def is_bulk(context: StepContext) -> bool:
    """Answer if the snapshot is loaded in bulk.

    A run ends the way it began, whatever the stack file says since then. A run of an older release
    knows imports alone.
    """
    if context.journal.get(LoadTarget) is not None:
        return True
    imported = context.journal.get(Imported)
    if imported is not None and (imported.token or imported.done):
        return False
    return context.table.load.is_bulk


# The journal of older releases has failures of this name.
STEP = Step("import", State.IMPORTING, advance)
