"""Single items of one table, for `explain` and `verify --read-source`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from bootstrap.aws.calls import Calls, answered_at
from bootstrap.core.errors import AccessDeniedError
from bootstrap.core.facts import ItemRead


@contextlib.contextmanager
def suggest_read_items(afterwards: str) -> Iterator[None]:
    """Name the stack's configuration key where a permission is missing."""
    try:
        yield
    except AccessDeniedError as error:
        raise AccessDeniedError(
            error.side,
            error.what,
            fix="operators: {readItems: true} in the stack configuration, then pulumi up; "
            f"{afterwards}",
            code=error.code,
        ) from error


class AwsItems:
    """`ItemReader` through the role of the table's own account.

    Items are DynamoDB JSON with binary as bytes.
    """

    def __init__(self, calls: Calls, dynamodb: Any, table: str) -> None:
        self._calls = calls
        self._dynamodb = dynamodb
        self._table = table

    def get(self, key: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Read an item consistently; None if there is none."""
        item: Mapping[str, Any] | None = self._answer(key).get("Item")
        return item

    def read(self, key: Mapping[str, Any]) -> ItemRead:
        """Read an item and the time of the answer.

        Raises:
            AccessDeniedError: also if the stack's configuration does not allow it.
        """
        with suggest_read_items("the same command continues with the exports it has"):
            answer = self._answer(key)
        return ItemRead(answer.get("Item"), round(answered_at(answer) * 1e6))

    def _answer(self, key: Mapping[str, Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._calls(
            "dynamodb",
            self._dynamodb.get_item,
            self._table,
            TableName=self._table,
            Key=key,
            ConsistentRead=True,
        )
        return answer
