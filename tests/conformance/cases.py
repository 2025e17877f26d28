"""What the conformance tests share: keys, items, and how to ask for a refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

KB = 1024


def key(pk: str = "a", sk: str = "1") -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"N": sk}}


def refusal(call: Callable[[], Any]) -> tuple[str, Mapping[str, Any]]:
    """The error code of a call that must fail, and its whole response."""
    with pytest.raises(ClientError) as caught:
        call()
    response: Mapping[str, Any] = caught.value.response
    return response["Error"]["Code"], response


def codes(response: Mapping[str, Any]) -> list[str]:
    return [reason["Code"] for reason in response["CancellationReasons"]]


def holds(
    dynamodb: Any, table: str, condition: str, names: Any = None, **values: Mapping[str, Any]
) -> bool:
    """Whether a condition holds for the item under `key()`, by a check that changes nothing."""
    check: dict[str, Any] = {"TableName": table, "Key": key(), "ConditionExpression": condition}
    if values:
        check["ExpressionAttributeValues"] = {f":{name}": each for name, each in values.items()}
    if names:
        check["ExpressionAttributeNames"] = names
    try:
        dynamodb.transact_write_items(TransactItems=[{"ConditionCheck": check}])
    except ClientError as error:
        assert codes(error.response) == ["ConditionalCheckFailed"]
        return False
    return True


BAD_ITEMS: dict[str, dict[str, Any]] = {
    "key of a wrong type": {"pk": {"N": "1"}, "sk": {"N": "1"}},
    "missing key": {"pk": {"S": "a"}},
    "global index key of a wrong type": {**key(), "g": {"N": "1"}},
    "local index key of a wrong type": {**key(), "l": {"S": "1"}},
}
EMPTY_KEYS: dict[str, dict[str, Any]] = {
    "empty key": {"pk": {"S": ""}, "sk": {"N": "1"}},
    "empty index key": {**key(), "g": {"S": ""}},
}


def guarded(table: str, entry: dict[str, Any], condition: str, **values: Any) -> dict[str, Any]:
    put: dict[str, Any] = {
        "TableName": table,
        "Item": entry,
        "ConditionExpression": condition,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    if values:
        put["ExpressionAttributeValues"] = {f":{name}": value for name, value in values.items()}
    return {"Put": put}


def entry(name: bytes, time: int) -> dict[str, Any]:
    return {"k": {"B": name * 16}, "t": {"N": str(time)}}
