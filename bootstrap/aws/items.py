"""Single items of one table: only `verify --read-source` reads any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bootstrap.aws.calls import Calls, answered_at
from bootstrap.errors import AccessDeniedError
from bootstrap.verify.reading import Read


class AwsItems:
    """`Items` through the role of the table's own account."""

    def __init__(self, calls: Calls, dynamodb: Any, table: str) -> None:
        self._calls = calls
        self._dynamodb = dynamodb
        self._table = table

    def read(self, key: Mapping[str, Any]) -> Read:
        """One consistent read.

        Raises:
            AccessDeniedError: also where the stack's configuration does not allow it.
        """
        try:
            answer = self._calls(
                "dynamodb",
                self._dynamodb.get_item,
                self._table,
                TableName=self._table,
                Key=key,
                ConsistentRead=True,
            )
        except AccessDeniedError as error:
            raise AccessDeniedError(
                error.side,
                error.what,
                fix="operators: {readItems: true} in the stack configuration, then pulumi up; the "
                "same command goes on with the exports it has",
                code=error.code,
            ) from error
        return Read(answer.get("Item"), round(answered_at(answer) * 1e6))
