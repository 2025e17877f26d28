"""The load: the snapshot becomes the target table, or is put into one that exists."""

from __future__ import annotations

from bootstrap.core.outcome import Acted, Outcome
from bootstrap.core.state import State
from bootstrap.journal.load_records import LoadTarget
from bootstrap.journal.records import Imported
from bootstrap.run.step import Step
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import bulk_load, import_


def advance(context: StepContext) -> Outcome:
    """Lead to a complete copy of the snapshot: by an import, or in bulk."""
    if not is_bulk(context):
        return import_.advance(context)
    imported = context.journal.get(Imported)
    if imported is not None and imported.token and not imported.done:
        arns = (*imported.failed_arns, *([imported.arn] if imported.arn else ()))
        context.journal.put(
            Imported(attempt=imported.attempt + 1, failed_arns=arns),
            "the import made no table: the snapshot is loaded in bulk",
        )
        return Acted()
    return bulk_load.advance(context)


def is_bulk(context: StepContext) -> bool:
    """Answer if the snapshot is loaded in bulk.

    A run ends the way it began, whatever the stack file says since then. A run of an older release
    knows imports alone.
    """
    if context.journal.get(LoadTarget) is not None:
        return True
    return context.table.load.is_bulk and not has_begun(context)


def has_begun(context: StepContext) -> bool:
    """Answer if the load may have made or filled a table. Until then it may go another way."""
    imported = context.journal.get(Imported)
    return context.journal.get(LoadTarget) is not None or (
        imported is not None and imported.may_have_table
    )


# The journal of older releases has failures of this name.
STEP = Step("import", State.IMPORTING, advance)
