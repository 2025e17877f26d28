"""The checks that are alike for a stream of the stack's and an adopted one."""

from __future__ import annotations

from collections.abc import Iterator

from bootstrap.core.formatting import duration
from bootstrap.core.streaming_commands import BY_SOURCE
from bootstrap.plan.blocker import Blocker
from bootstrap.plan.estimate import Estimate
from bootstrap.plan.limits import LEAST_RETENTION_HOURS
from replicator.stream import BY_PARTITION_KEY, StreamFacts


def safe_retention(expected: Estimate) -> float:
    """Return the hours that a stream has to keep changes for, to be safe."""
    return max(LEAST_RETENTION_HOURS, 2 * expected.until_read.most / 3600)


def retention_blockers(
    stream: StreamFacts, name: str, expected: Estimate, fix: str
) -> Iterator[Blocker]:
    """Report a stream that may forget changes before they are read."""
    if stream.retention_hours < safe_retention(expected):
        yield Blocker(
            f"Stream {name} forgets changes after {stream.retention_hours} hours. Export, import "
            "and catch-up may take longer (estimated at up to "
            f"{duration(expected.until_read.most)}; twice that, and a week at least, is safe).",
            fix,
        )


def distribution_blockers(
    stream: StreamFacts, name: str, arn: str, region: str
) -> Iterator[Blocker]:
    """Report a stream that does not heed partition keys."""
    if stream.distribution != BY_PARTITION_KEY:
        # The Pulumi provider has no argument for it (pulumi-aws 7.51).
        yield Blocker(
            f"Stream {name} spreads records over its shards by {stream.distribution}, and not by "
            "their partition keys. Probes may not reach every shard, and the changes of one item "
            "are spread over several.",
            f"aws kinesis update-stream-record-distribution-strategy --stream-arn {arn} "
            f"--record-distribution-strategy USER_PARTITION_KEY --region {region}, {BY_SOURCE}",
        )
