"""Access-denied errors that name the resource, in the answer and in the local cloud's log.

AWS's messages name it: "User: … is not authorized to perform: … on resource: … because no
identity-based policy allows the … action" (IAM user guide, troubleshoot_access-denied).
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable
from typing import Any

from infra.local.emulator.patching import Ministack
from infra.local.emulator.table_policies.evaluation import NO_RESOURCE_ALLOW

log = logging.getLogger("local.refusals")

RESOURCE_DENY = "with an explicit deny in a resource-based policy"

_refused_on: contextvars.ContextVar[str] = contextvars.ContextVar("local_refused_on", default="*")
_reason: contextvars.ContextVar[str] = contextvars.ContextVar("local_refused_for", default="")


class AccessDenials:
    """Replaces ministack's access-denied message."""

    def __init__(self, ministack: Ministack) -> None:
        self._ministack = ministack
        self._logged: set[str] = set()
        self._enforce: Callable[..., Any]
        self._respond: Callable[..., Any]

    def install(self) -> None:
        """Replace ministack's functions."""
        replace = self._ministack.replace
        self._enforce = replace("iam_evaluator", "enforce", self.enforce)
        self._respond = replace("iam_actions", "access_denied_response", self.respond)

    def enforce(self, *arguments: Any, **options: Any) -> Any:
        """Run ministack's check and remember the resource: a transaction is checked on several."""
        denied = self._enforce(*arguments, **options)
        if denied:
            _refused_on.set(options.get("resource_arn", "*"))
            _reason.set(getattr(denied, "reason", ""))
        return denied

    def respond(
        self, service: str, action: str, principal: str, request_id: str, **options: Any
    ) -> Any:
        """Return the answer to a denied call. DynamoDB's are HTTP 400 (Programming.Errors)."""
        resource = _refused_on.get()
        if resource != "*" and not options.get("error_code") and not options.get("message"):
            words = self._words(action, principal, resource, **options)
            self._log_once(words)
            if RESOURCE_DENY not in words:  # each service has a spelling of its own for this one
                options["message"] = words
        status, headers, body = self._respond(service, action, principal, request_id, **options)
        if service in ("dynamodb", "dynamodbstreams") and not options.get("error_code"):
            status = 400
        return status, headers, body

    def _words(self, action: str, principal: str, resource: str, **options: Any) -> str:
        explicit = bool(options.get("explicit_deny"))
        call = f"User: {principal} is not authorized to perform: {action} on resource: {resource}"
        if explicit and options.get("resource_policy_arn"):
            return f"{call} {RESOURCE_DENY}"
        if _reason.get() == NO_RESOURCE_ALLOW:
            return f"{call} because no resource-based policy allows the {action} action"
        words: str = self._ministack.iam_actions.identity_denial_message(
            action, principal, resource, explicit
        )
        return words

    def _log_once(self, words: str) -> None:
        if words not in self._logged:
            self._logged.add(words)
            log.warning("%s", words)
