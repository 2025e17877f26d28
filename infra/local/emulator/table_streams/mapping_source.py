"""DynamoDB streams as the sources of event source mappings, also of another account.

Lambda developer guide, services-ddb-params.html and services-dynamodb-eventsourcemapping.html;
DynamoDB developer guide, rbac-cross-account-access.html and rbac-considerations.html.
"""

from __future__ import annotations

from typing import Protocol

from infra.local.emulator.access import PermissionChecks, ResourcePolicy
from infra.local.emulator.patching import Json
from infra.local.emulator.refusals import RefusedError
from infra.local.emulator.table_streams.encryption import MANAGED, is_managed, key_of
from infra.local.emulator.table_streams.readers import ShardReaders
from infra.local.emulator.table_streams.store import TableStreams

READS = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
LISTS = "dynamodb:ListStreams"
"""No resource policy can allow it: only the role's own policies are asked."""


class StreamPolicies(Protocol):
    """The policies of streams, by ARN."""

    def seen_by(self, caller: str, arn: str) -> str | None:
        """Return the text of the policy that binds this caller now, if any."""


class TableStreamSource:
    """The DynamoDB streams of tables."""

    kind = "DynamoDB"
    reads = (
        "GetRecords, GetShardIterator, DescribeStream, and ListStreams Actions on your stream "
        "in IAM"
    )

    def __init__(
        self,
        streams: TableStreams,
        access: PermissionChecks,
        policies: StreamPolicies,
        readers: ShardReaders,
    ) -> None:
        self._streams = streams
        self._access = access
        self._policies = policies
        self._readers = readers

    def takes(self, arn: str) -> bool:
        return ":dynamodb:" in arn and "/stream/" in arn

    def check(self, data: Json) -> None:
        position = data.get("StartingPosition")
        if position not in ("TRIM_HORIZON", "LATEST"):
            raise RefusedError(
                "InvalidParameterValueException",
                f"Unsupported starting position for event source type DynamoDB stream: {position}",
            )
        if self._streams.find(data["EventSourceArn"]) is None:
            raise RefusedError(
                "ResourceNotFoundException", f"Stream not found: {data['EventSourceArn']}"
            )

    def find(self, arn: str) -> Json | None:
        return self._streams.find(arn)

    def refusal(self, function: Json, stream: Json) -> str | None:
        arn = stream["StreamARN"]
        account, owner = function["FunctionArn"].split(":")[4], arn.split(":")[4]
        text = self._policies.seen_by(self._access.role_session(function), arn)
        policy = ResourcePolicy(text or "", owner)
        key = key_of(stream["table"])
        if account != owner and is_managed(key):
            return f"kms:Decrypt on resource: {key}"
        return (
            self._access.function_refusal(function, READS, arn, policy)
            or self._access.function_refusal(function, (LISTS,), arn)
            or self._access.decryption_refusal(function, key, arn, MANAGED)
        )

    def admit(self, shard_id: str, mapping: str) -> bool:
        return self._readers.admit(shard_id, mapping, stays=True)

    def release(self, shard_id: str, mapping: str) -> None:
        self._readers.release(shard_id, mapping)
