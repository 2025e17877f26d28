"""Bounded scans of the target: for `resume`, and of a table that is to be adopted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.aws.items import suggest_read_items

PAGE = 1_000
"""Items of one page."""


class AwsItemScan:
    """`ItemScanner` through the importer role, where the stack's configuration allows it: for
    `readItems`, and for a table that it adopts.
    """

    def __init__(self, calls: Calls, dynamodb: Any, table: str) -> None:
        self._calls = calls
        self._dynamodb = dynamodb
        self._table = table

    def scan(self, most: int) -> Iterator[Mapping[str, Any]]:
        """Read up to `most` items, page by page.

        Raises:
            AccessDeniedError: also if the stack's configuration does not allow it.
        """
        request: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True}
        while most > 0:
            request["Limit"] = min(most, PAGE)
            with suggest_read_items("the same command then names keys"):
                answer = self._calls("dynamodb", self._dynamodb.scan, self._table, **request)
            yield from answer["Items"]
            most -= len(answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def empty(self) -> bool:
        # A count and no item: the role may ask for nothing else where operators read no items.
        request: dict[str, Any] = {
            "TableName": self._table,
            "ConsistentRead": True,
            "Limit": 1,
            "Select": "COUNT",
        }
        while True:
            answer = self._calls("dynamodb", self._dynamodb.scan, self._table, **request)
            if answer["Count"]:
                return False
            if "LastEvaluatedKey" not in answer:
                return True
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
