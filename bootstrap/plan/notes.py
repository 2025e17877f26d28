"""Facts about a replication that an operator should know and that do not block it."""

from __future__ import annotations

from collections.abc import Iterator

from bootstrap.core.facts import TableFacts
from bootstrap.core.formatting import size
from bootstrap.core.table_tags import AWS_TAG_LIMIT, left_out
from bootstrap.plan.adopted_stream import adopted_notes
from bootstrap.plan.bulk_load import bulk_notes
from bootstrap.plan.import_load import import_notes
from bootstrap.plan.indexes import vector_names
from bootstrap.plan.inspection import Inspection
from bootstrap.plan.limits import (
    CONCURRENT_EXPORTS,
    CONCURRENT_IMPORTS,
    EXPORT_BYTES,
    LEDGER_PARTITION_UNITS,
)
from bootstrap.plan.replication import Replication
from bootstrap.plan.stream_throughput import throughput_notes
from replicator.aws_commands import table_option

TWO_UPS = (
    "It passes to the operator's tool in two steps, without a moment in which others may write: "
    "`pulumi up --refresh` twice, then `run`."
)


def notes(inspection: Inspection, replication: Replication) -> Iterator[str]:
    """List the notes of a plan. None without a source table."""
    if inspection.source.table is None:
        return
    if replication.deployment is None:
        yield "The stack is not deployed: stream and consumer are not part of this plan yet."
    if replication.unknown_settings:
        yield (
            f"{', '.join(replication.unknown_settings)}: secret in the stack file, which only "
            "Pulumi can decrypt, so unknown here. This plan assumes the defaults."
        )
    yield from _other_writers(replication)
    yield from _tags(inspection, replication)
    yield from _network(replication)
    yield from _source(inspection, replication)
    yield from _indexes(inspection.source.table)
    yield from _unknown_jobs(inspection, replication)
    yield from _sizes(inspection)
    yield from load_notes(inspection, replication)
    yield from _vector_indexes(inspection.source.table, replication)
    yield from _busy_partition(inspection)
    if not replication.reads_table_stream:
        yield from throughput_notes(inspection, replication)
    yield from adopted_notes(inspection, replication)


def load_notes(inspection: Inspection, replication: Replication) -> Iterator[str]:
    """List what should be known of the snapshot's way into the target. The source must exist."""
    if replication.load.is_bulk:
        yield from bulk_notes(inspection, replication)
    else:
        yield from import_notes(inspection, replication)


def _tags(inspection: Inspection, replication: Replication) -> Iterator[str]:
    if replication.load.adopt:
        return
    keys = left_out(inspection.source.tags, replication.stack_tags)
    if keys:
        yield (
            f"A table takes {AWS_TAG_LIMIT} tags, and this tool needs one of them for a bulk load. "
            f"{replication.target_table} gets the stack's {len(replication.stack_tags)}, and then "
            f"the source's, except: {', '.join(keys)}."
        )


def _network(replication: Replication) -> Iterator[str]:
    here, there = replication.consumer_region, replication.target_region
    if replication.in_vpc and here != there:
        yield (
            f"The functions are in a VPC in {here}, and {replication.target_table} is in {there}: "
            f"no gateway endpoint in {here} serves it. Without a NAT gateway, or a way to "
            f"interface endpoints in {there}, nothing is applied, and changes wait in the stream. "
            "docs/platform-teams.md lists the endpoints."
        )


def _other_writers(replication: Replication) -> Iterator[str]:
    if not replication.denies_other_writers:
        return
    if replication.stack_owns_deny:
        yield (
            f"The stack's state still holds the Deny on other writers of {replication.target_table}"
            f", so `run` leaves it alone. {TWO_UPS}"
        )
        return
    since = "From the import on, the"
    if replication.load.is_bulk:
        since = "From before the bulk load on, which waits ten minutes for it to spread, the"
    yield (
        f"{since} resource policy of {replication.target_table} denies item writes "
        "to all but the consumer and the importer, administrators included, until a switch or a "
        "promotion. Statements of your own in it stay as they are. A test that writes to the "
        "replica fails."
    )


