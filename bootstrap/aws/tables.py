"""Descriptions and settings of tables, in either account."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bootstrap.aws.calls import Calls, answered_at
from bootstrap.aws.paging import pages
from bootstrap.core.errors import AccountError
from bootstrap.core.facts import Backups, Destinations, TableFacts, TtlStatus
from replicator.aws_commands import table_option
from replicator.stream import destinations_in

TTL_STATES = {"ENABLED": True, "ENABLING": True, "DISABLED": False, "DISABLING": False}
"""AWS's states of time to live (API reference, TimeToLiveDescription), and whether each is on."""
MISSING = frozenset({"ResourceNotFoundException", "TableNotFoundException"})


class Tables:
    """Tables of one account and Region."""

    def __init__(self, calls: Calls, dynamodb: Any) -> None:
        self._calls = calls
        self._dynamodb = dynamodb

    def describe(self, name: str) -> TableFacts | None:
        """Describe a table; None if it does not exist."""
        try:
            answer = self._calls("dynamodb", self._dynamodb.describe_table, name, TableName=name)
        except AccountError as error:
            if error.code in MISSING:
                return None
            raise
        return facts_of(answer["Table"])

    def backups(self, name: str) -> Backups:
        """Describe point-in-time recovery and its window."""
        answer = self._calls(
            "dynamodb", self._dynamodb.describe_continuous_backups, name, TableName=name
        )
        found = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        if found.get("PointInTimeRecoveryStatus") != "ENABLED":
            return Backups(enabled=False)
        return Backups(
            enabled=True,
            earliest=timestamp(found.get("EarliestRestorableDateTime")),
            latest=timestamp(found.get("LatestRestorableDateTime")),
        )

    def enable_backups(self, name: str) -> None:
        """Switch point-in-time recovery on. Its window begins then."""
        self._switch_backups(name, True)

    def disable_backups(self, name: str) -> None:
        """Switch point-in-time recovery off. Its window is lost."""
        self._switch_backups(name, False)

    def _switch_backups(self, name: str, on: bool) -> None:
        self._calls(
            "dynamodb",
            self._dynamodb.update_continuous_backups,
            name,
            TableName=name,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": on},
        )

    def destinations(self, name: str) -> Destinations:
        """List the streams that a table's changes go to, or went to, by AWS's clock."""
        answer = self._calls(
            "dynamodb",
            self._dynamodb.describe_kinesis_streaming_destination,
            name,
            TableName=name,
        )
        return Destinations(tuple(destinations_in(answer)), answered_at(answer))

    def tags(self, arn: str) -> Mapping[str, str]:
        """List a table's tags, without those that AWS sets."""
        listing = pages(
            self._calls, "dynamodb", self._dynamodb.list_tags_of_resource, arn, ResourceArn=arn
        )
        tags = {tag["Key"]: tag["Value"] for answer in listing for tag in answer.get("Tags", [])}
        return {key: tags[key] for key in sorted(tags) if not key.startswith("aws:")}

    def expiry(self, name: str) -> TtlStatus:
        """Describe a table's time to live.

        Raises:
            AccountError: for a status that this version does not know: unknown is not off.
        """
        answer = self._calls("dynamodb", self._dynamodb.describe_time_to_live, name, TableName=name)
        found = answer.get("TimeToLiveDescription", {})
        status = found.get("TimeToLiveStatus")
        if status not in TTL_STATES:
            raise AccountError(
                self._calls.side,
                f"dynamodb:DescribeTimeToLive of {name} in the {self._calls.side.account} answered "
                f"with the status {status}, which this version does not know.",
                fix=f"aws dynamodb describe-time-to-live {table_option(name)}; once it says "
                "ENABLED or DISABLED, run the same command again",
            )
        return TtlStatus(TTL_STATES[status], found.get("AttributeName"))

    def set_expiry(self, name: str, attribute: str, on: bool) -> None:
        """Switch time to live on or off. AWS takes one such change of a table in an hour."""

        def so() -> bool:
            there = self.expiry(name)
            return there.enabled == on and (not on or there.attribute == attribute)

        with unless(so):
            self._calls(
                "dynamodb",
                self._dynamodb.update_time_to_live,
                name,
                TableName=name,
                TimeToLiveSpecification={"Enabled": on, "AttributeName": attribute},
            )


@contextlib.contextmanager
def unless(so: Callable[[], bool]) -> Iterator[None]:
    """Ignore a refused change that is in effect already.

    This call may have made it, if its answer was lost and the SDK repeated it.
    """
    try:
        yield
    except AccountError as error:
        if error.code != "ValidationException" or not so():
            raise


def timestamp(moment: Any) -> float | None:
    """Convert botocore's datetime to epoch seconds."""
    return None if moment is None else float(moment.timestamp())


def facts_of(table: dict[str, Any]) -> TableFacts:
    """Read a TableDescription."""
    encryption = table.get("SSEDescription", {})
    capacity = table.get("ProvisionedThroughput", {})
    on_demand = table.get("OnDemandThroughput", {})
    warm = table.get("WarmThroughput", {})
    stream = table.get("StreamSpecification", {})
    encrypted = encryption.get("Status") in ("ENABLED", "ENABLING", "UPDATING")
    return TableFacts(
        arn=table["TableArn"],
        table_id=table.get("TableId", ""),
        status=table["TableStatus"],
        items=int(table.get("ItemCount", 0)),
        size_bytes=int(table.get("TableSizeBytes", 0)),
        deletion_protection=bool(table.get("DeletionProtectionEnabled")),
        keys=table.get("KeySchema", []),
        attributes=table.get("AttributeDefinitions", []),
        global_indexes=table.get("GlobalSecondaryIndexes", []),
        local_indexes=table.get("LocalSecondaryIndexes", []),
        vector_indexes=[index["IndexName"] for index in table.get("VectorIndexes", [])],
        encryption=encryption.get("SSEType") if encrypted else None,
        key_arn=encryption.get("KMSMasterKeyArn") if encrypted else None,
        # A table that has always been provisioned has no summary.
        billing_mode=table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        read_capacity=int(capacity.get("ReadCapacityUnits", 0)),
        write_capacity=int(capacity.get("WriteCapacityUnits", 0)),
        max_reads=_maximum(on_demand.get("MaxReadRequestUnits")),
        max_writes=_maximum(on_demand.get("MaxWriteRequestUnits")),
        warm_reads=int(warm.get("ReadUnitsPerSecond", 0)),
        warm_writes=int(warm.get("WriteUnitsPerSecond", 0)),
        table_class=table.get("TableClassSummary", {}).get("TableClass", "STANDARD"),
        stream_view=stream.get("StreamViewType") if stream.get("StreamEnabled") else None,
        created=timestamp(table.get("CreationDateTime")) or 0,
        replicas=tuple(each["RegionName"] for each in table.get("Replicas", ())),
        global_version=table.get("GlobalTableVersion", ""),
        stream_arn=table.get("LatestStreamArn", ""),
    )


def _maximum(value: int | None) -> int | None:
    """Read an on-demand maximum: -1 means none (API reference, OnDemandThroughput)."""
    return None if value is None or value < 0 else int(value)
