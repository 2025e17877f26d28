"""The checks of a bulk load, and the notes about it."""

from __future__ import annotations

from collections.abc import Iterator

from bootstrap.core.bulk_facts import MOST_OBJECTS
from bootstrap.core.facts import TableFacts
from bootstrap.core.formatting import number
from bootstrap.plan.adopted_table import adopted_table_blockers, adopted_table_notes
from bootstrap.plan.blocker import Blocker, quota_increase
from bootstrap.plan.indexes import index_names
from bootstrap.plan.inspection import Inspection
from bootstrap.plan.limits import least_partitions
from bootstrap.plan.replication import Replication
from bootstrap.plan.warm_throughput import table_units
from infra.load_names import ACCELERATED, STANDARD


def bulk_blockers(
    inspection: Inspection, replication: Replication, *, stream_accepted: bool
) -> Iterator[Blocker]:
    """List what keeps a bulk put from loading the target.

    `stream_accepted`: the operator has confirmed the readers of the target's changes.
    """
    if replication.load.adopt:
        yield from adopted_table_blockers(inspection, replication, stream_accepted=stream_accepted)
    else:
        yield from _taken(inspection, replication)
    yield from _limit(inspection, replication)


def bulk_notes(inspection: Inspection, replication: Replication) -> Iterator[str]:
    """List what should be known of a bulk put. The source must exist."""
    source = inspection.source.table
    assert source is not None
    if replication.load.adopt:
        yield from adopted_table_notes(inspection, replication)
    yield from _local_indexes(source, inspection.target.table)
    yield (
        "An object of an export has the items of one partition's range, so the puts of a load go "
        "to few partitions at a time. The load is slower for it, and still complete."
    )
    objects = least_partitions(source)
    if objects > MOST_OBJECTS:
        yield (
            f"An export of the source has {objects:,} objects or more, at least one for each "
            f"partition, and a bulk put reads {MOST_OBJECTS:,}: the load is made of several."
        )
    if replication.load.performance_tier == ACCELERATED:
        yield (
            "The tier ACCELERATED is not offered in every Region, and AWS does not document where. "
            f"If {replication.target_region} lacks it, DynamoDB refuses the load, which is then "
            f"repeated from the same export: {replication.configure('performanceTier', STANDARD)}, "
            f"then: {replication.up}, then run again."
        )
    warm = table_units(inspection)
    if warm:
        yield (
            f"Before the load, the warm throughput of {replication.target_table} and of the ledger "
            f"is raised to {number(warm)} writes a second. AWS charges for that once, and its "
            "price is not in the price file. It cannot be lowered."
        )


def _taken(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    if inspection.target.table is not None:
        yield Blocker(
            f"A table {replication.target_table} exists already in the target account, and the run "
            "makes a new one to load.",
            "delete it yourself if it is not needed, or choose another target name in the stack. "
            "If your own code made it, and it is empty: "
            f"{replication.configure('adopt', 'true')}, then: {replication.up}",
        )


def _limit(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    wanted, most = replication.load.max_write_request_units, inspection.target.limits.table_writes
    if wanted is not None and wanted > most:
        more = quota_increase(
            "the write units of a table", "dynamodb", replication.target_region, "target"
        )
        yield Blocker(
            f"maxWriteRequestUnits is {number(wanted)}, and a table of the target account may take "
            f"{number(most)} write units a second.",
            f"{replication.configure('maxWriteRequestUnits', str(most))}, then: {replication.up}; "
            f"or {more}",
        )


def _local_indexes(source: TableFacts, target: TableFacts | None) -> Iterator[str]:
    indexes = [*source.local_indexes, *(target.local_indexes if target else ())]
    if not indexes:
        return
    yield (
        f"With local secondary indexes ({index_names(source.local_indexes)}), the items of one "
        "partition key and their index entries may hold 10 GB together, and an item with its "
        "entries 400 KB. The source has the same limits. A write beyond them is refused: by a "
        "load, it is listed as refused; by the consumer, it ends in quarantine. CloudWatch counts "
        "the index entries' writes as the table's, so changes, stream and cost are at most as "
        "estimated."
    )
