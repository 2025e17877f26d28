"""PutResourcePolicy, GetResourcePolicy and DeleteResourcePolicy on tables and streams.

API reference of the three, and developer guide, rbac-considerations.html. What these leave open
(the codes of a refusal within the quiet time, its two phases, messages) is as observed on AWS.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from infra.local.emulator.patching import Json, Ministack, Response
from infra.local.emulator.refusals import RefusedError, answering
from infra.local.emulator.table_policies.actions import kind_of
from infra.local.emulator.table_policies.documents import (
    INVALID,
    InvalidPolicyError,
    PolicyDocument,
    parse,
)
from infra.local.emulator.table_policies.history import PolicyHistory, PolicySpread

NO_POLICY = "NO_POLICY"
NOT_FOUND = "Resource-based policy not found for the provided ResourceArn: "
LOCKOUT = "The new resource policy will not allow you to update the resource policy in the future."


class Callers(Protocol):
    """The answers about callers and principals that a put depends on."""

    def is_denied(self, policy: str, action: str, arn: str) -> bool:
        """Return whether this policy would deny the current caller the action."""

    def exists(self, principal: str) -> bool:
        """Return whether a user, a role or a role's session has this ARN."""


@dataclass
class TablePolicy:
    """The policy of one table or stream, its changes, and in `revisions` that of each document."""

    arn: str
    history: PolicyHistory
    current: PolicyDocument | None = None
    revision: str = ""
    revisions: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The resource as messages name it: the table, and the stream where it is one's."""
        return self.arn.split(":", 5)[5].removeprefix("table/")

    def next_revision(self, document: PolicyDocument, now: float) -> str:
        """Return the revision of a document: the one it had before, or the time in milliseconds.

        "Running it multiple times on the same resource using the same policy document will return
        the same revision ID". AWS has been seen to give a document that comes back after another
        one a new revision; nothing promises it, so here it gets the old one again.
        """
        newest = max((int(revision) for revision in self.revisions.values()), default=0)
        fresh = str(max(newest + 1, int(now * 1000)))
        return self.revisions.setdefault(document.identity, fresh)


