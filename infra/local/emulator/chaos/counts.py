"""Counts of the chaos that was caused, as CloudWatch metrics of the namespace LocalChaos."""

from __future__ import annotations

import logging
import time

from infra.local.emulator.patching import Ministack
from infra.local.emulator.replication_metrics import put_metric

NAMESPACE = "LocalChaos"

log = logging.getLogger("local.chaos")


class ChaosCounts:
    """Counts in the account and Region where the chaos happened."""

    def __init__(self, ministack: Ministack) -> None:
        self._ministack = ministack

    def count(self, what: str) -> None:
        """Count one occurrence: Duplicated, Delayed, Scattered, Poisoned, Overlapped, …"""
        put_metric(self._ministack, NAMESPACE, what, 1, "Count", {}, time.time())
