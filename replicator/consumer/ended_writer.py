"""The writer of the rows that prove how far a table's stream is through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from replicator import aws
from replicator.aws import Failure
from replicator.call_context import CallContext
from replicator.ended_rows import EndedRow
from replicator.runtime import Clock
from replicator.settings import ConsumerSettings


@dataclass(frozen=True)
class EndedWriter:
    """Writes to the ledger table. `dynamodb` is a client with boto3's method `put_item`."""

    dynamodb: Any
    ledger_table: str
    clock: Clock

    def write(self, order: str, settings: ConsumerSettings, context: CallContext) -> bool:
        """Write a record's row; return False if the deadline came first.

        Call this only when the record and every record before it in its batch have ended: the row
        is the proof of that, and that the batch obeyed these settings.
        """
        failures = 0
        while context.deadline.allows_call():
            row = EndedRow(
                order, self.clock.now_micros(), armed=settings.armed, closed=settings.closed
            )
            request = {"TableName": self.ledger_table, "Item": row.to_item()}
            answer = aws.call(self.dynamodb.put_item, request)
            if not isinstance(answer, Failure):
                return True
            context.report_error("PutItem", answer.code, answer.loggable)
            failures += 1
            if not context.deadline.wait(failures):
                break
        return False
