"""KMS calls about aliases, which AWS authorises on the alias and on the key.

On the key the key's own policy has to allow them, or leave them to IAM (AWS KMS Developer Guide,
alias-access); ministack asks about the alias alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from infra.local.emulator.access import PermissionChecks, ResourcePolicy
from infra.local.emulator.patching import Json, Ministack, Response


class KeyAliases:
    """Refuses a call about an alias that the key's policy, or IAM for the key, does not allow."""

    def __init__(self, ministack: Ministack, access: PermissionChecks) -> None:
        self._ministack = ministack
        self._access = access

    def install(self) -> None:
        """Replace ministack's functions."""
        for name, action in (
            ("_create_alias", "kms:CreateAlias"),
            ("_update_alias", "kms:UpdateAlias"),
            ("_delete_alias", "kms:DeleteAlias"),
        ):
            self._check_before(name, action)

    def _check_before(self, name: str, action: str) -> None:
        answer: Callable[[Json], Response]

        def checked(data: Json) -> Response:
            return self._refusal(action, data) or answer(data)

        answer = self._ministack.replace("kms", name, checked)

    def _refusal(self, action: str, data: Json) -> Response | None:
        """Return the refusal for one of the keys: an update names the old one by its alias."""
        names = (data.get("TargetKeyId"), data.get("AliasName"))
        for key in filter(None, map(self._key, names)):
            account = self._ministack.responses.get_account_id()
            policy = ResourcePolicy(key.get("Policy") or "", account, required=True)
            caller = self._access.caller_key()
            if not self._access.permits(caller, account, action, key["Arn"], policy):
                return self._ministack.error(
                    "AccessDeniedException",
                    f"User: {self._access.caller()} is not authorized to perform: {action} on "
                    f"resource: {key['Arn']}",
                )
        return None

    def _key(self, name: Any) -> Json | None:
        return self._ministack.kms._resolve_key(name) if isinstance(name, str) else None
