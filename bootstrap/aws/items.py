"""Single items of the target table on AWS, for whom an operator asks about one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bootstrap.aws.calls import Calls


class AwsItems:
    """Reads through the importer role."""

    def __init__(self, calls: Calls, dynamodb: Any, table: str) -> None:
        self._calls = calls
        self._dynamodb = dynamodb
        self._table = table

    def get(self, key: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The item as DynamoDB JSON with binary as bytes; None if there is none."""
        answer = self._calls(
            "dynamodb",
            self._dynamodb.get_item,
            self._table,
            TableName=self._table,
            Key=key,
            ConsistentRead=True,
        )
        item: Mapping[str, Any] | None = answer.get("Item")
        return item
