"""The observer: the role in the source account that the watchdog acts as there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from replicator.runtime import Clock
from replicator.watchdog.aws_readings import ask

MARGIN_SECONDS = 600.0
"""Credentials are renewed so long before they end: a round of the watchdog is shorter."""

MakeClient = Callable[[str, str, Mapping[str, str] | None], Any]
"""Service, Region and credentials; None for the function's own."""


class Observer:
    """Clients of the source account and Region. Assumes the role when the first one is needed."""

    def __init__(self, role_arn: str, region: str, make: MakeClient, clock: Clock) -> None:
        self._role_arn = role_arn
        self._region = region
        self._make = make
        self._clock = clock
        self._clients: dict[str, Any] = {}
        self._credentials: Mapping[str, str] = {}
        self._until = 0.0

    def client(self, service: str) -> Any:
        """Raises UnreadableError if the role cannot be assumed."""
        now = self._clock.now_micros() / 1e6
        if now >= self._until - MARGIN_SECONDS:
            sts = self._make("sts", self._region, None)
            answer = ask(sts.assume_role, RoleArn=self._role_arn, RoleSessionName="watchdog")
            self._credentials = answer["Credentials"]
            self._until = answer["Credentials"]["Expiration"].timestamp()
            self._clients = {}
        if service not in self._clients:
            self._clients[service] = self._make(service, self._region, self._credentials)
        return self._clients[service]
