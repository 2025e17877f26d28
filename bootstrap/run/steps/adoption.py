"""The run's look at a table of the user's own, before a bulk load fills it."""

from __future__ import annotations

from bootstrap.core.errors import BlockedError
from bootstrap.core.facts import TableFacts
from bootstrap.core.outcome import Outcome, Pending
from bootstrap.core.suggestions import Command, suggest
from bootstrap.plan.adoption_conditions import (
    ACCEPT,
    expiry_blockers,
    lasting_blockers,
    missing,
    not_empty,
    reader_blockers,
)
from bootstrap.plan.blocker import Blocker
from bootstrap.plan.replication import of_outputs
from bootstrap.run import other_operations
from bootstrap.run.required_tables import require_source
from bootstrap.run.step_context import StepContext
from bootstrap.run.steps import target_deny


def examine(context: StepContext) -> TableFacts | Outcome:
    """Describe the table that is to be adopted, or lead to one that may be, one act at a time.

    Raises:
        BlockedError: for a table that a load may not fill.
    """
    name, replication = context.table.target_table, of_outputs(context.outputs, context.table)
    source, facts = _source(context), context.target.table(name)
    if facts is None:
        _refuse(context, missing(source, replication))
        raise AssertionError("A missing table is refused.")
    _refuse(context, *lasting_blockers(source, facts, replication))
    if facts.status != "ACTIVE":
        return Pending(f"table {name} to become ACTIVE", context.timing.poll(5))
    if any(index.get("IndexStatus", "ACTIVE") != "ACTIVE" for index in facts.global_indexes):
        # AWS refuses a bulk put meanwhile.
        return Pending(f"the indexes of table {name} to become ACTIVE", context.timing.poll(20))
    refuse_changes(context, facts)
    # Before the look into the table: what another writer puts in later counts as the source's.
    kept = target_deny.keep_others_off(context)
    if kept is not None:
        return kept
    # Before the look into the table: what such an operation puts in would come after it.
    wait = other_operations.wait_for_others(context)
    if wait is not None:
        return wait
    if not context.target_items.empty():
        _refuse(context, not_empty(facts, replication))
    return facts


def refuse_unfit(context: StepContext, facts: TableFacts) -> None:
    """Ask again what does not depend on the table's items, before a further operation.

    Raises:
        BlockedError: for a table that a load may not fill.
    """
    replication = of_outputs(context.outputs, context.table)
    _refuse(context, *lasting_blockers(_source(context), facts, replication))
    refuse_changes(context, facts)


def refuse_changes(context: StepContext, facts: TableFacts) -> None:
    """Refuse an ACTIVE table that expires items, or whose changes go somewhere.

    Its owner may set either at any time, so each load asks again.

    Raises:
        BlockedError: for a table that a load may not fill.
    """
    replication = of_outputs(context.outputs, context.table)
    expiry = context.target.expiry(replication.target_table)
    _refuse(context, *expiry_blockers(expiry, replication))
    if not context.options.accept_target_stream:
        destinations = context.target.destinations(replication.target_table)
        readers = reader_blockers(facts, destinations, replication)
        _refuse(context, *readers, option=ACCEPT)


def _source(context: StepContext) -> TableFacts:
    return require_source(context, "keys are needed to check those of")


def _refuse(context: StepContext, *blockers: Blocker, option: str = "") -> None:
    """Refuse the table for the first reason, if there is one. `option` confirms it."""
    for blocker in blockers[:1]:
        raise BlockedError(
            f"The load of your own table {context.table.target_table} cannot begin. {blocker.what}",
            fix=suggest(
                f"{blocker.fix}; then ",
                Command("run"),
                *(("; or, if that may be: ", Command("run", option)) if option else ()),
            ),
        )
