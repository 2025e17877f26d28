"""EventBridge's schedules on the local cloud's clock: every five minutes is every few seconds."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

from infra.local.emulator.patching import Json, Ministack
from infra.local.emulator.settings import EmulatorSettings

log = logging.getLogger("local.schedules")


class Schedules:
    """Shorter rates, and no second invocation of a function while its first one runs.

    AWS would start a second one. On the local clock a minute is a second, so an invocation that
    takes as long as on AWS would be overtaken by dozens of others, each with a process of its own.
    """

    def __init__(self, ministack: Ministack, settings: EmulatorSettings) -> None:
        self._ministack = ministack
        self._settings = settings
        self._running: set[str] = set()
        self._lock = threading.Lock()
        self._seconds: Callable[[str], int | None]

    def install(self) -> None:
        """Replace ministack's functions."""
        self._seconds = self._ministack.replace("eventbridge", "_parse_rate_seconds", self.seconds)
        pause = self._settings.scaled(10, floor=0.5)
        self._ministack.replace("eventbridge", "_SCHEDULER_TICK_INTERVAL", pause)
        self._ministack.replace("eventbridge", "_dispatch_to_lambda", self.invoke)

    def seconds(self, expression: str) -> float | None:
        """Return the interval of a rate expression; None for any other."""
        seconds = self._seconds(expression)
        return None if seconds is None else self._settings.watched(seconds)

    def invoke(self, arn: str, payload: str) -> None:
        """Start an invocation in the background, unless one of this function still runs."""
        service = self._ministack.lambda_svc
        function, config, name = service._get_func_record_for_ref(arn)
        if not function or not config:
            log.warning("A rule's target does not exist: %s", name)
            return
        with self._lock:
            if arn in self._running:
                log.info("Skipped a tick: %s still runs", name)
                return
            self._running.add(arn)
        record = service._execution_record_for_config(function, config)
        threading.Thread(
            target=self._run, args=(arn, record, json.loads(payload)), name="rule", daemon=True
        ).start()

    def _run(self, arn: str, record: Json, event: Any) -> None:
        try:
            self._ministack.lambda_svc._execute_function_with_config_scope(record, event)
        finally:
            with self._lock:
                self._running.discard(arn)
