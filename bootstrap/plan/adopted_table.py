"""The checks of an adopted target table, and the notes for its owner.

Its owner makes each change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bootstrap.core.bulk_facts import NEWER_CLI
from bootstrap.core.facts import ON_DEMAND, TableFacts
from bootstrap.core.formatting import duration, number
from bootstrap.plan.adoption_conditions import (
    ACCEPT,
    BY_TARGET,
    expiry_blockers,
    lasting_blockers,
    missing,
    not_empty,
    reader_blockers,
)
from bootstrap.plan.blocker import Blocker
from bootstrap.plan.bulk_units import write_units
from bootstrap.plan.indexes import index_differences, index_names
from bootstrap.plan.inspection import AdoptedTableInspection, Inspection
from bootstrap.plan.replication import Replication
from bootstrap.plan.warm_throughput import WRITE_FACTOR
from replicator.aws_commands import table_option


def adopted_table_blockers(
    inspection: Inspection, replication: Replication, *, stream_accepted: bool
) -> Iterator[Blocker]:
    """List what keeps an adopted table from being loaded."""
    target, source = inspection.target.table, inspection.source.table
    if target is None:
        yield missing(source, replication)
        return
    yield from _state(target, replication)
    yield from _contents(inspection.adopted_table, target, replication)
    if source is not None:
        yield from lasting_blockers(source, target, replication)
    yield from expiry_blockers(inspection.target.ttl, replication)
    if not stream_accepted:
        seen = inspection.adopted_table
        destinations = seen.destinations if seen is not None else None
        for each in reader_blockers(target, destinations, replication):
            yield replace(each, fix=f"{each.fix}; or confirm it with {ACCEPT} for run")


def adopted_table_notes(inspection: Inspection, replication: Replication) -> Iterator[str]:
    """List what the table's owner should know."""
    source, target, name = inspection.source.table, inspection.target.table, _name(replication)
    assert source is not None
    yield (
        f"Table {name} is yours: the run fills it, follows the source in it, and leaves its tags, "
        "class, key, protection and backups alone. Its warm throughput is raised where that of "
        "the source asks for it, and no command here deletes it."
    )
    if target is None:
        return
    # Vector indexes are noted for every target.
    pair = (replace(each, vector_indexes=()) for each in (source, target))
    differences = index_differences(*pair)
    if differences:
        yield (
            f"The indexes of {name} are not the source's: {'; '.join(differences)}. That does not "
            "stop the load. A query that needs the source's index fails after the switch, and an "
            "item whose attribute does not fit an index's key is refused."
        )
    if target.encryption == "KMS" and not replication.target_key_arn:
        yield (
            f"Table {name} is encrypted with the KMS key {target.key_arn}. If that is not the key "
            "that AWS manages for DynamoDB, the roles may not use it, and the load fails: "
            f"{replication.configure('targetKeyArn', target.key_arn or 'ARN')}, then: "
            f"{replication.up}."
        )
    yield from _capacity(inspection, target, replication)
    seen = inspection.adopted_table
    if seen is None or seen.empty is None:
        yield f"It is unknown whether {name} is empty. The run asks before it loads anything."
    if seen is None or seen.loads is None:
        yield (
            f"It is unknown whether a bulk put into {name} runs. The run asks before it enables "
            "the consumer."
        )


def _name(replication: Replication) -> str:
    return replication.target_table


def _look(replication: Replication) -> str:
    return (
        f"aws dynamodb describe-table {table_option(_name(replication))} "
        f"--region {replication.target_region}, {BY_TARGET}"
    )


def _state(target: TableFacts, replication: Replication) -> Iterator[Blocker]:
    name = _name(replication)
    made = [each for each in target.global_indexes if _is_being_created(each)]
    if made:
        yield Blocker(
            f"Table {name} is creating an index ({index_names(made)}). DynamoDB starts no bulk put "
            "until it is ACTIVE.",
            f"wait until it is ACTIVE: {_look(replication)}",
        )
    elif target.status not in ("ACTIVE", "DELETING"):
        yield Blocker(
            f"Table {name} is {target.status}.", f"wait until it is ACTIVE: {_look(replication)}"
        )


def _is_being_created(index: object) -> bool:
    return isinstance(index, dict) and (
        index.get("IndexStatus") == "CREATING" or bool(index.get("Backfilling"))
    )


def _contents(
    seen: AdoptedTableInspection | None, target: TableFacts, replication: Replication
) -> Iterator[Blocker]:
    if seen is None:
        return
    name = _name(replication)
    if seen.empty is False:
        yield not_empty(target, replication)
    running = [each for each in seen.loads or () if not each.terminal]
    if running:
        arns = ", ".join(each.arn for each in running)
        yield Blocker(
            f"A bulk operation still writes into {name}: {arns}. It would overwrite newer changes.",
            "wait until each has ended: aws dynamodb describe-bulk-operation --bulk-operation-arn "
            f"{running[0].arn} --region {replication.target_region}, {BY_TARGET} ({NEWER_CLI})",
        )


def _capacity(
    inspection: Inspection, target: TableFacts, replication: Replication
) -> Iterator[str]:
    """Note a capacity that is too low, and how long a load takes at it."""
    on_demand = target.billing_mode == ON_DEMAND
    most = target.max_writes if on_demand else target.write_capacity
    source = inspection.source.table
    if not most or source is None:
        return
    what = "may take at most" if on_demand else "is provisioned for"
    name, units = _name(replication), write_units(source)
    yield (
        f"Table {name} {what} {number(most)} writes a second. AWS does not document whether a bulk "
        f"put keeps to that: if so, the {number(units)} write units of the source's items take "
        f"{duration(units / most)} or more."
    )
    needed = round(inspection.source.writes.peak * WRITE_FACTOR)
    if needed > most:
        yield (
            f"The source takes up to {inspection.source.writes.peak:.0f} write units a second, "
            f"which cost {needed} in the target: more than {name} takes. The consumer falls behind "
            "while that lasts. On demand without a maximum it does not."
        )
