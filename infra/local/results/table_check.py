"""The two tables and the buckets around them at the end, read with root credentials."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from infra.local.data.compare import ItemDifference, TableComparison, compare, describe, same
from infra.local.data.items import Item, TableShape
from infra.local.results.report import SHOWN_DIFFERENCES, IndexCheck, Leftovers

HEALING_SECONDS = 3
REREAD = 200
"""Differences that are looked at a second time, at most."""


@dataclass(frozen=True)
class CheckedTable:
    """A table, and the DynamoDB client of its account and Region."""

    dynamodb: Any
    table: str

    def scan(self) -> Iterator[Item]:
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName=self.table, ConsistentRead=True
        )
        return (item for page in pages for item in page["Items"])

    def get(self, key: Item) -> Item | None:
        answer = self.dynamodb.get_item(TableName=self.table, Key=key, ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item


class TableChecker:
    """Compares the source with the target; both have to be at rest."""

    def __init__(self, source: CheckedTable, target: CheckedTable, shape: TableShape) -> None:
        self._source = source
        self._target = target
        self._shape = shape
        self._by_index_value: Counter[str] = Counter()

    def compare(self) -> TableComparison:
        """Compare item by item; the first few differences name the attributes."""
        self._by_index_value.clear()
        found = compare(self._noted(self._source.scan()), self._target.scan(), self._shape.keys)
        shown = [self._explained(each) for each in found.differences[:SHOWN_DIFFERENCES]]
        rest = found.differences[SHOWN_DIFFERENCES:]
        return replace(found, differences=(*shown, *rest))

    def equal_later(self, comparison: TableComparison) -> int:
        """Count the differences that are gone a little later. They stay differences."""
        if not comparison.differences:
            return 0
        time.sleep(HEALING_SECONDS)
        keys = [each.key for each in comparison.differences[:REREAD]]
        return sum(same(self._source.get(key), self._target.get(key)) for key in keys)

    def check_index(self) -> IndexCheck:
        """Count the target's index entries, value by value; call it after `compare`."""
        wrong = 0
        for value, expected in self._by_index_value.items():
            wrong += self._index_count(value) != expected
        total = sum(self._by_index_value.values())
        return IndexCheck(self._shape.index_name, total, wrong)

    def _noted(self, items: Iterator[Item]) -> Iterator[Item]:
        index = self._shape.index
        for item in items:
            if all(each.type in item.get(each.name, {}) for each in index.attributes):
                self._by_index_value[item[index.partition.name][index.partition.type]] += 1
            yield item

    def _index_count(self, value: str) -> int:
        partition = self._shape.index.partition
        pages = self._target.dynamodb.get_paginator("query").paginate(
            TableName=self._target.table,
            IndexName=self._shape.index_name,
            KeyConditionExpression="#p = :v",
            ExpressionAttributeNames={"#p": partition.name},
            ExpressionAttributeValues={":v": {partition.type: value}},
            Select="COUNT",
        )
        return sum(page["Count"] for page in pages)

    def _explained(self, difference: ItemDifference) -> ItemDifference:
        source = self._source.get(difference.key)
        target = self._target.get(difference.key)
        if difference.kind != "different" or source is None or target is None:
            return difference
        words = describe(source, target) or ("equal when read again",)
        return replace(difference, attributes=words)


def leftovers(s3: Any, s3_of_failures: Any, table: Mapping[str, Any]) -> Leftovers:
    """Return what is in quarantine and in Lambda's on-failure bucket."""
    bucket = table["quarantineBucket"]
    reasons = [_reason(s3, bucket, key) for key in _keys(s3, bucket)]
    failures = sum(1 for _ in _keys(s3_of_failures, table["onFailureBucket"]))
    return Leftovers(tuple(reasons), failures)


def _reason(s3: Any, bucket: str, key: str) -> str:
    return str(json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())["reason"])


def _keys(s3: Any, bucket: str) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", ()):
            yield entry["Key"]
