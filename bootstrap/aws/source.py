"""The source account on AWS."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap.aws.calls import Calls, answered_at
from bootstrap.aws.exports import TableExports, encrypted, moment_of
from bootstrap.aws.keys import KeyReader
from bootstrap.aws.paging import broken_listing, pages
from bootstrap.aws.resource_policies import AwsResourcePolicies
from bootstrap.aws.table_metrics import TableMetrics
from bootstrap.aws.tables import Tables
from bootstrap.core.errors import AccountError
from bootstrap.core.facts import (
    Backups,
    Datapoint,
    Destinations,
    ExportFacts,
    ExportRequest,
    KeyFacts,
    OpenShards,
    PolicyRevision,
    ScaledCapacity,
    Surroundings,
    TableFacts,
    TtlStatus,
)
from replicator.probes import ProbeRecord, misplaced, not_taken, put_request
from replicator.stream import (
    Shard,
    StreamFacts,
    open_shards_in,
    open_shards_request,
    stream_in,
)

REPLICATION = "KinesisDataStream"
"""Value of the dimension DelegatedOperation (developer guide, metrics-dimensions)."""


class AwsSource:
    """`SourceAccount` through the exporter role. Control plane and metrics only."""

    def __init__(
        self,
        calls: Calls,
        dynamodb: Any,
        kinesis: Any,
        cloudwatch: Any,
        scaling: Any = None,
        kms: Any = None,
    ) -> None:
        self._calls = calls
        self._dynamodb = dynamodb
        self._kinesis = kinesis
        self._metrics = TableMetrics(calls, cloudwatch)
        self._scaling = scaling
        self._tables = Tables(calls, dynamodb)
        self._exports = TableExports(calls, dynamodb)
        self._keys = KeyReader(calls, kms)

    def table(self, name: str) -> TableFacts | None:
        return self._tables.describe(name)

    def backups(self, table: str) -> Backups:
        return self._tables.backups(table)

    def enable_backups(self, table: str) -> None:
        self._tables.enable_backups(table)

    def disable_backups(self, table: str) -> None:
        self._tables.disable_backups(table)

    def tags(self, table_arn: str) -> Mapping[str, str]:
        return self._tables.tags(table_arn)

    def expiry(self, table: str) -> TtlStatus:
        return self._tables.expiry(table)

    def destinations(self, table: str) -> Destinations:
        return self._tables.destinations(table)

    def key(self, arn: str) -> KeyFacts:
        return self._keys.look(arn)

    def awss_own_key(self, arn: str) -> bool | None:
        return self._keys.awss_own(arn)

    def policy(self, table_arn: str) -> PolicyRevision:
        return AwsResourcePolicies(self._calls, self._dynamodb).read(table_arn)

    def scaled_capacity(
        self, table: str, indexes: Sequence[str]
    ) -> Sequence[ScaledCapacity] | None:
        if self._scaling is None:
            return None
        resources = [f"table/{table}", *(f"table/{table}/index/{name}" for name in indexes)]
        listing = pages(
            self._calls,
            "application-autoscaling",
            self._scaling.describe_scalable_targets,
            table,
            ServiceNamespace="dynamodb",
            ResourceIds=resources,
        )
        return [
            ScaledCapacity(
                each["ResourceId"],
                each["ScalableDimension"],
                int(each["MinCapacity"]),
                int(each["MaxCapacity"]),
            )
            for answer in listing
            for each in answer["ScalableTargets"]
        ]

    def surroundings(self, table: str, table_arn: str) -> Surroundings:
        # Each may be denied or unknown without harm: `parity` then reports it as unread.
        scaled: list[str] | None = None
        insights: bool | None = None
        policy: bool | None = None
        if self._scaling is not None:
            with contextlib.suppress(AccountError):
                answer = self._calls(
                    "application-autoscaling",
                    self._scaling.describe_scalable_targets,
                    table,
                    ServiceNamespace="dynamodb",
                    ResourceIds=[f"table/{table}"],
                )
                scaled = [each["ScalableDimension"] for each in answer["ScalableTargets"]]
        with contextlib.suppress(AccountError):
            answer = self._calls(
                "dynamodb", self._dynamodb.describe_contributor_insights, table, TableName=table
            )
            insights = answer["ContributorInsightsStatus"] in ("ENABLED", "ENABLING")
        try:
            self._calls(
                "dynamodb", self._dynamodb.get_resource_policy, table_arn, ResourceArn=table_arn
            )
            policy = True
        except AccountError as error:
            policy = False if error.code == "PolicyNotFoundException" else None
        return Surroundings(scaled, insights, policy)

    # -- the export ------------------------------------------------------------------------------

    def export(self, request: ExportRequest) -> ExportFacts | None:
        return self._exports.start(
            TableArn=request.table_arn,
            ExportTime=moment_of(request.export_time),
            ClientToken=request.token,
            S3Bucket=request.bucket,
            S3BucketOwner=request.bucket_owner,
            S3Prefix=request.prefix,
            ExportFormat="DYNAMODB_JSON",
            ExportType="FULL_EXPORT",
            **encrypted(request.key),
        )

    def describe_export(self, arn: str) -> ExportFacts | None:
        return self._exports.describe(arn)

    def find_export(
        self, table_arn: str, prefix: str, begun: tuple[float, float] | None = None
    ) -> ExportFacts | None:
        return self._exports.find(table_arn, prefix, begun)

    def running_exports(self) -> int | None:
        return self._exports.count_running()

    # -- the stream ------------------------------------------------------------------------------

    def stream(self, stream_name: str) -> StreamFacts:
        answer = self._calls(
            "kinesis",
            self._kinesis.describe_stream_summary,
            stream_name,
            StreamName=stream_name,
        )
        return stream_in(answer)

    def stream_policy(self, stream_arn: str) -> str | None:
        try:
            answer = self._calls(
                "kinesis", self._kinesis.get_resource_policy, stream_arn, ResourceARN=stream_arn
            )
        except AccountError as error:
            if error.code == "ResourceNotFoundException":
                return None
            raise
        return answer.get("Policy") or None

    def open_shards(self, stream_name: str) -> OpenShards:
        request: dict[str, Any] | None = open_shards_request(stream_name)
        shards: list[Shard] = []
        dates: list[float] = []
        asked: list[dict[str, Any]] = []
        while request is not None:
            if request in asked:
                raise broken_listing(self._calls, "kinesis", stream_name, "it repeats a page")
            asked.append(request)
            answer = self._calls("kinesis", self._kinesis.list_shards, stream_name, **request)
            dates.append(answered_at(answer))
            found, request = open_shards_in(answer)
            shards += found
        # The first page is the oldest: all shards were open at its time or later.
        return OpenShards(tuple(sorted(shards, key=lambda shard: shard.shard_id)), dates[0])

    def put_probes(self, stream_name: str, records: Sequence[ProbeRecord]) -> Sequence[ProbeRecord]:
        answer = self._calls(
            "kinesis", self._kinesis.put_records, stream_name, **put_request(stream_name, records)
        )
        return [*not_taken(records, answer), *misplaced(records, answer)]

    # -- metrics ---------------------------------------------------------------------------------

    def oldest_unreplicated(
        self, table: str, since: float, until: float, period: int
    ) -> Sequence[Datapoint]:
        return self._metrics.read(
            "AgeOfOldestUnreplicatedRecord", "Maximum", _replication(table), since, until, period
        )

    def consumed_writes(
        self, table: str, since: float, until: float, period: int, index: str = ""
    ) -> Sequence[Datapoint]:
        return self._metrics.consumed_writes(table, since, until, period, index)

    def expired_items(
        self, table: str, since: float, until: float, period: int
    ) -> Sequence[Datapoint]:
        # They consume no write capacity, so ConsumedWriteCapacityUnits leaves them out (developer
        # guide, TTL).
        return self._metrics.read(
            "TimeToLiveDeletedItemCount", "Sum", {"TableName": table}, since, until, period
        )

    def throttled_partitions(self, table: str, since: float, until: float, period: int) -> int:
        # Writes refused because they exceed one partition's limit, whatever the table's limit is
        # (developer guide, TroubleshootingThrottling-cloudwatch).
        points = self._metrics.read(
            "WriteKeyRangeThroughputThrottleEvents",
            "Sum",
            {"TableName": table},
            since,
            until,
            period,
        )
        return round(sum(point.value for point in points))

    def failed_to_replicate(self, table: str, since: float, until: float, period: int) -> int:
        points = self._metrics.read(
            "FailedToReplicateRecordCount", "Sum", _replication(table), since, until, period
        )
        return round(sum(point.value for point in points))


def _replication(table: str) -> dict[str, str]:
    return {"TableName": table, "DelegatedOperation": REPLICATION}
