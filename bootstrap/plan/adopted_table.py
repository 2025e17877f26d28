"""The checks of an adopted target table, and the notes for its owner.

Its owner makes each change. Whether it is empty is asked once more by the run, just before it
journals the table's id: what counts is that answer, not the plan's.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import replace

from bootstrap.core.facts import ON_DEMAND, TableFacts
from bootstrap.core.formatting import duration, number
from bootstrap.plan.blocker import Blocker
from bootstrap.plan.bulk_units import write_units
from bootstrap.plan.indexes import index_differences, index_names, key_definition
from bootstrap.plan.inspection import AdoptedTableInspection, Inspection
from bootstrap.plan.replication import Replication
from bootstrap.plan.warm_throughput import WRITE_FACTOR
from replicator.aws_commands import table_option

BY_TARGET = "with the target account's credentials"
ACCEPT = "--accept-target-stream"
"""The option of `run` that confirms what reads the table's changes."""


def adopted_table_blockers(
    inspection: Inspection, replication: Replication, *, stream_accepted: bool
) -> Iterator[Blocker]:
    """List what keeps an adopted table from being loaded."""
    target, source = inspection.target.table, inspection.source.table
    if target is None:
        yield _missing(source, replication)
        return
    yield from _state(target, replication)
    yield from _contents(inspection.adopted_table, target, replication)
    if source is not None:
        yield from _keys(source, target, replication)
    yield from _replicas(target, replication)
    yield from _expiry(inspection, replication)
    yield from _encryption(target, replication)
    if not stream_accepted:
        yield from _readers(inspection.adopted_table, target, replication)


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


def _missing(source: TableFacts | None, replication: Replication) -> Blocker:
    keys = f", with the key {key_definition(source)}" if source is not None else ""
    return Blocker(
        f"There is no table {_name(replication)} in the target account, and the stack adopts one.",
        f"make it with your own code{keys}; or let the run make it: "
        f"{replication.unconfigure('adopt')}, then: {replication.up}",
    )


def _look(replication: Replication) -> str:
    return (
        f"aws dynamodb describe-table {table_option(_name(replication))} "
        f"--region {replication.target_region}, {BY_TARGET}"
    )


def _update(replication: Replication, change: str) -> str:
    return (
        f"aws dynamodb update-table {table_option(_name(replication))} {change} "
        f"--region {replication.target_region}, {BY_TARGET}"
    )


def _state(target: TableFacts, replication: Replication) -> Iterator[Blocker]:
    name = _name(replication)
    made = [each for each in target.global_indexes if _in_the_making(each)]
    if made:
        yield Blocker(
            f"Table {name} gets an index ({index_names(made)}), and DynamoDB starts no bulk put "
            "meanwhile.",
            f"wait until it is ACTIVE: {_look(replication)}",
        )
    elif target.status == "DELETING":
        yield Blocker(
            f"Table {name} is DELETING.",
            "wait until it is gone, and make it again with your own code; or adopt another one",
        )
    elif target.status != "ACTIVE":
        yield Blocker(
            f"Table {name} is {target.status}.", f"wait until it is ACTIVE: {_look(replication)}"
        )


def _in_the_making(index: object) -> bool:
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
        yield Blocker(
            f"Table {name} has items (DynamoDB counted {number(target.items)} last). A bulk put "
            "would write over some, and those that the source has not would stay.",
            "delete its items, or make it anew with your own code; or adopt another table",
        )
    running = [each for each in seen.loads or () if not each.terminal]
    if running:
        arns = ", ".join(each.arn for each in running)
        yield Blocker(
            f"{len(running)} bulk puts into {name} run: {arns}. Their puts are unconditional: they "
            "would write over newer changes.",
            "wait until each has ended: aws dynamodb describe-bulk-operation --bulk-operation-arn "
            f"{running[0].arn} --region {replication.target_region}, {BY_TARGET}",
        )


def _keys(source: TableFacts, target: TableFacts, replication: Replication) -> Iterator[Blocker]:
    here, there = key_definition(source), key_definition(target)
    if here != there:
        yield Blocker(
            f"The key of {_name(replication)} is {there}, and that of {replication.source_table} "
            f"is {here}.",
            "make the table anew with the source's key, or adopt another table",
        )


def _replicas(target: TableFacts, replication: Replication) -> Iterator[Blocker]:
    name = _name(replication)
    if target.replicas:
        first = json.dumps([{"Delete": {"RegionName": target.replicas[0]}}])
        yield Blocker(
            f"Table {name} is a global table (also in {', '.join(target.replicas)}). DynamoDB "
            "starts no bulk put into one, and its other replicas would let writers in.",
            "remove each replica, and add them again after the switch: "
            f"{_update(replication, f'--replica-updates {shlex.quote(first)}')}",
        )
    elif target.global_version:
        yield Blocker(
            f"Table {name} is a global table of version {target.global_version}, and DynamoDB "
            "starts no bulk put into one.",
            "adopt another table, which is no global table",
        )


def _expiry(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    there = inspection.target.ttl
    if not there.enabled:
        return
    name = _name(replication)
    attribute = there.attribute or "NAME"
    change = shlex.quote(f"Enabled=false,AttributeName={attribute}")
    yield Blocker(
        f"Time to live of {name} is on (attribute {attribute}). While both tables expire items "
        "they race; a switch sets it.",
        f"aws dynamodb update-time-to-live {table_option(name)} "
        f"--time-to-live-specification {change} --region {replication.target_region}, {BY_TARGET}",
    )


def _encryption(target: TableFacts, replication: Replication) -> Iterator[Blocker]:
    wanted = replication.target_key_arn
    if not wanted or target.key_arn == wanted:
        return
    has = target.key_arn or "the key that DynamoDB owns"
    other = (
        replication.configure("targetKeyArn", target.key_arn)
        if target.key_arn
        else replication.unconfigure("targetKeyArn")
    )
    yield Blocker(
        f"Table {_name(replication)} is encrypted with {has}, and targetKeyArn is {wanted}: the "
        "roles may use that key alone.",
        f"{other}, then: {replication.up}",
    )


def _readers(
    seen: AdoptedTableInspection | None, target: TableFacts, replication: Replication
) -> Iterator[Blocker]:
    """Refuse to wake what reads the table's changes.

    AWS does not document whether the writes of a bulk put appear in a stream. Those of the consumer
    do.
    """
    name = _name(replication)
    may = (
        "AWS does not say whether the puts of a load appear there: what reads them may see every "
        "item of the table, and it sees every change from then on."
    )
    if target.stream_view:
        yield Blocker(
            f"The DynamoDB stream of {name} is on ({target.stream_view}). {may}",
            f"{_update(replication, '--stream-specification StreamEnabled=false')}; or confirm it "
            f"with {ACCEPT} for run",
        )
    on = [] if seen is None or seen.destinations is None else seen.destinations.all
    for each in on:
        if not each.is_off:
            yield Blocker(
                f"Table {name} streams its changes to {each.stream_arn}. {may}",
                "aws dynamodb disable-kinesis-streaming-destination "
                f"{table_option(name)} --stream-arn {each.stream_arn} --region "
                f"{replication.target_region}, {BY_TARGET}; or confirm it with {ACCEPT} for run",
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
