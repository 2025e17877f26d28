"""Overlapping invocations, redelivered batches, and invocations that are killed."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable

from infra.local.emulator.chaos.rates import Chaos
from infra.local.emulator.invocation import Delivery, FunctionAnswer, Invocation
from infra.local.emulator.workers import kill_after

log = logging.getLogger("local.chaos")


class ChaosDelivery:
    """Wraps the real delivery. The answer it returns is always one that a function gave."""

    def __init__(self, chaos: Chaos, delivery: Delivery, count: Callable[[str], None]) -> None:
        self._chaos = chaos
        self._delivery = delivery
        self._count = count
        self._random = chaos.random()
        self._lock = threading.Lock()

    def deliver(self, invocation: Invocation) -> FunctionAnswer:
        """Deliver once for the answer, and perhaps a second time in parallel or afterwards."""
        if self._happens(self._chaos.overlap):
            self._count("Overlapped")
            self._beside(invocation, self._draw(0.05))
        answer = self._once(invocation)
        if not answer.failed and self._happens(self._chaos.redeliver):
            self._count("Redelivered")
            self._beside(invocation, self._draw(self._chaos.delay_seconds))
        return answer

    def _once(self, invocation: Invocation) -> FunctionAnswer:
        if not self._happens(self._chaos.kill):
            return self._delivery.deliver(invocation)
        self._count("Killed")
        with self._lock:
            calls = self._random.randint(0, self._chaos.kill_calls)
        token = kill_after.set(calls)
        try:
            return self._delivery.deliver(invocation)
        finally:
            kill_after.reset(token)

    def _beside(self, invocation: Invocation, delay: float) -> None:
        def run() -> None:
            time.sleep(delay)
            try:
                self._once(invocation)
            except Exception:
                log.exception("A second delivery of a batch failed")

        context = contextvars.copy_context()
        threading.Thread(
            target=context.run, args=(run,), name="local-second-delivery", daemon=True
        ).start()

    def _happens(self, rate: float) -> bool:
        with self._lock:
            return self._random.random() < rate

    def _draw(self, most: float) -> float:
        with self._lock:
            return self._random.uniform(0, most)
