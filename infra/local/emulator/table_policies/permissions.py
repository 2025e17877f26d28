"""The assembly of this package."""

from __future__ import annotations

import random
from collections.abc import Callable

from infra.local.emulator.access import PermissionChecks
from infra.local.emulator.patching import Ministack
from infra.local.emulator.settings import EmulatorSettings
from infra.local.emulator.table_policies.evaluation import TableAccess
from infra.local.emulator.table_policies.history import PolicySpread
from infra.local.emulator.table_policies.operations import TablePolicies
from infra.local.emulator.table_policies.owners_account import OwnersAccount
from infra.local.emulator.table_policies.statements import StatementPermissions


class TablePermissions:
    """Resource policies of tables and streams: their operations, and their effect on every call."""

    def __init__(
        self,
        ministack: Ministack,
        access: PermissionChecks,
        settings: EmulatorSettings,
        has_stream: Callable[[str], bool],
    ) -> None:
        """`has_stream` says whether the DynamoDB stream of an ARN can still be read."""
        seed = settings.chaos.seed or random.SystemRandom().getrandbits(32)
        spread = PolicySpread(settings.policy_seconds, settings.policy_read_seconds, seed)
        self._ministack = ministack
        self._access = access
        self._calls = TableAccess(ministack, access.caller_key, settings.bulk.policies)
        self.policies = TablePolicies(
            ministack,
            self._calls,
            spread,
            settings.policy_quiet_seconds,
            has_stream=has_stream,
            bulk=settings.bulk.policies,
        )

    def install(self) -> None:
        """Replace ministack's functions, behind the message that `AccessDenials` writes."""
        self.policies.install()
        self._calls.install(self.policies)
        StatementPermissions(self._ministack, self._access.caller_key).install()
        OwnersAccount(self._ministack).install()
