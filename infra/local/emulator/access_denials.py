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

log = logging.getLogger("local.refusals")

_refused_on: contextvars.ContextVar[str] = contextvars.ContextVar("local_refused_on", default="*")


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
        return denied

    def respond(
        self, service: str, action: str, principal: str, request_id: str, **options: Any
    ) -> Any:
        """Return the answer to a denied call."""
        resource = _refused_on.get()
        if resource == "*" or options.get("error_code") or options.get("message"):
            return self._respond(service, action, principal, request_id, **options)
        explicit = bool(options.get("explicit_deny"))
        words: str = self._ministack.iam_actions.identity_denial_message(
            action, principal, resource, explicit
        )
        if not (explicit and options.get("resource_policy_arn")):
            options["message"] = words
        self._log_once(words)
        return self._respond(service, action, principal, request_id, **options)

    def _log_once(self, words: str) -> None:
        if words not in self._logged:
            self._logged.add(words)
            log.warning("%s", words)
