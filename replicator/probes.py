"""Probes: records of this project's own in the stream, and the rows that acknowledge them.

A lane takes its records in order, so a probe that is through proves that everything before it in
its lane is through.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replicator.change import Probe
from replicator.stream import Shard

LANES_PROBED = 128
"""Partition keys per shard when a shard is read in parallel. Lambda deals partition keys out to up
to ten lanes; 128 random ones leave one of ten lanes out with a probability of 10 × 0.9^128 ≈ 10⁻⁵.
"""
PROBES_PER_PUT = 500
"""The records that PutRecords takes in a call."""


ROW_KEPT_SECONDS = 86_400
"""The life of a probe's row."""
PROTOCOL = 1
"""What the consumer's code can do for a switch; a probe's row says it. Older code says nothing.
1: it obeys `armed`, `mark` and `closed` of the settings row, and writes the rows of lanes."""


@dataclass(frozen=True)
class ProbeRecord:
    """A record for the stream: the hash key chooses the shard, the partition key the lane."""

    hash_key: str
    partition_key: str
    data: bytes
    shard_id: str = ""
    """The shard that it is for; empty if any may take it."""


def probe_records(
    probe: str, source_table: str, shards: Sequence[Shard], factor: int
) -> list[ProbeRecord]:
    """Make one record per shard, or 128 where a shard has several lanes.

    ExplicitHashKey chooses the shard, so the partition key is free to choose the lane.
    """
    per_shard = LANES_PROBED if factor > 1 else 1
    places = [(shard, lane) for shard in shards for lane in range(per_shard)]
    return [
        ProbeRecord(
            hash_key=shard.first_hash_key,
            partition_key=f"probe-{probe}-{lane}",
            data=json.dumps({"probe": probe, "tableName": source_table, "n": n}).encode(),
            shard_id=shard.shard_id,
        )
        for n, (shard, lane) in enumerate(places)
    ]


def probe_key(probe: Probe) -> bytes:
    """Return the key of a probe's row in the ledger table."""
    return b"probe:" + probe.probe.encode() + b":" + str(probe.n).encode()


def put_request(stream_name: str, records: Sequence[ProbeRecord]) -> dict[str, Any]:
    """Build a request of PutRecords for up to `PROBES_PER_PUT` records."""
    return {
        "StreamName": stream_name,
        "Records": [
            {
                "Data": each.data,
                "PartitionKey": each.partition_key,
                "ExplicitHashKey": each.hash_key,
            }
            for each in records
        ],
    }


def not_taken(records: Sequence[ProbeRecord], answer: Mapping[str, Any]) -> list[ProbeRecord]:
    """Return the records that Kinesis refused one by one in an answer of PutRecords."""
    results = zip(records, answer["Records"], strict=True)
    return [record for record, result in results if result.get("ErrorCode")]


def misplaced(records: Sequence[ProbeRecord], answer: Mapping[str, Any]) -> list[ProbeRecord]:
    """Return the records that another shard took than the one that they were put for.

    Its shard was split or merged since the shards were listed, so a round with such a record has
    none in some open shard. A listing may show that later than this answer does.
    """
    results = zip(records, answer["Records"], strict=True)
    return [
        record
        for record, result in results
        if record.shard_id and result.get("ShardId", record.shard_id) != record.shard_id
    ]
