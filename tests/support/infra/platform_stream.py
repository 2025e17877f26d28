"""A stream that a platform team owns in the source account of the local cloud."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from infra.local.cloud import LocalCloud


@dataclass(frozen=True)
class PlatformStream:
    """The stream, its key, and the tables that stream there already."""

    cloud: LocalCloud
    arn: str
    key_arn: str

    @classmethod
    def made(cls, cloud: LocalCloud, *tables: str, shards: int = 2) -> PlatformStream:
        """Make the stream and the destinations of these tables, and share nothing."""
        kms, kinesis = (cloud.client(name, cloud.source) for name in ("kms", "kinesis"))
        root = {"AWS": [f"arn:aws:iam::{each.account_id}:root" for each in cloud_accounts(cloud)]}
        everything = {"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
        key = kms.create_key(Policy=policy)["KeyMetadata"]["Arn"]
        kinesis.create_stream(StreamName="changes", ShardCount=shards, MaxRecordSizeInKiB=10_240)
        kinesis.get_waiter("stream_exists").wait(StreamName="changes")
        kinesis.increase_stream_retention_period(StreamName="changes", RetentionPeriodHours=8_760)
        kinesis.start_stream_encryption(StreamName="changes", EncryptionType="KMS", KeyId=key)
        found = kinesis.describe_stream_summary(StreamName="changes")
        stream = cls(cloud, found["StreamDescriptionSummary"]["StreamARN"], key)
        for table in tables:
            cloud.client("dynamodb", cloud.source).enable_kinesis_streaming_destination(
                TableName=table,
                StreamArn=stream.arn,
                EnableKinesisStreamingConfiguration={
                    "ApproximateCreationDateTimePrecision": "MICROSECOND"
                },
            )
        return stream

    def share(self, *statements: dict[str, Any]) -> None:
        """Put these statements into the stream's policy, for all that it had."""
        self.cloud.client("kinesis", self.cloud.source).put_resource_policy(
            ResourceARN=self.arn,
            Policy=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}),
        )

    @property
    def policy(self) -> str:
        """The stream's policy; empty if it has none."""
        kinesis = self.cloud.client("kinesis", self.cloud.source)
        return str(kinesis.get_resource_policy(ResourceARN=self.arn).get("Policy") or "")

    def destinations(self, table: str) -> list[tuple[str, str]]:
        """The table's destinations: streams, and their states."""
        found = self.cloud.client(
            "dynamodb", self.cloud.source
        ).describe_kinesis_streaming_destination(TableName=table)
        return [
            (each["StreamArn"], each["DestinationStatus"])
            for each in found["KinesisDataStreamDestinations"]
        ]


def cloud_accounts(cloud: LocalCloud) -> Sequence[Any]:
    return cloud.source, cloud.target
