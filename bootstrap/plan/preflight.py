"""What keeps a run from starting, each with what removes it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from bootstrap.core.facts import TableFacts
from bootstrap.core.formatting import duration, moment, size
from bootstrap.core.stack_outputs import TableOutputs
from bootstrap.plan.estimate import Estimate
from bootstrap.plan.inspection import Inspection
from bootstrap.plan.settings_diff import WRITE_FACTOR

LEAST_RETENTION_HOURS = 168
"""A week. Export and import may take a day or more each, and the consumer reads only then."""
LARGEST_RECORD_KIB = 4_096
"""Both images of a 400 KB item as JSON, where a byte may take several."""
PARTITION_BYTES = 10 * 10**9
PARTITION_WRITES, PARTITION_READS = 1_000, 3_000
"""What one partition holds and takes a second (developer guide, bp-partition-key-design): a table
has at least as many as that needs, and an export writes at least one object for each."""
LEDGER_PARTITION_UNITS = 500
"""Write units a second of one partition that can be followed: in transactions they cost double.

What blocks is a partition that refused writes, at 1,000. Between the two it cannot be known: AWS
reports what a table takes and what a partition refuses, and never what a partition takes; to block
every table that takes 500 as a whole would be wrong for nearly all of them. So `notes` says it, and
nothing is lost where it strikes: the consumer falls behind, and alarms and `status` say so long
before the stream forgets anything.
"""

# Quotas: Amazon DynamoDB Developer Guide, S3DataImport.Validation and ServiceQuotas.
CONCURRENT_IMPORTS = 50
CONCURRENT_EXPORTS = 300
EXPORT_BYTES = 100 * 10**12
"""Of all exports in flight, as the tables hold it."""
IMPORT_OBJECTS = 50_000
IMPORT_BYTES = 10**12
LARGE_IMPORT_BYTES = 15 * 10**12
LARGE_IMPORT_REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
COMPRESSION = 10
"""How far an export may shrink at best: a quota of compressed bytes is certainly too small where
the table is more than so many times as large."""


@dataclass(frozen=True)
class Blocker:
    """A reason not to start, and what removes it."""

    what: str
    fix: str


def blockers(observed: Inspection, table: TableOutputs, expected: Estimate) -> Iterator[Blocker]:
    """All that stands in the way, at once."""
    yield from _source(observed, table)
    yield from _destination(observed, table)
    yield from _stream(observed, table, expected)
    yield from _target(observed, table)
    yield from _partitions(observed, table)
    yield from _quotas(observed, table)
    yield from _mapping(observed, table)


def _source(observed: Inspection, table: TableOutputs) -> Iterator[Blocker]:
    source = observed.source
    if source is None:
        yield Blocker(
            f"There is no table {table.source_table} in the source account.",
            "check the table's name, account and Region in the stack configuration",
        )
        return
    if table.source_table_arn and source.arn != table.source_table_arn:
        yield Blocker(
            f"The source credentials lead to {source.arn}, and the stack replicates "
            f"{table.source_table_arn}.",
            "pass --source-profile with credentials of the source account",
        )
    if source.status not in ("ACTIVE", "UPDATING"):
        yield Blocker(
            f"Table {table.source_table} is {source.status}.",
            "wait until it is ACTIVE, and see what is done to it",
        )
    if source.local_indexes:
        yield Blocker(
            f"Table {table.source_table} has local secondary indexes "
            f"({', '.join(source.local_indexes)}), and an import cannot make them.",
            "replicate it with global tables, or turn them into global secondary indexes first",
        )


def _destination(observed: Inspection, table: TableOutputs) -> Iterator[Blocker]:
    elsewhere = observed.destinations.elsewhere(table.stream_arn)
    if elsewhere is not None:
        yield Blocker(
            f"Table {table.source_table} streams its changes to {elsewhere.stream_arn}, and a "
            "table has one destination.",
            "disable that one if nobody needs it, then: pulumi up --refresh",
        )
    ours = observed.destinations.to(table.stream_arn)
    if ours is not None and ours.status == "ACTIVE" and ours.precision != "MICROSECOND":
        yield Blocker(
            f"Table {table.source_table} streams to {table.stream_name} with precision "
            f"{ours.precision}, and changes can only be told apart by MICROSECOND.",
            f"aws dynamodb update-kinesis-streaming-destination --table-name {table.source_table} "
            f"--stream-arn {table.stream_arn} --update-kinesis-streaming-configuration "
            "ApproximateCreationDateTimePrecision=MICROSECOND",
        )


def _stream(observed: Inspection, table: TableOutputs, expected: Estimate) -> Iterator[Blocker]:
    stream = observed.stream
    if stream is None:
        return
    needed = max(LEAST_RETENTION_HOURS, 2 * expected.until_read.most / 3600)
    if stream.retention_hours < needed:
        yield Blocker(
            f"Stream {table.stream_name} forgets changes after {stream.retention_hours} hours, "
            "which an export, its import and the catch-up may outlast (estimated at up to "
            f"{duration(expected.until_read.most)}; twice that, and a week at least, is safe).",
            "set retentionHours in the stack configuration (8760 is 365 days), then: "
            "pulumi up --refresh",
        )
    if stream.distribution == "AUTO":
        yield Blocker(
            f"Stream {table.stream_name} distributes records by itself (AUTO): probes could not be "
            "put where they belong, and changes of one item would be dealt out at random.",
            "pulumi up --refresh, which sets USER_PARTITION_KEY",
        )
    if stream.record_kib < LARGEST_RECORD_KIB:
        yield Blocker(
            f"Stream {table.stream_name} takes records of up to {stream.record_kib} KiB, and a "
            f"change of a large item may need {LARGEST_RECORD_KIB}: DynamoDB would skip it.",
            "pulumi up --refresh, which sets the stream's maximum record size",
        )
    if expected.catch_up is None:
        yield Blocker(
            f"Table {table.source_table} changes faster than {observed.shards} shards of stream "
            f"{table.stream_name} can be read: the replica would never catch up.",
            "more shards (streamMode and shards in the stack configuration), then: "
            "pulumi up --refresh",
        )


def _target(observed: Inspection, table: TableOutputs) -> Iterator[Blocker]:
    if observed.target is not None:
        yield Blocker(
            f"A table {table.target_table} exists already in the target account, and an import "
            "makes a new one.",
            "delete it yourself if it is not needed, or choose another target name in the stack",
        )


def _partitions(observed: Inspection, table: TableOutputs) -> Iterator[Blocker]:
    if observed.throttled_partitions:
        yield Blocker(
            f"{observed.throttled_partitions} writes of the last day were refused because one "
            f"partition of {table.source_table} took all that it can, {PARTITION_WRITES} write "
            f"units a second. The replica can follow {LEDGER_PARTITION_UNITS}: its writes cost "
            "double.",
            "spread the busiest keys (CloudWatch Contributor Insights of the table shows them), "
            "and run again a day after the last of it",
        )


def least_partitions(source: TableFacts | None) -> int:
    """How many partitions a table has at least. How many more is AWS's own affair."""
    if source is None:
        return 0
    return math.ceil(
        max(
            1,
            source.size_bytes / PARTITION_BYTES,
            max(source.warm_writes, source.write_capacity) / PARTITION_WRITES,
            max(source.warm_reads, source.read_capacity) / PARTITION_READS,
        )
    )


