"""A table as the comparison reads it: everything, and with root credentials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infra.local.data.items import Item


@dataclass(frozen=True)
class CheckedTable:
    """A table, and the DynamoDB client of its account and Region."""

    dynamodb: Any
    table: str

    def scan(self, index: str | None = None) -> Iterator[Item]:
        """Yield every item of the table, or of one of its indexes as it projects them."""
        request = {"IndexName": index} if index else {"ConsistentRead": True}
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.table, **request)
        return (item for page in pages for item in page["Items"])

    def query(self, **request: Any) -> Iterator[Item]:
        """Yield every item of a query's answer, in its order."""
        pages = self.dynamodb.get_paginator("query").paginate(TableName=self.table, **request)
        return (item for page in pages for item in page["Items"])

    def get(self, key: Item) -> Item | None:
        """Return the item of a key."""
        answer = self.dynamodb.get_item(TableName=self.table, Key=key, ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item
