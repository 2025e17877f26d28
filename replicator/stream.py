"""A Kinesis data stream, its open shards, and a table's destinations, as AWS describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_RECORD_KIB = 1024
"""The limit of a stream whose description names none."""
MAX_RECORD_KIB = 10 * 1024
"""10 MiB, Kinesis's most: DynamoDB skips, for good, what is larger than the stream's limit."""


READING_ACTIONS = (
    # DescribeStream is absent from Kinesis's table of shareable actions, yet Lambda's page on
    # cross-account mappings insists on it ("Make sure to include the action
    # kinesis:DescribeStream").
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
)
"""The reads of a Lambda mapping with shared throughput. Both accounts have to allow them."""
BY_PARTITION_KEY = "USER_PARTITION_KEY"
"""The RecordDistributionStrategy that heeds partition keys and explicit hash keys."""
STREAM_STATES = ("CREATING", "DELETING", "ACTIVE", "UPDATING")
DESTINATION_STATES = (
    "ENABLING",
    "ACTIVE",
    "UPDATING",
    "DISABLING",
    "DISABLED",
    "ENABLE_FAILED",
)
"""Those that this version knows (API reference, KinesisDataStreamDestination)."""


@dataclass(frozen=True)
class Destination:
    """A stream that receives a table's changes, or did."""

    stream_arn: str
    status: str
    """One of DESTINATION_STATES, or a newer one."""
    precision: str | None
    """ApproximateCreationDateTimePrecision; None where AWS does not say."""
    detail: str = ""
    """DestinationStatusDescription."""

    @property
    def is_off(self) -> bool:
        """True if no change goes there. A status that this version does not know says nothing."""
        return self.status in ("DISABLED", "ENABLE_FAILED")


@dataclass(frozen=True)
class StreamFacts:
    """DescribeStreamSummary's answer."""

    status: str
    retention_hours: int
    record_kib: int
    """The largest record that the stream takes."""
    distribution: str
    """AUTO ignores partition keys and explicit hash keys; AWS names it for on-demand streams only.
    """
    created: float
    """Epoch seconds."""
    mode: str = "PROVISIONED"
    """StreamModeDetails: ON_DEMAND or PROVISIONED, which a stream without the member is."""
    warm_mib: float = 0.0
    """MiB a second that an on-demand stream is warmed for; 0 where AWS does not say."""
    key: str = ""
    """The KMS key, as its encryption was begun: an ARN, an id or an alias; empty without one."""


@dataclass(frozen=True)
class Shard:
    """An open shard and the first hash key that leads to it."""

    shard_id: str
    first_hash_key: str


def destinations_in(answer: Mapping[str, Any]) -> list[Destination]:
    """Read an answer of DescribeKinesisStreamingDestination."""
    return [
        Destination(
            stream_arn=each["StreamArn"],
            status=each["DestinationStatus"],
            precision=each.get("ApproximateCreationDateTimePrecision"),
            detail=each.get("DestinationStatusDescription", ""),
        )
        for each in answer.get("KinesisDataStreamDestinations", ())
    ]


def stream_in(answer: Mapping[str, Any]) -> StreamFacts:
    """Read an answer of DescribeStreamSummary."""
    summary = answer["StreamDescriptionSummary"]
    return StreamFacts(
        status=summary["StreamStatus"],
        retention_hours=int(summary["RetentionPeriodHours"]),
        record_kib=int(summary.get("MaxRecordSizeInKiB", DEFAULT_RECORD_KIB)),
        distribution=summary.get("RecordDistributionStrategy", BY_PARTITION_KEY),
        created=summary["StreamCreationTimestamp"].timestamp(),
        mode=summary.get("StreamModeDetails", {}).get("StreamMode", "PROVISIONED"),
        warm_mib=float(summary.get("WarmThroughput", {}).get("CurrentMiBps", 0)),
        key=summary.get("KeyId", "") if summary.get("EncryptionType") == "KMS" else "",
    )


def open_shards_request(stream_name: str) -> dict[str, Any]:
    """Build the first request of ListShards for the shards that records can enter."""
    return {"StreamName": stream_name, "ShardFilter": {"Type": "AT_LATEST"}}


def open_shards_in(answer: Mapping[str, Any]) -> tuple[list[Shard], dict[str, Any] | None]:
    """Read a page of ListShards; return its open shards and the request of the next page.

    None: there is no other page.
    """
    shards = [
        Shard(each["ShardId"], each["HashKeyRange"]["StartingHashKey"])
        for each in answer["Shards"]
        if "EndingSequenceNumber" not in each["SequenceNumberRange"]
    ]
    token = answer.get("NextToken")
    # With a token no other parameter is allowed: API reference, ListShards.
    return shards, {"NextToken": token} if token else None
