"""The streams that an event source mapping reads: what differs between Kinesis and others."""

from __future__ import annotations

from typing import Protocol

from infra.local.emulator.access import PermissionChecks, ResourcePolicy
from infra.local.emulator.patching import Json, Ministack
from infra.local.emulator.refusals import RefusedError
from infra.local.emulator.shards import Shards

KINESIS_READS = (
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
)


class MappingSource(Protocol):
    """One kind of stream. A stream is a dict with `StreamARN` and `shards`, as in `Shards`."""

    kind: str
    """The kind's name in messages."""
    reads: str
    """The permissions that the refusal of a mapping asks for."""

    def takes(self, arn: str) -> bool:
        """Say whether an ARN names a stream of this kind."""

    def check(self, data: Json) -> None:
        """Raise `RefusedError` for a new mapping's settings that this kind does not take."""

    def find(self, arn: str) -> Json | None:
        """Return the stream that can be read now, for any caller."""

    def refusal(self, function: Json, stream: Json) -> str | None:
        """Return the first permission that a function's role lacks: "a:B on resource: arn:…"."""

    def admit(self, shard_id: str, mapping: str) -> bool:
        """Say whether the mapping may read the shard now, beside its other readers."""

    def release(self, shard_id: str, mapping: str) -> None:
        """Note that the mapping's poller on this shard has ended."""


class KinesisSource:
    """Kinesis data streams."""

    kind = "Kinesis"
    reads = (
        "GetRecords, GetShardIterator, DescribeStream, DescribeStreamSummary and ListShards "
        "actions on your stream in IAM, and kms:Decrypt on its key"
    )

    def __init__(self, ministack: Ministack, shards: Shards, access: PermissionChecks) -> None:
        self._ministack = ministack
        self._shards = shards
        self._access = access

    def takes(self, arn: str) -> bool:
        return ":kinesis:" in arn

    def check(self, data: Json) -> None:
        without_time = data.get("StartingPositionTimestamp") is None
        if data.get("StartingPosition") == "AT_TIMESTAMP" and without_time:
            raise RefusedError(
                "InvalidParameterValueException", "AT_TIMESTAMP needs StartingPositionTimestamp"
            )

    def find(self, arn: str) -> Json | None:
        stream = self._shards.stream(arn)
        return stream if stream and stream["StreamStatus"] == "ACTIVE" else None

    def refusal(self, function: Json, stream: Json) -> str | None:
        arn = stream["StreamARN"]
        text, owner = self._ministack.kinesis.stream_policy_for_arn(arn) or ("", arn.split(":")[4])
        policy = ResourcePolicy(text, owner)
        key = stream.get("KeyId") if stream.get("EncryptionType") == "KMS" else None
        refused = self._access.function_refusal(function, KINESIS_READS, arn, policy)
        return refused or self._access.decryption_refusal(function, key, arn, "alias/aws/kinesis")

    def admit(self, shard_id: str, mapping: str) -> bool:
        return True

    def release(self, shard_id: str, mapping: str) -> None:
        return None
