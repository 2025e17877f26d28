"""The decision on a call to a table or a stream: its caller's policies and its own, together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from infra.local.emulator.patching import Ministack
from infra.local.emulator.table_policies.actions import kind_of
from infra.local.emulator.table_streams.encryption import is_managed, key_of

NO_RESOURCE_ALLOW = "no resource-based policy allows it"
"""The reason of a refusal across accounts, which the caller's own policies would have allowed."""


class Policies(Protocol):
    """The policies of tables and streams, by their ARNs."""

    def has_history(self, arn: str) -> bool:
        """Return whether the table or stream has, or had, a policy."""

    def seen_by(self, caller: str, arn: str) -> str | None:
        """Return the text of the policy that binds this caller there now, if any."""


class TableAccess:
    """Evaluates a table's policy for every call to it by any caller: root is bound too."""

    def __init__(
        self, ministack: Ministack, caller_key: Callable[[], str], bulk: bool = False
    ) -> None:
        """`caller_key` returns the access key of the current request. `bulk`: as in `kind_of`."""
        self._ministack = ministack
        self._bulk = bulk
        self._caller_key = caller_key
        self._enforce: Callable[..., Any] = lambda *args, **options: None
        self._policies: Policies

    def install(self, policies: Policies) -> None:
        """Wrap ministack's check."""
        self._policies = policies
        self._enforce = self._ministack.replace("iam_evaluator", "enforce", self.enforce)

    def enforce(
        self, access_key: str, action: str, service: str, region: str, **options: Any
    ) -> Any:
        """Check a call: None if it may be made, else ministack's error or result."""
        iam = self._ministack.iam_evaluator
        refused = self._enforce(access_key, action, service, region, **options)
        arn = str(options.get("resource_arn", "*"))
        holder, kind = policy_holder(arn), kind_of(arn, self._bulk)
        if isinstance(refused, iam.AuthError) or holder is None or action not in kind.actions:
            return refused
        account, owner = self._ministack.responses.get_account_id(), arn.split(":")[4]
        if owner == account and not self._policies.has_history(holder):
            return refused
        caller = iam.resolve_principal(access_key or "", account)
        policy = self._policies.seen_by(caller.arn, holder)
        if policy is None and owner == caller.account:
            return refused
        if caller.type == "Root" and owner == caller.account and action == DELETING:
            return refused
        result = iam.combine_resource_policy(
            refused or iam.EvalResult("Allow", caller.arn),
            self._context(caller, action, arn, options.get("service_context") or {}),
            policy if owner == caller.account or action in kind.across_accounts else None,
            owner,
            limits=tuple(caller.limits),
        )
        result.principal_arn = caller.arn
        if result.decision == "ImplicitDeny" and refused is None:
            result.reason = NO_RESOURCE_ALLOW
        if owner != caller.account and result.decision == "Allow" and self._is_sealed(holder):
            return iam.EvalResult("ImplicitDeny", caller.arn)
        return None if result.decision == "Allow" else result

    def is_denied(self, policy: str, action: str, arn: str) -> bool:
        """Return whether this policy would deny the current caller the action."""
        iam = self._ministack.iam_evaluator
        if not self._ministack.app.AUTH:
            return False
        caller = iam.resolve_principal(
            self._caller_key(), self._ministack.responses.get_account_id()
        )
        context = self._context(caller, action, arn, {})
        return bool(iam.evaluate_resource_policy(policy, context).decision == "Deny")

    def exists(self, principal: str) -> bool:
        """Return whether a user, a role or a role's session has this ARN."""
        parts = principal.split(":", 5)
        if len(parts) < 6 or parts[0] != "arn":
            return False
        kind, _, path = parts[5].partition("/")
        if parts[2] == "sts":
            names = path.split("/")
            stored = self._ministack.iam._roles.get_scoped(parts[4], None, names[0])
            return kind == "assumed-role" and len(names) == 2 and stored is not None
        store = {"role": self._ministack.iam._roles, "user": self._ministack.iam._users}.get(kind)
        found = (
            store.get_scoped(parts[4], None, path.rpartition("/")[2]) if store is not None else None
        )
        return found is not None and found["Arn"] == principal

    def _is_sealed(self, arn: str) -> bool:
        """Return whether the table is encrypted under a key that no other account may use."""
        _, _, _, region, owner, relative = arn.split(":", 5)
        name = relative.split("/")[1]
        table = self._ministack.dynamodb._tables.get_scoped(owner, region, name)
        return table is not None and is_managed(key_of(table))

    def _context(self, caller: Any, action: str, arn: str, keys: Mapping[str, Any]) -> Any:
        return self._ministack.iam_evaluator.EvalContext(
            principal_arn=caller.arn,
            principal_type=caller.type,
            principal_account=caller.account,
            action=action,
            resource_arn=arn,
            region=self._ministack.responses.get_region(),
            service_context={name.lower(): value for name, value in keys.items()},
            principal_keys=caller.keys,
        )


DELETING = "dynamodb:DeleteResourcePolicy"
"""The root principal of the owner's account can always make this call (API reference)."""


def policy_holder(arn: str) -> str | None:
    """Return the ARN of the table or stream whose policy is about this ARN; None for others.

    An index is in the policy of its table; a stream has one of its own.
    """
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[2] != "dynamodb":
        return None
    names = parts[5].split("/")
    if names[0] != "table" or (len(names) > 2 and names[2] not in ("index", "stream")):
        return None
    whole = names if "stream" in names[2:3] else names[:2]
    return ":".join([*parts[:5], "/".join(whole)])
