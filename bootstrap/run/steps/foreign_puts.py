"""Bulk puts of others into the table of a load: their items would be taken for the source's.

A load that counts as many items as its export is complete, whatever else is in the table. So none
begins in a table into which another operation has put something since the table was known empty.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from bootstrap.core.bulk_facts import BulkFacts
from bootstrap.core.errors import BlockedError
from bootstrap.core.outcome import Acted, Outcome
from bootstrap.core.suggestions import Command, suggest
from bootstrap.journal.load_records import BulkLoad, LoadTarget
from bootstrap.run.step_context import StepContext


def refuse(context: StepContext, load: BulkLoad, made: LoadTarget) -> Outcome | None:
    """Refuse a table that holds what another bulk put has left. None: no other has put anything.

    A table of ours may be made anew; one of the user's is loaded once it is empty again.

    Raises:
        BlockedError: it holds that still.
    """
    found = _ended(context, made)
    if not found:
        return None
    if made.adopted:
        return _reload_empty(context, load, made, found)
    # Reported first, whatever the options: the operator cannot have decided on this.
    if context.options.discard_failed_load and load.failed_generation not in (
        0,
        context.journal.generation,
    ):
        context.journal.put(
            dataclasses.replace(made, deleting=True),
            f"deleting table {context.table.target_table}, into which another bulk load has put",
        )
        return Acted()
    context.journal.put(
        dataclasses.replace(
            load, failure=_described(found), failed_generation=context.journal.generation
        ),
        "another bulk load has put items into the target",
    )
    raise BlockedError(
        f"{_described(found)} into table {context.table.target_table} before this run's load began "
        "there. What the source lacks of that would stay.",
        fix=suggest(
            Command("run", "--discard-failed-load"),
            ", which deletes the table, makes it anew and loads it from the same export",
        ),
    )


def _ended(context: StepContext, made: LoadTarget) -> Sequence[BulkFacts]:
    """Return the operations of others that have put items since the table was known empty."""
    if context.loads is None:
        return ()
    return [
        each
        for each in context.loads.on_table(context.target_arn, made.intended_at)
        if each.may_have_written
        and each.table_id in ("", made.table_id)
        and not each.token.startswith(context.journal.run_id)
    ]


def _reload_empty(
    context: StepContext, load: BulkLoad, made: LoadTarget, found: Sequence[BulkFacts]
) -> Outcome:
    name = context.table.target_table
    if not context.target_items.empty():
        raise BlockedError(
            f"{_described(found)} into table {name}, which the stack file adopts, and the table is "
            "not empty. What the source lacks of that would stay.",
            fix="empty the table; then the same command, which loads all of it from the same "
            "export",
        )
    # These have ended, and are not found again: moments in a list may be whole seconds.
    ends = (math.floor(each.ended or 0.0) + 1.0 for each in found)
    context.journal.put_all(
        (
            dataclasses.replace(made, intended_at=max(context.journal.now(), *ends)),
            BulkLoad(attempt=load.attempt + 1, failures=load.failures),
        ),
        f"table {name} is empty again: the whole snapshot is loaded",
    )
    return Acted()


def _described(found: Sequence[BulkFacts]) -> str:
    arns = ", ".join(each.arn for each in found)
    count = sum(each.loaded_items for each in found)
    return f"Bulk loads that this run did not start ({arns}) have put {count} items"