def _quotas(observed: Inspection, table: TableOutputs) -> Iterator[Blocker]:
    needed = round(observed.peak_writes * WRITE_FACTOR)
    if needed > observed.limits.table_writes:
        yield Blocker(
            f"Table {table.source_table} takes up to {observed.peak_writes:.0f} write units a "
            f"second, which cost {needed} in the target, and a table there may take "
            f"{observed.limits.table_writes} (quota of the account).",
            _raise_quota("the write units of a table"),
        )
    if observed.running_imports >= CONCURRENT_IMPORTS:
        yield Blocker(
            f"{observed.running_imports} imports run in the target account, and no more than "
            f"{CONCURRENT_IMPORTS} may at once.",
            "wait until some are done: aws dynamodb list-imports",
        )
    if observed.running_exports >= CONCURRENT_EXPORTS:
        yield Blocker(
            f"{observed.running_exports} exports run in the source account, and no more than "
            f"{CONCURRENT_EXPORTS} may at once.",
            "wait until some are done: aws dynamodb list-exports",
        )
    held = observed.source.size_bytes if observed.source else 0
    if held > EXPORT_BYTES:
        yield Blocker(
            f"Table {table.source_table} holds {size(held)}, and the exports of an account may be "
            f"at {size(EXPORT_BYTES)} at once.",
            "raise the quota for exports in flight with the source account's credentials: "
            "aws service-quotas list-service-quotas --service-code dynamodb, then "
            "request-service-quota-increase",
        )
    objects = least_partitions(observed.source)
    if objects > IMPORT_OBJECTS:
        yield Blocker(
            f"An export of {table.source_table} has at least {objects:,} objects, one for each "
            f"partition, and an import reads {IMPORT_OBJECTS:,}.",
            _raise_quota("the source objects of an import"),
        )
    most = _import_bytes(observed)
    if held > most * COMPRESSION:
        yield Blocker(
            f"Table {table.source_table} holds {size(held)}, and the imports of Region "
            f"{observed.target_region} may read {size(most)} (compressed) at once.",
            _raise_quota("the source size of imports"),
        )
    yield from _concurrency(observed, table)


