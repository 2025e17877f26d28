"""EventBridge's schedules on the local cloud's clock: every five minutes is every few seconds."""

from __future__ import annotations

from collections.abc import Callable

from infra.local.emulator.patching import Ministack
from infra.local.emulator.settings import EmulatorSettings


class Schedules:
    """Shortens what ministack reads from a rate expression, and how often it looks."""

    def __init__(self, ministack: Ministack, settings: EmulatorSettings) -> None:
        self._ministack = ministack
        self._settings = settings
        self._seconds: Callable[[str], int | None]

    def install(self) -> None:
        """Take the place of ministack's function."""
        self._seconds = self._ministack.replace("eventbridge", "_parse_rate_seconds", self.seconds)
        pause = self._settings.scaled(10, floor=0.5)
        self._ministack.replace("eventbridge", "_SCHEDULER_TICK_INTERVAL", pause)

    def seconds(self, expression: str) -> float | None:
        """The interval of a rate expression; None for any other."""
        seconds = self._seconds(expression)
        return None if seconds is None else self._settings.watched(seconds)
