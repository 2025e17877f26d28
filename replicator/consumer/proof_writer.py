"""The writer of rows that prove how far a stream is through: those of probes, and ended rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from replicator import aws
from replicator.aws import Failure
from replicator.call_context import CallContext
from replicator.runtime import Clock


@dataclass(frozen=True)
class ProofWriter:
    """Writes to the ledger table. `dynamodb` is a client with boto3's method `put_item`."""

    dynamodb: Any
    ledger_table: str
    clock: Clock

    def put(self, item_at: Callable[[int], dict[str, Any]], context: CallContext) -> bool:
        """Write a row; return False if the deadline came first.

        `item_at` makes the row for the time of an attempt, in microseconds since 1970.
        """
        failures = 0
        while context.deadline.allows_call():
            request = {"TableName": self.ledger_table, "Item": item_at(self.clock.now_micros())}
            answer = aws.call(self.dynamodb.put_item, request)
            if not isinstance(answer, Failure):
                return True
            context.report_error("PutItem", answer.code, answer.loggable)
            failures += 1
            if not context.deadline.wait(failures):
                break
        return False
