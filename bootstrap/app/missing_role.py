"""A switch's role that the stack does not have: what it would read is unknown."""

from __future__ import annotations

from typing import NoReturn

from bootstrap.core.errors import AccessDeniedError, Side
from bootstrap.core.facts import PolicyRevision


class MissingSwitchRole:
    """`ResourcePolicies` and `WriteCanary` of a stack without the role. Every call fails."""

    def __init__(self, side: Side) -> None:
        self._side = side

    def read(self, table_arn: str) -> PolicyRevision:
        self._fail()

    def replace(
        self, table_arn: str, known: PolicyRevision, document: str | None
    ) -> PolicyRevision:
        self._fail()

    def refused(self, table: str) -> bool:
        self._fail()

    def _fail(self) -> NoReturn:
        raise AccessDeniedError(
            self._side,
            f"the stack has no role of a switch in the {self._side.account}",
            fix="set `switch: true` in the stack file, then pulumi up --refresh",
        )
