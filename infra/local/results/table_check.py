"""The two tables and the buckets around them at the end, read with root credentials."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from infra.local.data.compare import ItemDifference, TableComparison, compare, describe, same
from infra.local.data.items import Item, TableShape
from infra.local.results.checked_table import CheckedTable
from infra.local.results.index_check import IndexChecker
from infra.local.results.report import SHOWN_DIFFERENCES, IndexCheck, Leftovers

HEALING_SECONDS = 3
REREAD = 200
"""Differences that are looked at a second time, at most."""


class TableChecker:
    """Compares the source with the target; both have to be at rest."""

    def __init__(self, source: CheckedTable, target: CheckedTable, shape: TableShape) -> None:
        self._source = source
        self._target = target
        self._shape = shape
        self._indexes = [IndexChecker(source, target, shape.keys, index) for index in shape.indexes]

    def compare(self) -> TableComparison:
        """Compare item by item, once; the first few differences name the attributes."""
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

    def check_indexes(self) -> Sequence[IndexCheck]:
        """Check every index of the target; call it after `compare`."""
        return [each.check() for each in self._indexes]

    def _noted(self, items: Iterator[Item]) -> Iterator[Item]:
        for item in items:
            for each in self._indexes:
                each.note(item)
            yield item

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
