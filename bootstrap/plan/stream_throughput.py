"""The write throughput of a replication's stream, now and at most, against the source's changes.

DynamoDB keeps what the stream refuses and tries again, for up to 168 hours: a stream that takes
less than the average never catches up, one that takes less than the peak delays the changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from bootstrap.core.formatting import duration
from bootstrap.plan.blocker import Blocker, raise_quota
from bootstrap.plan.inspection import Inspection
from bootstrap.plan.replication import Replication
from bootstrap.plan.workload import Workload, workload

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


@dataclass(frozen=True)
class StreamThroughput:
    """Write throughput as a number of shards: each takes 1 MB and 1,000 records a second."""

    on_demand: bool
    shards: float
    """Now."""
    most: float
    """Without the operator: a stream on demand grows, a provisioned one does not."""

    def changes(self, load: Workload) -> float:
        """Return the changes a second that it takes now."""
        return self.shards / shards_for(1.0, load)


def shards_for(changes: float, load: Workload) -> float:
    """Return the shards that so many changes a second fill."""
    return max(changes * load.record_bytes / SHARD_BYTES, changes / SHARD_RECORDS)


def whole_shards(changes: float, load: Workload) -> int:
    """Return the number of shards that takes so many changes a second."""
    return max(1, math.ceil(round(shards_for(changes, load), 6)))


def throughput(inspection: Inspection, replication: Replication) -> StreamThroughput:
    """Return the throughput of the deployed stream, or of the one that the stack would make."""
    quota = (
        LARGE_ON_DEMAND_SHARDS
        if replication.consumer_region in LARGE_ON_DEMAND_REGIONS
        else ON_DEMAND_SHARDS
    )
    if inspection.pipeline is not None:
        stream, shards = inspection.pipeline.stream, float(max(1, inspection.shards))
        if stream.mode == "PROVISIONED":
            return StreamThroughput(False, shards, shards)
        # Warm or split already: it may be more than the shards that are open at the moment.
        now = max(shards, stream.warm_mib * MIB / SHARD_BYTES)
        return StreamThroughput(True, now, max(now, quota))
    if replication.stream_mode == "PROVISIONED":
        shards = float(replication.configured_shards or 1)
        return StreamThroughput(False, shards, shards)
    return StreamThroughput(True, NEW_ON_DEMAND_SHARDS, quota)


def throughput_blockers(inspection: Inspection, replication: Replication) -> Iterator[Blocker]:
    """Block a stream that takes less than the source changes on average."""
    load, stream = workload(inspection), throughput(inspection, replication)
    needed = shards_for(load.mean, load)
    if needed < stream.most or not needed:
        return
    name = replication.stream_name
    if stream.on_demand:
        yield Blocker(
            f"Table {replication.source_table} changes {load.mean:,.0f} times a second, "
            f"{_rate(load.mean, load)} of records, and a stream on demand grows to "
            f"{_rate_of(stream.most)} in {replication.consumer_region}: DynamoDB would fall behind "
            "for good, and the replica would never catch up.",
            f"{_quota(replication)}; or set streamMode to PROVISIONED and shards to "
            f"{_enough(load)} in the stack configuration, then: {replication.up}",
        )
        return
    yield Blocker(
        f"Table {replication.source_table} changes {load.mean:,.0f} times a second, "
        f"{_rate(load.mean, load)} of records, and {_provisioned(name, stream)}: DynamoDB would "
        "fall behind for good, and the replica would never catch up.",
        _more_shards(inspection, replication, stream, load),
    )


def throughput_notes(inspection: Inspection, replication: Replication) -> Iterator[str]:
    """Note a stream that takes less than the busiest minute of the last day."""
    load, stream = workload(inspection), throughput(inspection, replication)
    if shards_for(load.peak, load) <= stream.shards or shards_for(load.mean, load) >= stream.most:
        return
    name = replication.stream_name
    busiest = (
        f"The source changes up to {load.peak:,.0f} times a second, {_rate(load.peak, load)} of "
        "records (its busiest minute of the last day)"
    )
    if not stream.on_demand:
        yield (
            f"{busiest}, and {_provisioned(name, stream)}. DynamoDB keeps what does not fit and "
            f"tries again: changes would arrive up to {_delay(load, stream)} late. To avoid it, "
            f"{_more_shards(inspection, replication, stream, load)}."
        )
        return
    doublings = math.ceil(math.log2(max(2.0, shards_for(load.peak, load) / stream.shards)))
    yield (
        f"{busiest}, and {name}, which is on demand, takes {_rate_of(stream.shards)} at first. It "
        "grows by itself, to double the peak of its last 30 days at a time: here in about "
        f"{duration(doublings * DOUBLING_SECONDS)}. Meanwhile DynamoDB keeps what does not fit, "
        "and nothing is lost."
        f"{_warming(replication, load)}"
    )


def _warming(replication: Replication, load: Workload) -> str:
    if replication.stream_arn is None:
        return ""
    return (
        " Where the account has On-demand Advantage, the stream can be warmed before: aws kinesis "
        f"update-stream-warm-throughput --stream-arn {replication.stream_arn} "
        f"--warm-throughput-mi-bps {_enough(load)} --region {replication.consumer_region}, with "
        "the source account's credentials."
    )


def _provisioned(name: str, stream: StreamThroughput) -> str:
    takes = f"shard of {name} takes" if stream.shards == 1 else f"shards of {name} take"
    return (
        f"{stream.shards:.0f} {takes} {_rate_of(stream.shards)} and "
        f"{stream.shards * SHARD_RECORDS:,.0f} records a second"
    )


def _quota(replication: Replication) -> str:
    what = "the write throughput of a stream on demand"
    return raise_quota(what, "kinesis", replication.consumer_region, "source")


def _more_shards(
    inspection: Inspection, replication: Replication, stream: StreamThroughput, load: Workload
) -> str:
    needed = _enough(load)
    steps = ""
    if inspection.pipeline is not None and needed > 2 * stream.shards:
        # API reference, UpdateShardCount.
        steps = (
            f" ({2 * stream.shards:.0f} first: Kinesis doubles the number at most in one change)"
        )
    return (
        f"set shards to {needed} in the stack configuration{steps}, or set streamMode to ON_DEMAND "
        f"and take shards out; then: {replication.up}"
    )


def _enough(load: Workload) -> int:
    return whole_shards(max(load.peak, load.mean), load)


def _delay(load: Workload, stream: StreamThroughput) -> str:
    return duration(load.longest_delay(stream.changes(load)))


def _rate(changes: float, load: Workload) -> str:
    return f"{changes * load.record_bytes / 1e6:,.1f} MB a second"


def _rate_of(shards: float) -> str:
    return f"{shards * SHARD_BYTES / 1e6:,.0f} MB a second"
