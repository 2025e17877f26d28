"""Three ways to apply an event, each as a callable that takes the Lambda event.

`blog`: the handler of the blog post as it describes itself: one unconditional PutItem or DeleteItem
after the other. `threads`: one conditional write per record, on 16 threads: the usual first
improvement (right only while no two changes share a timestamp and nothing was deleted). `ledger`:
this project's handler.
"""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from tests.benchmarks.events import SOURCE_TABLE

Apply = Callable[[dict[str, Any]], Any]

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
}
CONSUMER = {
    "STACK": "bench",
    "SOURCE_TABLE": SOURCE_TABLE,
    "SOURCE_ACCOUNT": "111111111111",
    "TARGET_TABLE": "bench-replica",
    "TARGET_REGION": "eu-west-1",
    "LEDGER_TABLE": "bench-ledger",
    "QUARANTINE_BUCKET": "bench-quarantine",
    "ORDERING": "ledger",
    "POWERTOOLS_METRICS_NAMESPACE": "DynamoDBReplication",
    "AWS_LAMBDA_FUNCTION_NAME": "bench",
}


def environment(endpoint: str) -> None:
    """Sets what Lambda would set, and where DynamoDB is."""
    os.environ.update(CREDENTIALS | CONSUMER | {"AWS_ENDPOINT_URL_DYNAMODB": endpoint})


def _client(threads: int) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client("dynamodb", config=Config(max_pool_connections=threads))


def _binary(image: dict[str, Any]) -> dict[str, Any]:
    """What the blog's code does about binary: the top level, once more decoded."""
    return {
        name: {"B": base64.b64decode(value["B"])} if "B" in value else value
        for name, value in image.items()
    }


def _change(record: dict[str, Any]) -> dict[str, Any]:
    change: dict[str, Any] = json.loads(base64.b64decode(record["kinesis"]["data"]))
    return change["dynamodb"] | {"eventName": change["eventName"]}


def blog() -> Apply:
    client = _client(1)

    def apply(event: dict[str, Any]) -> None:
        for record in event["Records"]:
            change = _change(record)
            if change["eventName"] == "REMOVE":
                client.delete_item(TableName="bench-replica", Key=change["Keys"])
            else:
                client.put_item(TableName="bench-replica", Item=_binary(change["NewImage"]))

    return apply


def threads() -> Apply:
    client = _client(16)
    pool = ThreadPoolExecutor(16)

    def write(record: dict[str, Any]) -> None:
        change = _change(record)
        version = str(change["ApproximateCreationDateTime"])
        condition = {
            "TableName": "bench-replica",
            "ConditionExpression": "attribute_not_exists(#v) OR #v < :v",
            "ExpressionAttributeNames": {"#v": "version"},
            "ExpressionAttributeValues": {":v": {"N": version}},
        }
        if change["eventName"] == "REMOVE":
            client.delete_item(Key=change["Keys"], **condition)
        else:
            item = _binary(change["NewImage"]) | {"version": {"N": version}}
            client.put_item(Item=item, **condition)

    def apply(event: dict[str, Any]) -> None:
        for _ in pool.map(write, event["Records"]):
            pass

    return apply


def ledger() -> Apply:
    from replicator.handler import handler

    context = SimpleNamespace(
        get_remaining_time_in_millis=lambda: 850_000,
        aws_request_id="bench",
        function_name="bench",
        memory_limit_in_mb=1024,
        invoked_function_arn="arn:aws:lambda:eu-west-1:222222222222:function:bench",
    )

    def apply(event: dict[str, Any]) -> None:
        report = handler(event, context)
        if report["batchItemFailures"]:
            raise AssertionError(f"the stub refused nothing, yet: {report}")

    return apply


CONTENDERS: dict[str, Callable[[], Apply]] = {"blog": blog, "threads": threads, "ledger": ledger}


def write_units(contender: str, item_bytes: int, counts: Mapping[str, int]) -> float:
    """Write request units of the actions that were sent, as DynamoDB charges them.

    One for each KB of the item, double in a transaction, and a ledger entry is 1 KB. The deleted
    items are as large as the others. Source: DynamoDB Developer Guide, "Capacity unit consumption".
    """
    units = max(1, math.ceil(item_bytes / 1024))
    each = 2 if contender == "ledger" else 1
    return each * (units * counts["bench-replica"] + counts.get("bench-ledger", 0))
