"""Permissions of PartiQL statements: one of four actions on the table that each names.

Developer guide, ql-iam.html. ExecuteStatement and its two siblings are no IAM actions. A batch is
refused statement by statement: BatchStatementError has the code AccessDenied.
"""

from __future__ import annotations

import contextvars
import json
from collections.abc import Callable, Mapping
from typing import Any

from infra.local.emulator.patching import Json, Ministack, Response

ACTIONS = {
    "DELETE": "dynamodb:PartiQLDelete",
    "EXISTS": "dynamodb:PartiQLSelect",
    "INSERT": "dynamodb:PartiQLInsert",
    "SELECT": "dynamodb:PartiQLSelect",
    "UPDATE": "dynamodb:PartiQLUpdate",
}
BATCH = "dynamodb:BatchExecuteStatement"

_batch: contextvars.ContextVar[bool] = contextvars.ContextVar("local_batch", default=False)


class StatementPermissions:
    """Replaces ministack's checks of the three calls, which are by the names of the calls."""

    def __init__(self, ministack: Ministack, caller_key: Callable[[], str]) -> None:
        """`caller_key` returns the access key of the current request."""
        self._ministack = ministack
        self._caller_key = caller_key
        self._checks: Callable[..., list[tuple[str, str]]]
        self._action: Callable[..., str | None]
        self._execute: Callable[[Json], Response]
        self._execute_batch: Callable[[Json], Response]

    def install(self) -> None:
        """Replace ministack's functions."""
        replace = self._ministack.replace
        self._checks = replace("iam_actions", "dynamodb_transaction_checks", self.checks)
        self._action = replace("iam_actions", "extract_iam_action", self.action)
        self._execute = replace("dynamodb", "_execute_statement", self.execute)
        self._execute_batch = replace("dynamodb", "_batch_execute_statement", self.execute_batch)

    def action(self, *arguments: Any) -> str | None:
        """Return the IAM action of a request; none of a batch, whose statements are checked."""
        action = self._action(*arguments)
        return None if action == BATCH else action

    def checks(self, action: str, body: bytes, region: str, account: str) -> list[tuple[str, str]]:
        """Return the checks of a request that needs several: pairs of an action and an ARN."""
        found = [self._check(each, region, account) for each in _statements(action, body)]
        distinct = list(dict.fromkeys(check for check in found if check))
        return distinct or self._checks(action, body, region, account)

    def execute_batch(self, data: Json) -> Response:
        """Answer BatchExecuteStatement, each of its statements as far as it is allowed."""
        token = _batch.set(True)
        try:
            return self._execute_batch(data)
        finally:
            _batch.reset(token)

    def execute(self, data: Json) -> Response:
        """Run one statement. Only those of a batch have not been checked yet."""
        if _batch.get() and self._ministack.app.AUTH:
            responses = self._ministack.responses
            check = self._check(data, responses.get_region(), responses.get_account_id())
            refused = check and self._ministack.iam_evaluator.enforce(
                self._caller_key(),
                check[0],
                "dynamodb",
                responses.get_region(),
                resource_arn=check[1],
                service_context={"dynamodb:EnclosingOperation": ["BatchExecuteStatement"]},
            )
            if check and refused:
                return self._ministack.error(
                    "AccessDeniedException",
                    f"User is not authorized to perform: {check[0]} on resource: {check[1]}",
                )
        return self._execute(data)

    def _check(
        self, statement: Mapping[str, Any], region: str, account: str
    ) -> tuple[str, str] | None:
        """Return the action and the ARN of one statement; None for one that is no PartiQL."""
        try:
            parsed = self._ministack.dynamodb._parse_partiql(
                statement.get("Statement", ""), statement.get("Parameters", [])
            )
        except ValueError:
            return None
        inner = parsed["select"] if parsed["op"] == "EXISTS" else parsed
        arn = f"arn:aws:dynamodb:{region}:{account}:table/{inner['table']}"
        index = inner.get("index")
        return ACTIONS[parsed["op"]], f"{arn}/index/{index}" if index else arn


def _statements(action: str, body: bytes) -> list[Mapping[str, Any]]:
    """Return the statements of a request that is checked as a whole."""
    if action not in ("dynamodb:ExecuteStatement", "dynamodb:ExecuteTransaction"):
        return []
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        return []
    several = data.get("TransactStatements") if isinstance(data, dict) else None
    return list(several or [data])
