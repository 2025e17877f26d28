"""Values of condition keys that ministack gets wrong or lacks, for policies of every kind."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from typing import Any

from infra.local.emulator.access import attached_policy, mapped_function
from infra.local.emulator.patching import Ministack

NO_SERVICE_CALLS = ("aws:principalisawsservice", "aws:viaawsservice")
"""Keys that are false in the local cloud: its services make no calls with a caller's permissions
that a policy is evaluated for."""


class ConditionKeys:
    """Replaces ministack's resolution of condition keys."""

    def __init__(self, ministack: Ministack, now: Callable[[], float] = time.time) -> None:
        """`now` returns epoch seconds."""
        self._ministack = ministack
        self._now = now
        self._resolve: Callable[..., Any] = lambda *args: None

    def install(self) -> None:
        """Replace ministack's function."""
        self._resolve = self._ministack.replace(
            "iam_evaluator", "_resolve_condition_key", self.resolve
        )

    def resolve(self, key: str, context: Any) -> Any:
        """Return the value of a condition key for a call; None where the call has none."""
        name = key.lower()
        if name == "aws:principalarn":
            return self.role_of(context.principal_arn) or context.principal_arn
        if name == "aws:currenttime":
            return datetime.datetime.fromtimestamp(self._now(), datetime.UTC).isoformat()
        if name == "aws:epochtime":
            return str(int(self._now()))
        if name == "lambda:functionarn":
            return mapped_function()
        if name == "iam:policyarn":
            return attached_policy()
        if name in NO_SERVICE_CALLS:
            return "false"
        return self._resolve(key, context)

    def role_of(self, principal: str) -> str | None:
        """Return the ARN of a session's role, which is its `aws:PrincipalArn`; None for others.

        "For IAM roles, the request context returns the ARN of the role, not the ARN of the user
        that assumed the role" (IAM user guide, reference_policies_condition-keys.html).
        """
        if ":assumed-role/" not in principal:
            return None
        account, name = principal.split(":")[4], principal.split("/")[1]
        role = self._ministack.iam._roles.get_scoped(account, None, name)
        return str(role["Arn"]) if role else f"arn:aws:iam::{account}:role/{name}"
