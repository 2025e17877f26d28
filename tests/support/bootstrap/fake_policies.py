"""Resource policies of a `FakeAws`'s tables, and who writes under them, with AWS's delays."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bootstrap.core.write_deny import BULK_ACTION, POLICY_BYTES
from tests.support.fakes.errors import client_error
from tests.support.fakes.requests import check_shape

QUIET_SECONDS = 15.0
"""The least time between two changes."""
READ_SECONDS = 2.0
"""Until GetResourcePolicy shows a change."""
SPREAD_SECONDS = 240.0
"""Until a change holds for its callers: for all at once, later than any that AWS documents."""


@dataclass
class TablePolicy:
    """The changes of one table's policy: when, and the text (None: none)."""

    changes: list[tuple[float, str | None]] = field(default_factory=list)

    def at(self, moment: float) -> str | None:
        """The text that had been put by then."""
        return next((text for at, text in reversed(self.changes) if at <= moment), None)

    @property
    def last(self) -> str | None:
        return self.changes[-1][1] if self.changes else None


class FakePolicies:
    """The policies of both accounts' tables, by ARN. It outlives every process."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.tables: dict[str, TablePolicy] = {}
        self.quiet_seconds, self.read_seconds = QUIET_SECONDS, READ_SECONDS
        self.spread_seconds = SPREAD_SECONDS
        self.takes_bulk = True
        """A policy may name StartBulkPutItems. AWS does not say so."""

    def of(self, arn: str) -> TablePolicy:
        return self.tables.setdefault(arn, TablePolicy())

    def statements(self, arn: str) -> list[dict[str, Any]]:
        """The statements that stand in a table's policy now, though no caller may see them yet."""
        text = self.of(arn).last
        return _statements(text) if text else []

    def set(self, arn: str, document: str | None) -> None:
        """As another owner of the account does it, long ago enough to be seen everywhere."""
        self.of(arn).changes.append((self._now() - self.spread_seconds, document))

    def rewrite(self, arn: str, change: Callable[[str | None], str | None]) -> None:
        """As another owner of the account does it now."""
        policy = self.of(arn)
        policy.changes.append((self._now(), change(policy.last)))

    def refuses(self, arn: str, principal: str) -> bool:
        """Tell whether the table refuses this role's writes now."""
        text = self.of(arn).at(self._now() - self.spread_seconds)
        if text is None:
            return False
        return any(_denies(each, principal, self._now()) for each in _statements(text))

    def may_take(self, arn: str, principal: str) -> bool:
        """Tell whether the table may take this role's writes: a change reaches some callers at
        once and others only after a while.
        """
        policy, now = self.of(arn), self._now()
        begun = now - self.spread_seconds
        texts = [policy.at(begun), *(text for at, text in policy.changes if at > begun)]
        return any(
            text is None or not any(_denies(each, principal, now) for each in _statements(text))
            for text in texts
        )


class PolicyClient:
    """A DynamoDB client that knows resource policies. `around` runs before and after each call."""

    def __init__(self, policies: FakePolicies, now: Callable[[], float], around: Any) -> None:
        self._policies = policies
        self._now = now
        self._around = around

    def get_resource_policy(self, **request: Any) -> dict[str, Any]:
        with self._called("GetResourcePolicy", request) as arn:
            text = self._policies.of(arn).at(self._now() - self._policies.read_seconds)
            if text is None:
                raise _no_policy("GetResourcePolicy")
            return {"Policy": text, "RevisionId": _revision(text), **_HEADERS}

    def put_resource_policy(self, **request: Any) -> dict[str, Any]:
        with self._called("PutResourcePolicy", request) as arn:
            text = request["Policy"]
            if BULK_ACTION in text and not self._policies.takes_bulk:
                message = f'The following action names are invalid: "{BULK_ACTION}"'
                raise client_error("PutResourcePolicy", "ValidationException", message)
            assert len(text.encode()) <= POLICY_BYTES, "AWS refuses"
            assert json.loads(text)["Statement"], "AWS refuses a policy without a statement"
            self._change("PutResourcePolicy", arn, request["ExpectedRevisionId"], text)
            return {"RevisionId": _revision(text), **_HEADERS}

    def delete_resource_policy(self, **request: Any) -> dict[str, Any]:
        with self._called("DeleteResourcePolicy", request) as arn:
            self._change("DeleteResourcePolicy", arn, request["ExpectedRevisionId"], None)
            return {"RevisionId": request["ExpectedRevisionId"], **_HEADERS}

    @contextlib.contextmanager
    def _called(self, operation: str, request: Mapping[str, Any]) -> Iterator[str]:
        check_shape("dynamodb", operation, request)
        arn = str(request["ResourceArn"])
        with self._around(operation, arn):
            yield arn

    def _change(self, operation: str, arn: str, expected: str, text: str | None) -> None:
        policy = self._policies.of(arn)
        if _revision(policy.last) != expected:
            raise _no_policy(operation)
        if policy.last == text:
            return
        if policy.changes and self._now() < policy.changes[-1][0] + self._policies.quiet_seconds:
            raise client_error(operation, "ThrottlingException", "modified a moment ago")
        policy.changes.append((self._now(), text))


_HEADERS: Mapping[str, Any] = {"ResponseMetadata": {"HTTPHeaders": {}}}


def _revision(text: str | None) -> str:
    """The same for the same document, as with AWS."""
    return "NO_POLICY" if text is None else hashlib.sha256(text.encode()).hexdigest()[:16]


def _no_policy(operation: str) -> Exception:
    return client_error(operation, "PolicyNotFoundException", "Resource-based policy not found")


def _statements(text: str) -> list[dict[str, Any]]:
    """The statements of a policy. A single one may stand without its brackets."""
    found: dict[str, Any] | list[dict[str, Any]] = json.loads(text)["Statement"]
    return [found] if isinstance(found, dict) else found


def _denies(statement: Mapping[str, Any], principal: str, now: float) -> bool:
    if statement["Effect"] != "Deny" or "dynamodb:DeleteItem" not in statement["Action"]:
        return False
    tests: dict[str, Callable[[Any], bool]] = {
        "DateGreaterThan": lambda keys: now > _moment(keys["aws:CurrentTime"]),
        "DateLessThan": lambda keys: now < _moment(keys["aws:CurrentTime"]),
        "ArnNotEquals": lambda keys: principal not in _several(keys["aws:PrincipalArn"]),
        "ArnEquals": lambda keys: principal in _several(keys["aws:PrincipalArn"]),
    }
    return all(tests[name](keys) for name, keys in statement.get("Condition", {}).items())


def _several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
