"""Probe rows: each proves that every record before its probe has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from replicator.call_context import CallContext
from replicator.change import Probe
from replicator.consumer.proof_writer import ProofWriter
from replicator.probes import PROTOCOL, ROW_KEPT_SECONDS, probe_key
from replicator.settings import ConsumerSettings


@dataclass(frozen=True)
class ProbeRows(ProofWriter):
    """Writes the rows of probes."""

    def write(self, probe: Probe, settings: ConsumerSettings, context: CallContext) -> bool:
        """Write a probe's row; return False if the deadline came first.

        Call this only when every record before the probe in its batch has ended: the row is the
        proof of that, and that its lane obeys these settings.
        """
        return self.put(lambda now: _item(probe, settings, now), context)


def _item(probe: Probe, settings: ConsumerSettings, now: int) -> dict[str, Any]:
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
