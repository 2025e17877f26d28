"""Probe rows: each proves that every record before its probe has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from replicator import aws
from replicator.aws import Failure
from replicator.call_context import CallContext
from replicator.change import Probe
from replicator.probes import PROTOCOL, ROW_KEPT_SECONDS, probe_key
from replicator.runtime import Clock
from replicator.settings import ConsumerSettings


@dataclass(frozen=True)
class ProbeRows:
    """Writes to the ledger table. `dynamodb` is a client with boto3's method `put_item`."""

    dynamodb: Any
    ledger_table: str
    clock: Clock

    def write(self, probe: Probe, settings: ConsumerSettings, context: CallContext) -> bool:
        """Write a probe's row; return False if the deadline came first.

        Call this only when every record before the probe in its batch has ended: the row is the
        proof of that, and that its lane obeys these settings.
        """
        failures = 0
        while context.deadline.allows_call():
            request = {"TableName": self.ledger_table, "Item": self._item(probe, settings)}
            answer = aws.call(self.dynamodb.put_item, request)
            if not isinstance(answer, Failure):
                return True
            context.report_error("PutItem", answer.code, answer.loggable)
            failures += 1
            if not context.deadline.wait(failures):
                break
        return False

    def _item(self, probe: Probe, settings: ConsumerSettings) -> dict[str, Any]:
        now = self.clock.now_micros()
        item: dict[str, Any] = {
            "k": {"B": probe_key(probe)},
            "at": {"N": str(now)},
            "protocol": {"N": str(PROTOCOL)},
            "x": {"N": str(now // 1_000_000 + ROW_KEPT_SECONDS)},
        }
        for name, nonce in (("armed", settings.armed), ("closed", settings.closed)):
            if nonce is not None:
                item[name] = {"S": nonce}
        return item