def _concurrency(observed: Inspection, table: TableOutputs) -> Iterator[Blocker]:
    lanes, own = observed.shards * table.parallelization_factor, table.reserved_concurrency
    if own is not None and own < lanes:
        yield Blocker(
            f"The consumer reads {observed.shards} shards in {lanes} lanes, and its function is "
            f"given {own} invocations at once: lanes would wait for each other.",
            f"set reservedConcurrency to {lanes} or more in the stack configuration, or leave it "
            "out; then: pulumi up",
        )
    if own is None and observed.concurrency is not None and observed.concurrency < lanes:
        yield Blocker(
            f"The consumer reads {observed.shards} shards in {lanes} lanes, and the target account "
            f"runs {observed.concurrency} functions at once that have no share of their own.",
            "raise the quota of concurrent executions (aws service-quotas, service lambda, "
            "L-B99A9384), or lower parallelizationFactor in the stack configuration",
        )


def _import_bytes(observed: Inspection) -> int:
    large = observed.target_region in LARGE_IMPORT_REGIONS
    return LARGE_IMPORT_BYTES if large else IMPORT_BYTES


def _raise_quota(what: str) -> str:
    return (
        f"raise the quota for {what}: aws service-quotas list-service-quotas "
        "--service-code dynamodb, then request-service-quota-increase, with the target account's "
        "credentials"
    )


def _mapping(observed: Inspection, table: TableOutputs) -> Iterator[Blocker]:
    mapping = observed.mapping
    if not observed.deployed:
        return
    if mapping is None:
        yield Blocker(
            f"The event source mapping {table.mapping_uuid} of function {table.function_name} is "
            "gone.",
            "pulumi up --refresh",
        )
        return
    if mapping.running:
        yield Blocker(
            f"The consumer of table {table.source_table} is switched on already (event source "
            f"mapping {mapping.uuid} is {mapping.state}); it may start only after the import.",
            f"aws lambda update-event-source-mapping --uuid {mapping.uuid} --no-enabled "
            f"--region {table.consumer_region}, with the target account's credentials",
        )
    if mapping.stream_arn != table.stream_arn:
        yield Blocker(
            f"The event source mapping {mapping.uuid} reads {mapping.stream_arn}, not "
            f"{table.stream_arn}.",
            "pulumi up --refresh",
        )
    if mapping.starting_position == "LATEST":
        yield Blocker(
            f"The event source mapping {mapping.uuid} starts at LATEST: what is buffered before "
            "it is switched on would be skipped.",
            "pulumi up --refresh, so that it is made again at TRIM_HORIZON",
        )
    # The export's time is still to come: whatever arrived before now is in it.
    if mapping.starts_at is not None and mapping.starts_at > observed.destinations.at:
        yield Blocker(
            f"The event source mapping {mapping.uuid} starts AT_TIMESTAMP "
            f"{moment(mapping.starts_at)}, which is still to come: what is buffered before would "
            "be skipped.",
            "take startAt out of the stack configuration, then: pulumi up --refresh",
        )


