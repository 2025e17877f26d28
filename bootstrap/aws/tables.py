"""What both accounts are asked about their tables."""

from __future__ import annotations

from typing import Any

from bootstrap.accounts import Backups, TableFacts
from bootstrap.aws.calls import Calls
from bootstrap.errors import AccountError

MISSING = frozenset({"ResourceNotFoundException", "TableNotFoundException"})


class Tables:
    """DescribeTable and point-in-time recovery of one account and Region."""

    def __init__(self, calls: Calls, dynamodb: Any) -> None:
        self._calls = calls
        self._dynamodb = dynamodb

    def describe(self, name: str) -> TableFacts | None:
        """None if there is no such table."""
        try:
            answer = self._calls("dynamodb", self._dynamodb.describe_table, name, TableName=name)
        except AccountError as error:
            if error.code in MISSING:
                return None
            raise
        return facts_of(answer["Table"])

    def backups(self, name: str) -> Backups:
        """Point-in-time recovery and its window."""
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
        """Switches point-in-time recovery on. Its window begins then."""
        self._calls(
            "dynamodb",
            self._dynamodb.update_continuous_backups,
            name,
            TableName=name,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        )


def timestamp(moment: Any) -> float | None:
    """Epoch seconds of what botocore made of a time."""
    return None if moment is None else float(moment.timestamp())


def facts_of(table: dict[str, Any]) -> TableFacts:
    """TableFacts of a TableDescription."""
    encryption = table.get("SSEDescription", {})
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
        local_indexes=[index["IndexName"] for index in table.get("LocalSecondaryIndexes", [])],
        encryption=encryption.get("SSEType") if encrypted else None,
        key_arn=encryption.get("KMSMasterKeyArn") if encrypted else None,
    )
