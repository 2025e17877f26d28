"""Records of other tables in this table's stream, counted by table and kept as rows of the ledger.

They are no changes of this table, so nothing about them may delay a change: they end at once, and
their rows are written last, a few an invocation, without waiting for an unwilling ledger table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from replicator.call_context import CallContext
from replicator.consumer.decode import Record
from replicator.consumer.shared_rows import SharedRows, retried
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
    """The records of other tables that a container has seen."""

    rows: SharedRows
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
            if not retried(partial(self._add_to_row, table, context), context):
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
        return retried(partial(self._add_to_index, table, context), context)

    def _add_to_index(self, table: str, context: CallContext) -> bool:
        item = self.rows.get(INDEX_KEY, context)
        if item is None:
            return False
        try:
            known = tables_in(item)
        except ValueError as error:
            context.report_error("GetItem", "ForeignIndexUnreadable", str(error))
            return False
        row = index_item(known | {table})
        if table not in known and not self.rows.replace(item, row, context, member="tables"):
            return False
        self._indexed |= known | {table}
        return True

    def _add_to_row(self, table: str, context: CallContext) -> bool:
        item = self.rows.get(foreign_key(table), context)
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
        if not self.rows.replace(item, row.to_item(), context, member="n"):
            return False
        seen.count = 0
        return True