class TablePolicies:
    """The policies of all tables and streams, by ARN."""

    def __init__(
        self,
        ministack: Ministack,
        callers: Callers,
        spread: PolicySpread,
        quiet_seconds: float,
        now: Callable[[], float] = time.time,
        has_stream: Callable[[str], bool] = lambda arn: False,
        bulk: bool = False,
    ) -> None:
        """`quiet_seconds` is the least time between two changes; `now` returns epoch seconds.

        `has_stream` says whether the stream of an ARN can still be read. `bulk`: as in `kind_of`.
        """
        self._bulk = bulk
        self._ministack = ministack
        self._callers = callers
        self._spread = spread
        self._quiet = quiet_seconds
        self._now = now
        self._has_stream = has_stream
        self._lock = threading.Lock()
        self._policies: dict[str, TablePolicy] = {}
        self._create: Callable[[Json], Response]
        self._delete: Callable[[Json], Response]

    def install(self) -> None:
        """Replace ministack's functions."""
        replace = self._ministack.replace
        replace("dynamodb", "_put_resource_policy", answering(self._ministack, self.put))
        replace("dynamodb", "_get_resource_policy", answering(self._ministack, self.get))
        replace("dynamodb", "_delete_resource_policy", answering(self._ministack, self.delete))
        self._create = replace(
            "dynamodb", "_create_table", answering(self._ministack, self.create_table)
        )
        self._delete = replace(
            "dynamodb", "_delete_table", answering(self._ministack, self.delete_table)
        )

    def has_history(self, arn: str) -> bool:
        """Return whether the table or stream has, or had, a policy."""
        return arn in self._policies

    def seen_by(self, caller: str, arn: str) -> str | None:
        """Return the text of the policy that binds this caller there now, if any."""
        policy = self._policies.get(arn)
        return policy.history.seen_by(caller, self._now()) if policy else None

    # -- operations ------------------------------------------------------------------------------

    def put(self, data: Json) -> Response:
        """Answer PutResourcePolicy."""
        arn = self._holder(data)
        document = self._parsed(str(data.get("Policy") or ""), arn)
        if not data.get("ConfirmRemoveSelfResourceAccess"):
            self._refuse_lockout(document, arn)
        with self._lock:
            policy = self._policies.setdefault(arn, self._new(arn))
            self._check_revision(policy, data.get("ExpectedRevisionId"))
            same = policy.current is not None and policy.current.identity == document.identity
            if not same:
                self._check_quiet(policy)
                self._set(policy, document)
            return self._ministack.ok({"RevisionId": policy.revision})

    def get(self, data: Json) -> Response:
        """Answer GetResourcePolicy, which lags behind the other two by a little."""
        arn = self._holder(data)
        policy = self._policies.get(arn)
        shown = policy.history.readable(self._now()) if policy else None
        if shown is None or shown.text is None:
            raise RefusedError("PolicyNotFoundException", f"{NOT_FOUND}{arn}")
        return self._ministack.ok({"Policy": shown.text, "RevisionId": shown.revision})

    def delete(self, data: Json) -> Response:
        """Answer DeleteResourcePolicy: idempotent, unless a revision is expected."""
        arn = self._holder(data)
        with self._lock:
            policy = self._policies.setdefault(arn, self._new(arn))
            self._check_revision(policy, data.get("ExpectedRevisionId"), deleting=True)
            if policy.current is None:
                return self._ministack.ok(
                    {"RevisionId": policy.revision} if policy.revision else {}
                )
            self._check_quiet(policy)
            removed = policy.revision
            now = self._now()
            policy.history.change(None, now)
            policy.current, policy.revision = None, str(int(now * 1000))
            return self._ministack.ok({"RevisionId": removed})

    def create_table(self, data: Json) -> Response:
        """Answer CreateTable; its ResourcePolicy applies "to all requests immediately"."""
        text = data.get("ResourcePolicy")
        document = self._parsed(text) if text is not None else None
        response = self._create(data)
        if document is not None and response[0] == 200:
            arn = self._arn_of(data["TableName"])
            with self._lock:
                policy = self._policies[arn] = self._new(arn)
                self._set(policy, document, at_once=True)
        return response

    def delete_table(self, data: Json) -> Response:
        """Answer DeleteTable. The policy goes with the table; a later one of that name has none."""
        name = self._ministack.dynamodb._normalize_table_name(data.get("TableName"))
        arn = self._arn_of(name)
        policy = self._policies.get(arn)
        if policy is not None and policy.history.is_pending(self._now()):
            raise RefusedError(
                "ResourceInUseException",
                f"Attempt to change a resource which is still in use: Table: {name} has a pending "
                "resource-based policy update.",
            )
        response = self._delete(data)
        if response[0] == 200:
            self._policies.pop(arn, None)
        return response

    # -- checks ----------------------------------------------------------------------------------

    def _check_revision(
        self, policy: TablePolicy, expected: str | None, *, deleting: bool = False
    ) -> None:
        """Refuse a compare-and-set that misses: PolicyNotFoundException, like no policy at all."""
        if expected is None:
            return
        name = policy.name
        asked = f"{NOT_FOUND}Requested update for policy with revision id {expected}, but "
        if expected == NO_POLICY and not deleting:
            if policy.current is not None:
                raise RefusedError(
                    "PolicyNotFoundException",
                    f"{asked}table {name} has an associated policy with revision id "
                    f"{policy.revision}",
                )
        elif policy.current is None:
            raise RefusedError(
                "PolicyNotFoundException", f"{asked}table {name} has no associated policy"
            )
        elif policy.revision != expected:
            raise RefusedError(
                "PolicyNotFoundException",
                f"{asked}the policy associated to target table {name} has another revision id",
            )

    def _check_quiet(self, policy: TablePolicy) -> None:
        """Refuse a change too soon after the last: first as pending, then as throttled."""
        last, now = policy.history.last, self._now()
        name = policy.name
        if policy.history.is_pending(now):
            raise RefusedError(
                "ResourceInUseException",
                "Attempt to change a resource which is still in use: Table is pending previous "
                f"resource-based policy update: {name}",
            )
        if last.number and now < last.at + self._quiet:
            again = datetime.datetime.fromtimestamp(last.at + self._quiet, datetime.UTC)
            raise RefusedError(
                "ThrottlingException",
                f"Resource-based policy for table {name} modified within the previous "
                f"{self._quiet * 1000:.0f} milliseconds. Please try again after "
                f"{again.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}.",
            )

    def _refuse_lockout(self, document: PolicyDocument, arn: str) -> None:
        if self._callers.is_denied(document.text, "dynamodb:PutResourcePolicy", arn):
            raise RefusedError("AccessDeniedException", LOCKOUT)

    def _parsed(self, text: str, arn: str = "") -> PolicyDocument:
        try:
            return parse(text, self._callers.exists, kind_of(arn, self._bulk))
        except InvalidPolicyError as invalid:
            raise RefusedError("ValidationException", str(invalid)) from None

    def _holder(self, data: Json) -> str:
        """Return the ARN of the request's table or stream, which exists.

        "You can modify or delete a policy after a table is deleted. You can also modify or delete
        the policy of a disabled stream" (rbac-attach-resource-policy-streams.html).
        """
        arn = str(data.get("ResourceArn") or "")
        parts = arn.split(":", 5)
        here = self._arn_of("").split(":", 5)
        if parts[0] != "arn" or len(parts) < 6:
            raise _invalid(f"{INVALID}ARNs must start with 'arn:': {arn}")
        if parts[4] != here[4]:
            raise _invalid(
                "This action is only supported by accounts that match the resource owner's account."
            )
        if parts[:4] != here[:4]:
            raise _invalid(f"{INVALID}Invalid resource Arn: {arn}")
        kind, _, name = parts[5].partition("/")
        if kind == "table" and "/stream/" in name and self._has_stream(arn):
            return arn
        if kind == "table" and "/stream/" in name:
            raise RefusedError(
                "ResourceNotFoundException",
                f"Requested resource not found: Stream: {arn} not found",
            )
        if kind != "table" or "/" in name:
            raise _invalid(
                f"{INVALID}Invalid resource arn provided, only table or stream is accepted. "
                f"Provided resource arn: {arn}"
            )
        table = self._ministack.dynamodb._tables.get(name)
        if table is None or table["TableStatus"] == "CREATING":
            raise RefusedError(
                "ResourceNotFoundException",
                f"Requested resource not found: Table: {name} not found",
            )
        return arn

    # -- helpers ---------------------------------------------------------------------------------

    def _set(self, policy: TablePolicy, document: PolicyDocument, *, at_once: bool = False) -> None:
        now = self._now()
        policy.current, policy.revision = document, policy.next_revision(document, now)
        policy.history.change(document.text, now, revision=policy.revision, at_once=at_once)

    def _new(self, arn: str) -> TablePolicy:
        return TablePolicy(arn, PolicyHistory(arn, self._spread))

    def _arn_of(self, name: Any) -> str:
        responses = self._ministack.responses
        return (
            f"arn:aws:dynamodb:{responses.get_region()}:{responses.get_account_id()}:table/{name}"
        )


def _invalid(message: str) -> RefusedError:
    return RefusedError("ValidationException", message)
