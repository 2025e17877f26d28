"""How much chaos there was, as CloudWatch metrics of the namespace LocalChaos."""

from __future__ import annotations

import logging
import time

from infra.local.emulator.metrics import put_metric
from infra.local.emulator.patching import Ministack

NAMESPACE = "LocalChaos"

log = logging.getLogger("local.chaos")


class ChaosTally:
    """Counts what was caused, in the account and Region where it happened."""

    def __init__(self, ministack: Ministack) -> None:
        self._ministack = ministack

    def count(self, what: str) -> None:
        """One more of `what`: Duplicated, Delayed, Scattered, Poisoned, Overlapped, …"""
        put_metric(self._ministack, NAMESPACE, what, 1, "Count", {}, time.time())
