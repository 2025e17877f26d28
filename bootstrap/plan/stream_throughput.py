"""The write throughput of a replication's stream, now and at most, against the source's changes.

DynamoDB keeps what the stream refuses and tries again, for up to 168 hours: a stream that takes
less than the average never catches up, one that takes less than the peak delays the changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from bootstrap.core.formatting import duration
from bootstrap.plan.blocker import Blocker, quota_increase
from bootstrap.plan.inspection import Inspection
from bootstrap.plan.limits import PARTITION_WRITES
from bootstrap.plan.replication import Replication
from bootstrap.plan.workload import Workload, derive_workload

# Amazon Kinesis Data Streams Developer Guide, service-sizes-and-limits and
# how-do-i-size-a-stream. Bytes and records a second.
SHARD_BYTES, SHARD_RECORDS = 1e6, 1_000.0
SHARD_READ_BYTES = 2e6
NEW_ON_DEMAND_SHARDS = 4
"""A new stream on demand takes 4 MB and 4,000 records a second."""
DOUBLING_SECONDS = 900.0
"""A stream on demand grows to double the peak of its last 30 days, and throttles what exceeds
double within 15 minutes."""
LARGE_ON_DEMAND_REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
LARGE_ON_DEMAND_SHARDS, ON_DEMAND_SHARDS = 10_000, 200
"""The most that a stream on demand grows to without a raised quota: 10 GB/s or 200 MB/s."""
MIB = 2**20
PARTITION_BYTES = 10e9


@dataclass(frozen=True)
class StreamThroughput:
    """Write throughput as a number of shards: each takes 1 MB and 1,000 records a second."""

    on_demand: bool
    shards: float
    """Now."""
    most: float
    """Without the operator: a stream on demand grows, a provisioned one does not."""

    def changes(self, workload: Workload) -> float:
        """Return the changes a second that it takes now."""
        return self.shards / shards_for(1.0, workload)


def shards_for(changes: float, workload: Workload) -> float:
    """Return the shards that so many changes a second fill."""
    return max(changes * workload.record_bytes / SHARD_BYTES, changes / SHARD_RECORDS)


def whole_shards(changes: float, workload: Workload) -> int:
    """Return the number of shards that takes so many changes a second."""
    return max(1, math.ceil(round(shards_for(changes, workload), 6)))


def throughput(inspection: Inspection, replication: Replication) -> StreamThroughput:
    """Return the throughput of the deployed stream, or of the one that the stack would make."""
    quota = (
        LARGE_ON_DEMAND_SHARDS
        if replication.consumer_region in LARGE_ON_DEMAND_REGIONS
        else ON_DEMAND_SHARDS
    )
    if replication.reads_table_stream:
        # DynamoDB sizes it with the table: a shard for each partition.
        return StreamThroughput(True, float(_partitions(inspection)), math.inf)
    existing = inspection.adopted or inspection.pipeline
    if existing is not None:
        stream, shards = existing.stream, float(max(1, inspection.shards))
        if stream.mode == "PROVISIONED":
            return StreamThroughput(False, shards, shards)
        # Warm or split already: it may be more than the shards that are open at the moment.
        now = max(shards, stream.warm_mib * MIB / SHARD_BYTES)
        return StreamThroughput(True, now, max(now, quota))
    if replication.stream_mode == "PROVISIONED":
        shards = float(replication.configured_shards or 1)
        return StreamThroughput(False, shards, shards)
    return StreamThroughput(True, NEW_ON_DEMAND_SHARDS, quota)


def _partitions(inspection: Inspection) -> int:
    """Estimate the table's partitions: 10 GB and 1,000 write units each at most (developer guide,
    HowItWorks.Partitions and bp-partition-key-design).
    """
    source, peak = inspection.source.table, inspection.source.writes.peak
    held = source.size_bytes if source is not None else 0
    return max(1, math.ceil(held / PARTITION_BYTES), math.ceil(peak / PARTITION_WRITES))


def throughput_blockers(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    """Block a stream that takes less than the source changes on average."""
    workload, stream = derive_workload(inspection), throughput(inspection, replication)
    needed = shards_for(workload.mean, workload)
    if needed < stream.most or not needed:
        return
    name = replication.stream_name
    if stream.on_demand:
        yield Blocker(
            f"Table {replication.source_table} changes {workload.mean:,.0f} times a second, "
            f"{_rate(workload.mean, workload)} of records, and a stream on demand grows to "
            f"{_rate_of(stream.most)} in {replication.consumer_region}: DynamoDB would fall behind "
            "for good, and the replica would never catch up.",
            f"{_quota(replication)}; or set streamMode to PROVISIONED and shards to "
            f"{_enough(workload)} in the stack configuration, then: {replication.up}",
        )
        return
    yield Blocker(
        f"Table {replication.source_table} changes {workload.mean:,.0f} times a second, "
        f"{_rate(workload.mean, workload)} of records, and "
        f"{_provisioned(name, stream)}: DynamoDB would fall behind for good, and the replica would "
        "never catch up.",
        _more_shards(inspection, replication, stream, workload),
    )


def throughput_notes(inspection: Inspection, replication: Replication) -> Iterator[str]:
    """Note a stream that takes less than the busiest minute of the last day."""
    workload, stream = derive_workload(inspection), throughput(inspection, replication)
    peak, mean = shards_for(workload.peak, workload), shards_for(workload.mean, workload)
    if peak <= stream.shards or mean >= stream.most:
        return
    name = replication.stream_name
    busiest = (
        f"The source changes up to {workload.peak:,.0f} times a second, "
        f"{_rate(workload.peak, workload)} of records (its busiest minute of the last day)"
    )
    if not stream.on_demand:
        yield (
            f"{busiest}, and {_provisioned(name, stream)}. DynamoDB keeps what does not fit and "
            f"tries again: changes would arrive up to {_delay(workload, stream)} late. To avoid "
            f"it, {_more_shards(inspection, replication, stream, workload)}."
        )
        return
    doublings = math.ceil(math.log2(max(2.0, peak / stream.shards)))
    yield (
        f"{busiest}, and {name}, which is on demand, takes {_rate_of(stream.shards)} at first. It "
        "grows by itself, to double the peak of its last 30 days at a time: here in about "
        f"{duration(doublings * DOUBLING_SECONDS)}. Meanwhile DynamoDB keeps what does not fit, "
        "and nothing is lost."
        f"{_warming(replication, workload)}"
    )


def _warming(replication: Replication, workload: Workload) -> str:
    if replication.stream_arn is None:
        return ""
    return (
        " Where the account has On-demand Advantage, the stream can be warmed before: aws kinesis "
        f"update-stream-warm-throughput --stream-arn {replication.stream_arn} "
        f"--warm-throughput-mi-bps {_enough(workload)} --region {replication.consumer_region}, "
        "with the source account's credentials."
    )


def _provisioned(name: str, stream: StreamThroughput) -> str:
    takes = f"shard of {name} takes" if stream.shards == 1 else f"shards of {name} take"
    return (
        f"{stream.shards:.0f} {takes} {_rate_of(stream.shards)} and "
        f"{stream.shards * SHARD_RECORDS:,.0f} records a second"
    )


def _quota(replication: Replication) -> str:
    what = "the write throughput of a stream on demand"
    return quota_increase(what, "kinesis", replication.consumer_region, "source")


def _more_shards(
    inspection: Inspection, replication: Replication, stream: StreamThroughput, workload: Workload
) -> str:
    needed = _enough(workload)
    steps = ""
    if replication.adopted is not None:
        return (
            f"ask the owner of {replication.stream_name} for {needed} shards for this table alone: "
            f"aws kinesis update-shard-count --stream-name {replication.adopted.name} "
            f"--target-shard-count NUMBER --scaling-type UNIFORM_SCALING --region "
            f"{replication.consumer_region}, with the source account's credentials"
        )
    if inspection.pipeline is not None and needed > 2 * stream.shards:
        # API reference, UpdateShardCount.
        steps = (
            f" ({2 * stream.shards:.0f} first: Kinesis doubles the number at most in one change)"
        )
    return (
        f"set shards to {needed} in the stack configuration{steps}, or set streamMode to ON_DEMAND "
        f"and take shards out; then: {replication.up}"
    )


def _enough(workload: Workload) -> int:
    return whole_shards(max(workload.peak, workload.mean), workload)


def _delay(workload: Workload, stream: StreamThroughput) -> str:
    return duration(workload.longest_delay(stream.changes(workload)))


def _rate(changes: float, workload: Workload) -> str:
    return f"{changes * workload.record_bytes / 1e6:,.1f} MB a second"


def _rate_of(shards: float) -> str:
    return f"{shards * SHARD_BYTES / 1e6:,.0f} MB a second"
