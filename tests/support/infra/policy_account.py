"""An account of the local cloud whose tables have resource policies, by a clock that tests set."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from infra.local.emulator.patching import Ministack
from infra.local.emulator.table_policies.history import PolicySpread
from infra.local.emulator.table_policies.operations import TablePolicies

ACCOUNT = "111111111111"
ARN = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/orders"


class Callers:
    """Callers that a policy locks out when it names PutResourcePolicy."""

    def is_denied(self, policy: str, action: str, arn: str) -> bool:
        return action in policy

    def exists(self, principal: str) -> bool:
        return False


class Account:
    """One account with two tables, and the time as a number that the test sets."""

    def __init__(self) -> None:
        self.now = 1_796_000_000.0
        tables = {name: {"TableStatus": "ACTIVE"} for name in ("orders", "other")}
        self.tables: dict[str, Any] = tables
        dynamodb = SimpleNamespace(
            _tables=tables,
            _normalize_table_name=lambda name: name.rpartition("/")[2],
            _create_table=self._create,
            _delete_table=self._delete,
            _put_resource_policy=None,
            _get_resource_policy=None,
            _delete_resource_policy=None,
        )
        responses = SimpleNamespace(
            get_region=lambda: "eu-west-1",
            get_account_id=lambda: ACCOUNT,
            json_response=lambda body: (200, {}, body),
            error_response_json=lambda code, message, status: (status, {}, f"{code}: {message}"),
        )
        self.dynamodb = dynamodb
        ministack = Ministack("", {"dynamodb": dynamodb, "responses": responses})
        self.policies = TablePolicies(
            ministack,
            Callers(),
            PolicySpread(seconds=240, read_seconds=2.7, seed=1),
            quiet_seconds=15,
            now=lambda: self.now,
        )
        self.policies.install()

    def _create(self, data: Any) -> Any:
        self.tables[data["TableName"]] = {"TableStatus": "ACTIVE"}
        return 200, {}, {}

    def _delete(self, data: Any) -> Any:
        del self.tables[data["TableName"]]
        return 200, {}, {}

    def put(self, policy: str, expected: str | None = None, arn: str = ARN, **more: Any) -> Any:
        request = {"ResourceArn": arn, "Policy": policy, **more}
        if expected is not None:
            request["ExpectedRevisionId"] = expected
        return self._answer(self.dynamodb._put_resource_policy(request))

    def get(self, arn: str = ARN) -> Any:
        return self._answer(self.dynamodb._get_resource_policy({"ResourceArn": arn}))

    def delete(self, expected: str | None = None) -> Any:
        request = {"ResourceArn": ARN}
        if expected is not None:
            request["ExpectedRevisionId"] = expected
        return self._answer(self.dynamodb._delete_resource_policy(request))

    def _answer(self, response: Any) -> Any:
        status, _, body = response
        assert status == (400 if isinstance(body, str) else 200)
        return body


def deny(sid: str = "Fence", action: str = "dynamodb:PutItem", indent: int | None = None) -> str:
    statement = {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": [action],
        "Resource": ARN,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=indent)
