"""A write to the target table that can never succeed, from a role that its Deny refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.core.errors import AccessDeniedError, AccountError

NEVER = "attribute_exists(#k) AND attribute_not_exists(#k)"
"""No item fulfils both, and neither does the absence of one: nothing is ever deleted."""
VALUES: Mapping[str, Any] = {"S": "write-canary", "N": "0", "B": b"write-canary"}
"""A value of each type that a key can have; an empty one is refused before any policy is read."""
ELSEWHERE = re.compile(
    r"because no \S+ policy allows|with an explicit deny in an? (?!resource-based)"
)
"""AWS's words for a refusal that is not the table's policy's (IAM User Guide, "Troubleshoot access
denied error messages"). Where they name no policy, the table's is taken for the cause: the role is
allowed this action."""


class AwsCanary:
    """`WriteCanary` through the switch role, which is not among those that the Deny excepts."""

    def __init__(
        self, calls: Calls, dynamodb: Any, key_types: Callable[[str], Mapping[str, str]]
    ) -> None:
        """`key_types` returns the type (S, N or B) of each key attribute of a table."""
        self._calls = calls
        self._dynamodb = dynamodb
        self._key_types = key_types

    def refused(self, table: str) -> bool:
        types = self._key_types(table)
        try:
            self._calls(
                "dynamodb",
                self._dynamodb.delete_item,
                table,
                TableName=table,
                Key={name: {kind: VALUES[kind]} for name, kind in types.items()},
                ConditionExpression=NEVER,
                ExpressionAttributeNames={"#k": next(iter(types))},
            )
        except AccessDeniedError as error:
            if ELSEWHERE.search(error.what):
                raise
            return True
        except AccountError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            return False
        raise AssertionError("DynamoDB took a delete under a condition that cannot hold")