def notes(observed: Inspection, table: TableOutputs) -> Iterator[str]:
    """What is worth knowing, and keeps nobody from starting."""
    source = observed.source
    if source is None:
        return
    if not observed.deployed:
        yield "The stack is not deployed: stream and consumer are not part of this plan yet."
    if observed.backups is not None and not observed.backups.enabled:
        yield (
            "Point-in-time recovery of the source is off: `run` switches it on, and it stays on "
            "until you switch it off."
        )
    if source.encryption == "KMS":
        key = table.target_key_arn or "the one that AWS manages for DynamoDB there (aws/dynamodb)"
        yield (
            "The source is encrypted with a KMS key, which stays in its account: the target gets "
            f"{key}, as targetKeyArn in the stack configuration says."
        )
    if source.encryption == "KMS" and observed.keys.source_is_awss is None:
        yield (
            "Whether that key of the source is AWS's or a customer's could not be told: with a "
            "customer's, the export needs sourceKeyArn in the stack configuration."
        )
    if source.replicas:
        yield (
            f"The source is a global table (also in {', '.join(source.replicas)}). Changes made in "
            "its other Regions, expiries among them, reach the stream as writes of this replica."
        )
    if observed.running_exports and source.size_bytes > EXPORT_BYTES / 10:
        # The exporter sees no other table, and DynamoDB tells an export's size at its end alone.
        yield (
            f"{observed.running_exports} exports run in the source account. How much they hold is "
            f"not known here; together with this one's {size(source.size_bytes)} they may be at "
            f"{size(EXPORT_BYTES)}. Beyond that DynamoDB refuses the export, and nothing is lost."
        )
    most = _import_bytes(observed)
    if most < source.size_bytes <= most * COMPRESSION:
        yield (
            f"The source holds {size(source.size_bytes)}, and the imports of Region "
            f"{observed.target_region} may read {size(most)} (compressed) at once. How small its "
            "export is, is known once it is complete; beyond the quota DynamoDB refuses the import."
        )
    if observed.running_imports and source.size_bytes > most / 10:
        yield (
            f"{observed.running_imports} imports run in the target account. How much they read is "
            f"not known here, and it counts towards the {size(most)} "
            "(compressed) that its imports may read at once."
        )
    objects = least_partitions(source)
    if IMPORT_OBJECTS / 10 < objects <= IMPORT_OBJECTS:
        yield (
            f"An export of the source has {objects:,} objects or more, at least one for each "
            "partition. How many is known once it is complete (its manifest-files.json); an "
            f"import reads {IMPORT_OBJECTS:,}."
        )
    if observed.peak_writes > LEDGER_PARTITION_UNITS and not observed.throttled_partitions:
        yield (
            f"The source takes up to {observed.peak_writes:.0f} write units a second (its busiest "
            f"minute of the last day). Where more than {LEDGER_PARTITION_UNITS} of them go to one "
            "partition, the replica cannot follow. Looked for and not found: a partition so busy "
            "that it refused writes. One between that and this shows in CloudWatch Contributor "
            "Insights of the table alone, which names the busiest keys."
        )
