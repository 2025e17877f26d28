"""A bulk load that failed: what is reported, and what the operator may choose."""

from __future__ import annotations

import dataclasses

from bootstrap.core.bulk_facts import BulkFacts
from bootstrap.core.errors import AccountError, Side
from bootstrap.core.outcome import Acted, Outcome
from bootstrap.core.suggestions import Command, suggest
from bootstrap.journal.load_records import BulkLoad, LoadTarget
from bootstrap.journal.records import Exported
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import load_parts

MOST_NAMED = 5
"""Refused items that an error names."""
PARTIAL = ("COMPLETED", "COMPLETED_WITH_ERRORS")
"""The states in which all but the refused items are in the table."""


def handle_failure(
    context: StepContext,
    load: BulkLoad,
    facts: BulkFacts | None,
    why: str,
    *,
    all_parts: bool = False,
) -> Outcome:
    """Report the failure of an operation; in a later run, do what the operator has chosen.

    `facts` None: DynamoDB does not know the operation any more. `all_parts`: each part completed,
    and the sum is wrong, so any of them may lack the items.

    Raises:
        AccountError: the failure was not reported yet.
    """
    journal, options = context.journal, context.options
    made = journal.get(LoadTarget) or LoadTarget()
    partial = facts is not None and facts.status in PARTIAL
    reported = load.failed_generation not in (0, journal.generation)
    # The option is for refused items, which the operator can name. A number that is short beside
    # them is reported before it can be accepted.
    if facts is not None and partial and options.accept_load_errors:
        lacks = _lacks(context, load, facts)
        if reported or lacks == facts.failed_items:
            load_parts.end_part(context, load, facts, accepted=lacks)
            return Acted()
    # A failure of this run is reported first, whatever its options: the next attempt costs money.
    if not reported:
        raise _report(context, load, made, facts, why)
    if options.discard_failed_load and not made.adopted:
        journal.put(
            dataclasses.replace(made, deleting=True),
            f"deleting table {context.table.target_table}, which the failed load left",
        )
        return Acted()
    # Puts of the same snapshot change nothing in what is there.
    load_parts.repeat(context, load, why, all_parts=all_parts)
    return Acted()


def _lacks(context: StepContext, load: BulkLoad, facts: BulkFacts) -> int:
    """Count what the part lacks: of the last one, all that the export still counts."""
    if load.part + 1 < len(load.prefixes):
        return facts.failed_items
    return max(1, load_parts.count_difference(context, load, facts))


def _report(
    context: StepContext, load: BulkLoad, made: LoadTarget, facts: BulkFacts | None, why: str
) -> AccountError:
    """Record the failure, and make the error with the cause and the choices."""
    name = context.table.target_table
    context.journal.put(
        dataclasses.replace(
            load,
            failure=why,
            failed_generation=context.journal.generation,
            failures=load.failures + 1,
        ),
        "the bulk load failed",
    )
    fix: list[str | Command] = []
    if facts is not None:
        fix += [f"read s3://{facts.output_bucket}/{facts.output_prefix}; then "]
    fix += [
        Command("run"),
        ", which repeats the load from the same export; AWS charges for it again",
    ]
    if not made.adopted:
        fix += [
            "; or ",
            Command("run", "--discard-failed-load"),
            f", which deletes table {name} first, and makes it anew",
        ]
    if facts is not None and facts.status in PARTIAL:
        fix += [
            "; or ",
            Command("run", "--accept-load-errors"),
            ", which continues without the missing items: the replica is then DEGRADED",
        ]
    return AccountError(
        Side.TARGET,
        f"The bulk load {load.arn} into table {name} failed: {why}.{_counts(context, load, facts)}"
        f"{_refused(context, made, facts)}",
        fix=suggest(*fix),
    )


def _counts(context: StepContext, load: BulkLoad, facts: BulkFacts | None) -> str:
    exported = context.journal.get(Exported)
    held = exported.items if exported is not None else None
    of = f" The export holds {held}." if held is not None else ""
    if facts is None:
        return of
    earlier = f" Parts before it put {load.items}." if load.items else ""
    return (
        f" {facts.loaded_items} of {facts.processed_items} items were put, {facts.failed_items} "
        f"were refused.{earlier}{of}"
    )


def _refused(context: StepContext, made: LoadTarget, facts: BulkFacts | None) -> str:
    """Name refused items by the digests of their keys; their content stays in the bucket."""
    if facts is None or context.loads is None:
        return ""
    table = context.target.table(context.table.target_table)
    keys = [] if table is None else [str(each["AttributeName"]) for each in table.keys]
    try:
        found = context.loads.failures(facts, keys, MOST_NAMED)
    except AccountError as error:
        return f" The list of refused items could not be read: {error.what}"
    lines = [f"\n  key {each.key or 'unreadable'}: {each.reason}" for each in found.first]
    if found.more:
        lines.append("\n  and others")
    if found.unreadable:
        lines.append(f"\n  {found.unreadable} lines or objects of the list have an unknown form")
    return "".join(lines)
