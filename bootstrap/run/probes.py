"""Probe records: what the consumer acknowledges once everything before it in its lane has ended."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bootstrap.core.facts import ProbeRecord, Shard

LANES_PROBED = 128
"""Partition keys per shard when a shard is read in parallel. Lambda deals partition keys out to up
to ten lanes; 128 random ones leave one of ten lanes out with a probability of 10 × 0.9^128 ≈ 10⁻⁵.
"""


def records(
    probe: str, source_table: str, shards: Sequence[Shard], factor: int
) -> list[ProbeRecord]:
    """One record per lane: per open shard, and 128 per shard where lanes cannot be addressed.

    The shard is chosen by ExplicitHashKey, so that the partition key is free to choose the lane.
    """
    per_shard = LANES_PROBED if factor > 1 else 1
    places = [(shard, lane) for shard in shards for lane in range(per_shard)]
    return [
        ProbeRecord(
            hash_key=shard.first_hash_key,
            partition_key=f"probe-{probe}-{lane}",
            data=json.dumps({"probe": probe, "tableName": source_table, "n": n}).encode(),
        )
        for n, (shard, lane) in enumerate(places)
    ]