def _source(inspection: Inspection, replication: Replication) -> Iterator[str]:
    source = inspection.source
    assert source.table is not None
    if source.backups is not None and not source.backups.enabled:
        yield (
            "Point-in-time recovery of the source is off: `run` switches it on, and it stays on "
            "until you switch it off."
        )
    if source.table.encryption == "KMS":
        made = "the key that the stack makes there"
        aws_managed = "the key that AWS manages for DynamoDB there (aws/dynamodb)"
        named = replication.target_key_arn
        key = named or (made if replication.makes_target_key else aws_managed)
        yield (
            "The source is encrypted with a KMS key, which stays in its account: the target gets "
            f"{key}, as targetKeyArn or keys.target in the stack configuration says."
        )
        if inspection.keys.source_is_aws_managed is None:
            yield (
                "It is unknown whether AWS or you manage the source's key. With a customer-managed "
                "key, the export needs sourceKeyArn in the stack configuration."
            )
    if source.table.replicas:
        yield (
            f"The source is a global table (also in {', '.join(source.table.replicas)}). Changes "
            "made in its other Regions, expiries among them, reach the stream as writes of this "
            "replica."
        )


def _indexes(source: TableFacts) -> Iterator[str]:
    """Note each index in transition, by the status that AWS gives."""
    for index in source.global_indexes:
        status = index.get("IndexStatus", "ACTIVE")
        if status in ("ACTIVE", "UPDATING"):
            continue
        target = (
            "the target does not get it"
            if status == "DELETING"
            else "the target gets it all the same, complete"
        )
        yield f"Index {index['IndexName']} of the source is {status}: {target}."


def _vector_indexes(source: TableFacts, replication: Replication) -> Iterator[str]:
    if source.vector_indexes:
        yield (
            f"The target does not get the source's vector indexes ({vector_names(source)}). Their "
            "vectors are attributes of items, and are carried. Make the indexes before the switch: "
            f"{_describe(replication)} shows the source's VectorIndexes, and UpdateTable makes one "
            "at a time (VectorIndexUpdates)."
        )


def _describe(replication: Replication) -> str:
    return (
        f"aws dynamodb describe-table {table_option(replication.source_table)} "
        f"--region {replication.consumer_region}"
    )


def _unknown_jobs(inspection: Inspection, replication: Replication) -> Iterator[str]:
    jobs = [(inspection.source.running_exports, "exports", "source", CONCURRENT_EXPORTS)]
    if not replication.load.is_bulk:
        imports = inspection.target.running_imports
        jobs.append((imports, "imports", "target", CONCURRENT_IMPORTS))
    for count, what, side, most in jobs:
        if count is None:
            yield (
                f"It is unknown how many {what} run in the {side} account: their list is long, or "
                f"could not be read. Above {most} at once DynamoDB refuses another for now, and "
                "nothing is lost."
            )


def _sizes(inspection: Inspection) -> Iterator[str]:
    assert inspection.source.table is not None
    held = inspection.source.table.size_bytes
    exports = inspection.source.running_exports
    if exports and held > EXPORT_BYTES / 10:
        # The exporter sees no other table, and DynamoDB reports an export's size only at its end.
        yield (
            f"{exports} exports run in the source account, and their size is unknown. Together "
            f"with the {size(held)} of this one they may not exceed {size(EXPORT_BYTES)}. If they "
            "do, DynamoDB refuses the export, and nothing is lost."
        )


def _busy_partition(inspection: Inspection) -> Iterator[str]:
    writes = inspection.source.writes
    if writes.peak > LEDGER_PARTITION_UNITS and not writes.throttled_partitions:
        yield (
            f"The source takes up to {writes.peak:.0f} write units a second (its busiest minute of "
            f"the last day). Where more than {LEDGER_PARTITION_UNITS} of them go to one partition, "
            "the replica cannot keep up. No partition was so busy that it refused writes. A less "
            "busy one shows only in CloudWatch Contributor Insights of the table, which names the "
            "busiest keys."
        )
