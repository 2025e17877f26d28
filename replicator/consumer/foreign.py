"""Records of other tables in this table's stream, counted by table and kept as rows of the ledger.

They are no changes of this table, so nothing about them may delay a change: they end at once, and
their rows are written last, a few an invocation, without waiting for an unwilling ledger table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from replicator import aws
from replicator.aws import Failure
from replicator.call_context import CallContext
from replicator.consumer.decode import Record
from replicator.foreign_rows import (
    INDEX_KEY,
    ForeignRow,
    foreign_key,
    index_item,
    tables_in,
)
from replicator.runtime import Clock

WRITE_EVERY_SECONDS = 10.0
ROWS_PER_INVOCATION = 10
ATTEMPTS = 3

# Two containers may write one row. Each clause accepts one state, so that neither loses the count
# or the name that the other has just added.
NO_ROW = "attribute_not_exists(k)"
SAME_COUNT = "#n = :n"  # the row is as it was read
SAME_TABLES = "#tables = :tables"  # the index is as it was read


@dataclass
class _Unwritten:
    """One table's records since its row was last written."""

    count: int = 0
    at: int = 0
    record: Record | None = None
    tried_at: float | None = None
    """On the monotonic clock."""


@dataclass
class ForeignTables:
    """The records of other tables that a container has seen.

    `dynamodb` needs `get_item` and `put_item`.
    """

    dynamodb: Any
    ledger_table: str
    clock: Clock
    _seen: dict[str, _Unwritten] = field(default_factory=dict)
    _indexed: set[str] = field(default_factory=set)

    def add(self, table: str, record: Record) -> None:
        seen = self._seen.setdefault(table, _Unwritten())
        seen.count += 1
        seen.at = self.clock.now_micros()
        seen.record = record

    def write(self, context: CallContext) -> None:
        """Write the rows that are due. What cannot be written is kept for a later invocation."""
        for table in self._due()[:ROWS_PER_INVOCATION]:
            seen = self._seen[table]
            seen.tried_at = self.clock.monotonic()
            if not self._indexed_with(table, context):
                return
            if not _retried(partial(self._add_to_row, table, context), context):
                return

    def _due(self) -> list[str]:
        """The tables with records to write, those that have waited longest first."""
        now = self.clock.monotonic()
        due = [
            (seen.tried_at if seen.tried_at is not None else -1.0, table)
            for table, seen in self._seen.items()
            if seen.count and (seen.tried_at is None or now - seen.tried_at >= WRITE_EVERY_SECONDS)
        ]
        return [table for _, table in sorted(due)]

    def _indexed_with(self, table: str, context: CallContext) -> bool:
        """Name the table in the index first: a row that is not named there is never found."""
        if table in self._indexed:
            return True
        return _retried(partial(self._add_to_index, table, context), context)

    def _add_to_index(self, table: str, context: CallContext) -> bool:
        item = self._get(INDEX_KEY, context)
        if item is None:
            return False
        try:
            known = tables_in(item)
        except ValueError as error:
            context.report_error("GetItem", "ForeignIndexUnreadable", str(error))
            return False
        if table not in known and not self._put(
            index_item(known | {table}), context, SAME_TABLES, "tables", {"SS": sorted(known)}
        ):
            return False
        self._indexed |= known | {table}
        return True

    def _add_to_row(self, table: str, context: CallContext) -> bool:
        item = self._get(foreign_key(table), context)
        seen = self._seen[table]
        if item is None or seen.record is None:
            return False
        try:
            known = ForeignRow.from_item(item).count if item else 0
        except ValueError as error:
            context.report_error("GetItem", "ForeignRowUnreadable", str(error))
            return False
        row = ForeignRow(
            table,
            count=known + seen.count,
            at=seen.at,
            shard_id=seen.record.shard_id,
            sequence_number=seen.record.sequence_number,
        )
        if not self._put(row.to_item(), context, SAME_COUNT, "n", {"N": str(known)}):
            return False
        seen.count = 0
        return True

    def _get(self, key: bytes, context: CallContext) -> Mapping[str, Any] | None:
        """Return the item, empty where there is none; None if it could not be read."""
        request = {
            "TableName": self.ledger_table,
            "Key": {"k": {"B": key}},
            "ConsistentRead": True,
        }
        answer = aws.call(self.dynamodb.get_item, request)
        if isinstance(answer, Failure):
            context.report_error("GetItem", answer.code, answer.loggable)
            return None
        item: Mapping[str, Any] = answer.get("Item", {})
        return item

    def _put(
        self, item: dict[str, Any], context: CallContext, unchanged: str, name: str, was: Any
    ) -> bool:
        """Write a row if it is as it was read: absent, or with this member as it was."""
        known = was not in ({"SS": []}, {"N": "0"})
        request = {
            "TableName": self.ledger_table,
            "Item": item,
            "ConditionExpression": unchanged if known else NO_ROW,
        }
        if known:
            request |= {
                "ExpressionAttributeNames": {f"#{name}": name},
                "ExpressionAttributeValues": {f":{name}": was},
            }
        answer = aws.call(self.dynamodb.put_item, request)
        if not isinstance(answer, Failure):
            return True
        if answer.code != "ConditionalCheckFailedException":
            context.report_error("PutItem", answer.code, answer.loggable)
        return False


def _retried(attempt: Callable[[], bool], context: CallContext) -> bool:
    for failures in range(1, ATTEMPTS + 1):
        if not context.deadline.allows_call():
            return False
        if attempt():
            return True
        if failures < ATTEMPTS and not context.deadline.wait(failures):
            return False
    return False
