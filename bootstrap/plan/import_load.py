"""The checks of a load by import, which makes the target table."""

from __future__ import annotations

from collections.abc import Iterator

from bootstrap.core.formatting import size
from bootstrap.plan.blocker import Blocker, quota_increase
from bootstrap.plan.indexes import index_names
from bootstrap.plan.inspection import Inspection
from bootstrap.plan.limits import (
    COMPRESSION,
    CONCURRENT_IMPORTS,
    IMPORT_OBJECTS,
    import_bytes,
    least_partitions,
)
from bootstrap.plan.replication import Replication
from infra.load_names import BULK


def import_blockers(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    """List what keeps an import from making the target table."""
    yield from _local_indexes(inspection, replication)
    yield from _target(inspection, replication)
    yield from _running(inspection, replication)
    yield from _sizes(inspection, replication)


def by_bulk(replication: Replication) -> str:
    """Return the commands by which a table is loaded by a bulk put, and why it takes both."""
    return (
        f"{replication.configure('load', BULK)}, then: {replication.up}, because the roles get the "
        "rights for a bulk put only where the stack says so"
    )


def import_notes(inspection: Inspection, replication: Replication) -> Iterator[str]:
    """List where the quotas of an import may be exceeded, which is known only after the export."""
    source = inspection.source.table
    assert source is not None
    most, held = import_bytes(replication.target_region), source.size_bytes
    if most < held <= most * COMPRESSION:
        yield (
            f"The source holds {size(held)}, and the imports of Region "
            f"{replication.target_region} may read {size(most)} (compressed) at once. The size of "
            "its export is known once it is complete; above the quota DynamoDB refuses the import. "
            f"A bulk put has no such quota: {by_bulk(replication)}."
        )
    running = inspection.target.running_imports
    if running and held > most / 10:
        yield (
            f"Other imports run in the target account ({running}); their size is unknown, and "
            f"counts towards the {size(most)} (compressed) that its imports may read at once."
        )
    objects = least_partitions(source)
    if IMPORT_OBJECTS / 10 < objects <= IMPORT_OBJECTS:
        yield (
            f"An export of the source has {objects:,} objects or more, at least one for each "
            "partition. The number is known once it is complete (its manifest-files.json); an "
            f"import reads {IMPORT_OBJECTS:,}."
        )


def _local_indexes(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    source = inspection.source.table
    if source is not None and source.local_indexes:
        yield Blocker(
            f"Table {replication.source_table} has local secondary indexes "
            f"({index_names(source.local_indexes)}). An import makes no table with any, and no "
            "table gets one later. A bulk put loads a table that is made with them.",
            by_bulk(replication),
        )


def _target(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    if inspection.target.table is not None:
        yield Blocker(
            f"A table {replication.target_table} exists already in the target account, and an "
            "import makes a new one.",
            "delete it yourself if it is not needed, or choose another target name in the stack",
        )


def _running(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    imports = inspection.target.running_imports
    if imports is not None and imports >= CONCURRENT_IMPORTS:
        yield Blocker(
            f"{imports} imports run in the target account, and no more than {CONCURRENT_IMPORTS} "
            "may at once.",
            "wait until some have ended: aws dynamodb list-imports --region "
            f"{replication.target_region}, with the target account's credentials",
        )


def _sizes(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    source = inspection.source.table
    objects, held = least_partitions(source), source.size_bytes if source else 0
    if objects > IMPORT_OBJECTS:
        yield Blocker(
            f"An export of {replication.source_table} has at least {objects:,} objects, one for "
            f"each partition, and an import reads {IMPORT_OBJECTS:,}. Bulk puts read as many each, "
            "and there may be several.",
            f"{by_bulk(replication)}; or {_more('the source objects of an import', replication)}",
        )
    most = import_bytes(replication.target_region)
    if held > most * COMPRESSION:
        yield Blocker(
            f"Table {replication.source_table} holds {size(held)}, and the imports of Region "
            f"{replication.target_region} may read {size(most)} at once. That counts the export's "
            f"compressed bytes, which are known after it; at a {COMPRESSION}th of the table's they "
            "are too many too.",
            f"{by_bulk(replication)}; or {_more('the source size of imports', replication)}",
        )


def _more(what: str, replication: Replication) -> str:
    return quota_increase(what, "dynamodb", replication.target_region, "target")
