"""Probe rows: the proof that everything before a point of the stream is through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from replicator import aws
from replicator.aws import Failure
from replicator.call_context import CallContext
from replicator.change import Probe
from replicator.probes import ROW_KEPT_SECONDS, probe_key
from replicator.runtime import Clock


@dataclass(frozen=True)
class ProbeRows:
    """Writes to the ledger table. `dynamodb` is a client with boto3's method `put_item`."""

    dynamodb: Any
    ledger_table: str
    clock: Clock

    def write(self, probe: Probe, terms: CallContext) -> bool:
        """Writes a probe's row; False if that could not be done before the deadline.

        The caller has seen to it that every record before the probe in its batch has ended.
        """
        failures = 0
        while terms.deadline.allows_call():
            now = self.clock.now_micros()
            request = {
                "TableName": self.ledger_table,
                "Item": {
                    "k": {"B": probe_key(probe)},
                    "at": {"N": str(now)},
                    "x": {"N": str(now // 1_000_000 + ROW_KEPT_SECONDS)},
                },
            }
            answer = aws.call(self.dynamodb.put_item, request)
            if not isinstance(answer, Failure):
                return True
            terms.trouble("PutItem", answer.code, answer.loggable)
            failures += 1
            if not terms.deadline.wait(failures):
                break
        return False
