"""The program's look-ups (data sources), answered and refused as the AWS provider words it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from infra.local.program import TABLE
from tests.pulumi_engine.resources.base import Values, is_gone

Client = Callable[[str], Any]
NOT_FOUND, EMPTY = "couldn't find resource", "empty result"
"""What retry.NotFoundError says (terraform-plugin-sdk), and tfresource.NewEmptyResultError."""


class LookUpError(Exception):
    """A look-up that failed, with the AWS provider's text."""


def _table(client: Client, arguments: Values) -> Values:
    name = arguments["name"]
    try:
        found = client("dynamodb").describe_table(TableName=name)["Table"]
    except ClientError as error:
        raise _failed(f"DynamoDB Table ({name})", error) from None
    return {"name": found["TableName"], "arn": found["TableArn"]}


def _table_item(client: Client, arguments: Values) -> Values:
    table, key = arguments["tableName"], json.loads(arguments["key"])
    what = (
        f"DynamoDB Table Item ({'|'.join([table, *(v for a in key.values() for v in a.values())])})"
    )
    try:
        answer = client("dynamodb").get_item(
            TableName=table,
            Key=key,
            ConsistentRead=True,
            ProjectionExpression=arguments["projectionExpression"],
            ExpressionAttributeNames=arguments["expressionAttributeNames"],
        )
    except ClientError as error:
        raise _failed(what, error) from None
    if "Item" not in answer:
        raise LookUpError(f"reading {what}: {EMPTY}")
    return {"item": json.dumps(answer["Item"])}


def _failed(what: str, error: ClientError) -> LookUpError:
    return LookUpError(f"reading {what}: {NOT_FOUND if is_gone(error) else error}")


LOOK_UPS: Mapping[str, Callable[[Client, Values], Values]] = {
    TABLE: _table,
    "aws:dynamodb/getTableItem:getTableItem": _table_item,
}
