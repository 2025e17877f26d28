"""The checks before a run: each reason not to start, and the command that removes it."""

from __future__ import annotations

from collections.abc import Iterator

from bootstrap.core.facts import EventSource
from bootstrap.core.formatting import moment, size
from bootstrap.plan.adopted_stream import adopted_blockers
from bootstrap.plan.blocker import Blocker, quota_increase
from bootstrap.plan.buffer_choice import table_stream_blockers
from bootstrap.plan.bulk_load import bulk_blockers
from bootstrap.plan.estimate import Estimate
from bootstrap.plan.import_load import import_blockers
from bootstrap.plan.inspection import Inspection
from bootstrap.plan.limits import (
    CONCURRENT_EXPORTS,
    EXPORT_BYTES,
    LARGEST_RECORD_KIB,
    LEDGER_PARTITION_UNITS,
    PARTITION_WRITES,
)
from bootstrap.plan.replication import Deployment, Replication
from bootstrap.plan.stream_checks import distribution_blockers, retention_blockers
from bootstrap.plan.stream_throughput import throughput_blockers
from bootstrap.plan.warm_throughput import WRITE_FACTOR
from replicator.aws_commands import table_option
from replicator.stream import StreamFacts


def blockers(
    inspection: Inspection,
    replication: Replication,
    expected: Estimate,
    *,
    stream_accepted: bool = False,
) -> Iterator[Blocker]:
    """List everything that blocks a run, at once. Keys are in `key_policies`.

    `stream_accepted`: the operator has confirmed what reads an adopted table's changes.
    """
    for error in inspection.unread:
        yield Blocker(error.what, error.fix)
    yield from _source(inspection, replication)
    if replication.reads_table_stream:
        yield from table_stream_blockers(inspection, replication, expected)
    else:
        yield from _destination(inspection, replication)
    yield from adopted_blockers(inspection, replication, expected)
    if inspection.pipeline and replication.deployment and not replication.adopted:
        yield from _stream(
            inspection.pipeline.stream, replication.deployment, expected, replication
        )
    if not replication.reads_table_stream:
        yield from throughput_blockers(inspection, replication)
    yield from load_blockers(inspection, replication, stream_accepted=stream_accepted)
    yield from _partitions(inspection, replication)
    yield from _write_quota(inspection, replication)
    yield from _exports(inspection, replication)
    yield from _concurrency(inspection, replication)
    if inspection.pipeline and replication.deployment:
        now = inspection.source.destinations.at
        yield from _mapping(inspection.pipeline.mapping, replication.deployment, replication, now)


def load_blockers(
    inspection: Inspection, replication: Replication, *, stream_accepted: bool
) -> Iterator[Blocker]:
    """List what keeps the snapshot from getting into the target the way that the stack says."""
    if replication.load.is_bulk:
        yield from bulk_blockers(inspection, replication, stream_accepted=stream_accepted)
    else:
        yield from import_blockers(inspection, replication)


