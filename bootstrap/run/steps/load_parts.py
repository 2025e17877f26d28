"""The parts of a bulk load, one operation each, in turn.

AWS does not say if two operations may write to one table at once.
"""

from __future__ import annotations

import dataclasses

from bootstrap.core.bulk_facts import BulkFacts
from bootstrap.journal.load_records import BulkLoad
from bootstrap.journal.records import Exported
from bootstrap.run.step_context import StepContext


def count_difference(context: StepContext, load: BulkLoad, facts: BulkFacts) -> int:
    """Count the items by which the load and its export differ, after the last part, beside those
    that were accepted as missing.

    An export that states no number cannot be compared: it differs by what the operation refused, or
    by one that is not known.
    """
    exported = context.journal.get(Exported)
    if exported is None or exported.items is None:
        return max(1, facts.failed_items)
    return abs(exported.items - load.items - facts.loaded_items - load.accepted)


def end_part(context: StepContext, load: BulkLoad, facts: BulkFacts, *, accepted: int = 0) -> None:
    """Record what a part has put, and turn to the next one.

    `accepted`: the number of items that it lacks, with the operator's consent.
    """
    context.journal.put(
        dataclasses.replace(
            load,
            part=load.part + 1,
            attempt=load.attempt + 1,
            token="",
            arn="",
            items=load.items + facts.loaded_items,
            size_bytes=load.size_bytes + facts.processed_bytes,
            started=load.started or facts.started,
            accepted=load.accepted + accepted,
            failure="",
            failed_generation=0,
        ),
        f"bulk operation {facts.operation_id} has put {facts.loaded_items} items",
    )


def repeat(context: StepContext, load: BulkLoad, why: str, *, all_parts: bool) -> None:
    """Prepare another operation for the part that failed, or for all parts from the first one."""
    again = dataclasses.replace(load, attempt=load.attempt + 1, token="", arn="")
    if all_parts:
        again = dataclasses.replace(again, part=0, items=0, size_bytes=0, accepted=0, started=None)
    context.journal.put(again, f"the bulk load failed ({why}): it is repeated from the same export")
