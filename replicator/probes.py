"""The ledger table's rows of probes: their key, and their life."""

from __future__ import annotations

from replicator.change import Probe

ROW_KEPT_SECONDS = 86_400


def probe_key(probe: Probe) -> bytes:
    return b"probe:" + probe.probe.encode() + b":" + str(probe.n).encode()