def _source(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    source = inspection.source.table
    if source is None:
        yield Blocker(
            f"There is no table {replication.source_table} in the source account.",
            "check the table's name, account and Region in the stack configuration",
        )
        return
    if source.arn != replication.source_table_arn:
        yield Blocker(
            f"The source credentials lead to {source.arn}, and the stack replicates "
            f"{replication.source_table_arn}.",
            "pass --source-profile with credentials of the source account",
        )
    if source.status not in ("ACTIVE", "UPDATING"):
        yield Blocker(
            f"Table {replication.source_table} is {source.status}.",
            "wait until it is ACTIVE: aws dynamodb describe-table "
            f"{table_option(replication.source_table)} --region {replication.consumer_region}, "
            "with the source account's credentials",
        )


def _destination(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    stream_arn = replication.stream_arn or ""
    elsewhere = inspection.source.destinations.elsewhere(stream_arn)
    if elsewhere is not None:
        yield Blocker(
            f"Table {replication.source_table} streams its changes to {elsewhere.stream_arn}, and "
            "a table has one destination.",
            f"replicate it through that stream: set streamArn: {elsewhere.stream_arn} and "
            "streamKeyArn for the table in the stack configuration (docs/deploy.md, An adopted "
            "stream). Or, if nothing needs that destination: aws dynamodb "
            f"disable-kinesis-streaming-destination {table_option(replication.source_table)} "
            f"--stream-arn {elsewhere.stream_arn} --region {replication.consumer_region}, with the "
            f"source account's credentials; then: {replication.up}",
        )
    ours = inspection.source.destinations.to(stream_arn)
    if ours is not None and ours.status == "ACTIVE" and ours.precision != "MICROSECOND":
        yield Blocker(
            f"Table {replication.source_table} streams to {stream_arn} with precision "
            f"{ours.precision}. Only MICROSECOND tells two changes of a key apart.",
            "aws dynamodb update-kinesis-streaming-destination "
            f"{table_option(replication.source_table)} --stream-arn {stream_arn} "
            "--update-kinesis-streaming-configuration "
            "ApproximateCreationDateTimePrecision=MICROSECOND "
            f"--region {replication.consumer_region}, with the source account's credentials",
        )


def _stream(
    stream: StreamFacts, deployment: Deployment, expected: Estimate, replication: Replication
) -> Iterator[Blocker]:
    name = deployment.stream_name
    longer = (
        f"set retentionHours in the stack configuration (8760 is 365 days), then: {replication.up}"
    )
    yield from retention_blockers(stream, name, expected, longer)
    region = replication.consumer_region
    yield from distribution_blockers(stream, name, deployment.stream_arn, region)
    if stream.record_kib < LARGEST_RECORD_KIB:
        yield Blocker(
            f"Stream {name} takes records of up to {stream.record_kib} KiB, and a change of a "
            f"large item may need {LARGEST_RECORD_KIB}: DynamoDB would skip it.",
            f"{replication.up}, which sets the stream's maximum record size",
        )


def _partitions(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    refused = inspection.source.writes.throttled_partitions
    if refused:
        yield Blocker(
            f"{refused} writes of the last day were refused because one partition of "
            f"{replication.source_table} was at its limit, {PARTITION_WRITES} write units a "
            f"second. The replica can follow {LEDGER_PARTITION_UNITS}: its writes cost double.",
            "spread the busiest keys (CloudWatch Contributor Insights of the table shows them), "
            "and run again a day after the last of it",
        )


def _write_quota(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    peak, limits = inspection.source.writes.peak, inspection.target.limits
    needed = round(peak * WRITE_FACTOR)
    if needed > limits.table_writes:
        yield Blocker(
            f"Table {replication.source_table} takes up to {peak:.0f} write units a second, which "
            f"cost {needed} in the target, and a table there may take {limits.table_writes} (quota "
            "of the account).",
            quota_increase(
                "the write units of a table", "dynamodb", replication.target_region, "target"
            ),
        )


def _exports(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    exports = inspection.source.running_exports
    if exports is not None and exports >= CONCURRENT_EXPORTS:
        yield Blocker(
            f"{exports} exports run in the source account, and no more than {CONCURRENT_EXPORTS} "
            "may at once.",
            "wait until some have ended: aws dynamodb list-exports --region "
            f"{replication.consumer_region}, with the source account's credentials",
        )
    source = inspection.source.table
    held = source.size_bytes if source else 0
    if held > EXPORT_BYTES:
        yield Blocker(
            f"Table {replication.source_table} holds {size(held)}, and the exports of an account "
            f"may be at {size(EXPORT_BYTES)} at once.",
            quota_increase("exports in flight", "dynamodb", replication.consumer_region, "source"),
        )


def _concurrency(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    batches = inspection.shards * replication.parallelization_factor
    own, shared = replication.reserved_concurrency, inspection.target.concurrency
    needs = f"The consumer reads {inspection.shards} shards in {batches} concurrent batches, and "
    if own is not None and own < batches:
        yield Blocker(
            f"{needs}{own} invocations are reserved for its function: shards would wait for each "
            "other.",
            f"set reservedConcurrency to {batches} or more in the stack configuration, or leave it "
            f"out; then: {replication.up}",
        )
    if own is None and shared is not None and shared < batches:
        yield Blocker(
            f"{needs}the target account runs {shared} functions without a reservation at once.",
            "raise the quota of concurrent executions: aws service-quotas "
            "request-service-quota-increase --service-code lambda --quota-code L-B99A9384 "
            f"--desired-value {max(batches, 1_000)} --region {replication.consumer_region}, with "
            "the target account's credentials; or lower parallelizationFactor in the stack "
            f"configuration, then: {replication.up}",
        )


def _mapping(
    mapping: EventSource | None, deployment: Deployment, replication: Replication, now: float
) -> Iterator[Blocker]:
    if mapping is None:
        yield Blocker(
            f"The event source mapping {deployment.mapping_uuid} of function "
            f"{deployment.function_name} is gone.",
            replication.up,
        )
        return
    if mapping.running:
        yield Blocker(
            f"The consumer of table {replication.source_table} is switched on already (event "
            f"source mapping {mapping.uuid} is {mapping.state}); it may start only after the "
            "import.",
            f"aws lambda update-event-source-mapping --uuid {mapping.uuid} --no-enabled "
            f"--region {replication.consumer_region}, with the target account's credentials",
        )
    if mapping.stream_arn != deployment.stream_arn:
        yield Blocker(
            f"The event source mapping {mapping.uuid} reads {mapping.stream_arn}, not "
            f"{deployment.stream_arn}.",
            deployment.mapping_replacement,
        )
    if mapping.starting_position == "LATEST":
        yield Blocker(
            f"The event source mapping {mapping.uuid} starts at LATEST: it would skip what is "
            "buffered before it is switched on.",
            f"{deployment.mapping_replacement}; it is made again at TRIM_HORIZON",
        )
    # The export's time is still to come: everything that arrived before now is in it.
    if mapping.starts_at is not None and mapping.starts_at > now:
        yield Blocker(
            f"The event source mapping {mapping.uuid} starts AT_TIMESTAMP "
            f"{moment(mapping.starts_at)}, which is still to come: it would skip what is buffered "
            "before.",
            f"take startAt out of the stack configuration, then: {deployment.mapping_replacement}",
        )
