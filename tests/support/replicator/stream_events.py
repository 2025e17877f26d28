"""Events of Lambda's mapping of a DynamoDB stream (Lambda Developer Guide, with-ddb.html)."""

from __future__ import annotations

import base64
import itertools
from typing import Any

from replicator.change import stream_order
from tests.support.replicator.consumer_harness import START, TABLE, Item

LABEL = "2026-01-01T00:00:00.000"
SECOND = START // 1_000_000
FIRST = 100_000_000_000_000_000_001


def arn(table: str = TABLE, label: str = LABEL) -> str:
    return f"arn:aws:dynamodb:eu-west-1:111111111111:table/{table}/stream/{label}"


def order(number: int, label: str = LABEL) -> str:
    return stream_order(label, str(number))


def _once(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _once(each) for name, each in value.items()}
    return [_once(each) for each in value] if isinstance(value, list) else value


def stream_record(
    old: Item | None,
    new: Item | None,
    second: int = SECOND,
    *,
    expired: bool = False,
    source: str | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    """A record without its number. Binary values are given as bytes."""
    known = new if new is not None else old
    assert known is not None
    body: dict[str, Any] = {
        "ApproximateCreationDateTime": float(second),
        "Keys": {"pk": _once(known["pk"])},
        "SizeBytes": 59,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if old is not None:
        body["OldImage"] = _once(old)
    if new is not None:
        body["NewImage"] = _once(new)
    record = {
        "eventID": "c4ca4238a0b923820dcc509a6f75849b",
        "eventName": "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": body | overrides,
        "eventSourceARN": arn() if source is None else source,
    }
    if expired:
        record["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    return record


def stream_event(*records: dict[str, Any], first: int = FIRST) -> dict[str, Any]:
    """An event with these records, numbered upwards from `first`."""
    return {
        "Records": [
            {**record, "dynamodb": {**record["dynamodb"], "SequenceNumber": str(number)}}
            for number, record in zip(itertools.count(first), records, strict=False)
        ]
    }
