"""Notes of the records that a batch could not end, for the watchdog and `status`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from replicator import aws
from replicator.aws import Failure
from replicator.call_context import CallContext
from replicator.consumer.decode import Record
from replicator.consumer.shared_rows import SharedRows, retried
from replicator.consumer.stream_records import record_order
from replicator.runtime import Clock
from replicator.unended_row import (
    FORGOTTEN_SECONDS,
    NOTED_SECONDS,
    UNENDED_KEY,
    created_in,
    member,
)


@dataclass(frozen=True)
class UnendedNotes:
    """Writes to the row `unended`. Costs nothing while the consumer is not behind."""

    rows: SharedRows
    clock: Clock

    def note(self, record: Record, context: CallContext) -> None:
        """Note the record from which Lambda has to deliver again."""
        if not self._is_late(record):
            return
        created = int(record.arrival) or int(self._now())
        # A note that is not written is no loss: what has not ended shows in the metrics, too.
        retried(partial(self._change, context, {record_order(record): created}), context)

    def remove(self, ended: Sequence[Record], context: CallContext) -> Sequence[Record]:
        """Remove the notes of records that have ended; return those whose notes are still there.

        A redelivered batch begins with the record that was noted.
        """
        if not ended or not self._is_late(ended[0]):
            return ()
        orders = {record_order(record): record for record in ended}
        left: set[str] = set()
        done = retried(partial(self._remove, context, orders, left), context)
        return () if done else [orders[order] for order in left] or [ended[-1]]

    def _remove(self, context: CallContext, orders: Mapping[str, Record], left: set[str]) -> bool:
        item = self.rows.get(UNENDED_KEY, context)
        if item is None:
            return False
        try:
            noted = created_in(item)
        except ValueError as error:
            context.report_error("GetItem", "UnendedRowUnreadable", str(error))
            return False
        left.clear()
        left |= noted.keys() & orders.keys()
        oldest = self._now() - FORGOTTEN_SECONDS
        gone = left | {order for order, created in noted.items() if created < oldest}
        return not gone or self._change(context, {}, sorted(gone))

    def _change(
        self, context: CallContext, added: Mapping[str, int], removed: Sequence[str] = ()
    ) -> bool:
        """Add and remove members; another container's stay as they are."""
        parts, names, values = [], {}, {}
        for n, (order, created) in enumerate(added.items()):
            names[f"#a{n}"], values[f":a{n}"] = member(order), {"N": str(created)}
        if added:
            parts.append("SET " + ", ".join(f"#a{n} = :a{n}" for n in range(len(added))))
        for n, order in enumerate(removed):
            names[f"#r{n}"] = member(order)
        if removed:
            parts.append("REMOVE " + ", ".join(f"#r{n}" for n in range(len(removed))))
        request: dict[str, Any] = {
            "TableName": self.rows.ledger_table,
            "Key": {"k": {"B": UNENDED_KEY}},
            "UpdateExpression": " ".join(parts),
            "ExpressionAttributeNames": names,
            **({"ExpressionAttributeValues": values} if values else {}),
        }
        answer = aws.call(self.rows.dynamodb.update_item, request)
        if isinstance(answer, Failure):
            context.report_error("UpdateItem", answer.code, answer.loggable)
            return False
        return True

    def _is_late(self, record: Record) -> bool:
        return self._now() - record.arrival >= NOTED_SECONDS

    def _now(self) -> float:
        return self.clock.now_micros() / 1e6
