"""Stream records: the JSON of one change in a DynamoDB stream, for the API and for Lambda.

Pure functions. API reference, streams_Record and streams_StreamRecord; Lambda developer guide,
with-ddb.html.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from infra.local.emulator.change_capture import CapturedChange
from infra.local.emulator.item_images import Image, partition_key
from infra.local.emulator.patching import Json

EVENT_VERSION = "1.1"
"""As seen in captured events. "Client applications must not assume" that it stays."""

PAGE_BYTES = 2**20
PAGE_RECORDS = 1000

VIEWS: Mapping[str, tuple[str, ...]] = {
    "KEYS_ONLY": (),
    "NEW_IMAGE": ("NewImage",),
    "OLD_IMAGE": ("OldImage",),
    "NEW_AND_OLD_IMAGES": ("NewImage", "OldImage"),
}
"""The images of each StreamViewType."""


def stored_record(
    change: CapturedChange, view: str, number: str, size_of: Callable[[Image], int]
) -> Json:
    """Return a change as a shard keeps it: the record, and what readers of any stream need.

    Binary is in base64 once. `ApproximateArrivalTimestamp` has fractions of a second, for ages;
    the record's own time is "rounded down to the closest second".
    """
    images = {"NewImage": change.new, "OldImage": change.old}
    shown = {name: images[name] for name in VIEWS[view] if images[name] is not None}
    sizes = [change.keys, *(image for image in shown.values() if image is not None)]
    body: Json = {
        "ApproximateCreationDateTime": change.at // 1_000_000,
        "Keys": change.keys,
        **shown,
        "SequenceNumber": number,
        "SizeBytes": sum(size_of(image) for image in sizes),
        "StreamViewType": view,
    }
    record: Json = {
        "eventID": uuid.uuid4().hex,
        "eventName": change.event,
        "eventVersion": EVENT_VERSION,
        "eventSource": "aws:dynamodb",
        "awsRegion": change.table.region,
        "dynamodb": body,
    }
    if change.identity:
        record["userIdentity"] = dict(change.identity)
    return {
        "SequenceNumber": number,
        "ApproximateArrivalTimestamp": change.at / 1e6,
        "PartitionKey": partition_key(change.table.name, change.keys),
        "Record": record,
        "Bytes": len(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()),
    }


def api_record(stored: Mapping[str, Any]) -> Json:
    """Return a record as GetRecords shows it, where the identity's members are in capitals."""
    record: Json = stored["Record"]
    identity = record.get("userIdentity")
    if not identity:
        return record
    return {
        **record,
        "userIdentity": {"PrincipalId": identity["principalId"], "Type": identity["type"]},
    }


def lambda_record(stored: Mapping[str, Any], stream_arn: str) -> Json:
    """Return a record as a function's event has it.

    The time is a JSON number that Python reads as a float without a fraction, as in captured
    events: 1479499740.0.
    """
    record: Json = stored["Record"]
    body = record["dynamodb"]
    at = float(body["ApproximateCreationDateTime"])
    return {
        **record,
        "dynamodb": {**body, "ApproximateCreationDateTime": at},
        "eventSourceARN": stream_arn,
    }


def page_of(stored: Sequence[Json]) -> list[Json]:
    """Return the longest prefix that fits a page of 1 MB; a first record that is larger, alone."""
    page: list[Json] = []
    room = PAGE_BYTES
    for record in stored:
        room -= record["Bytes"]
        if page and room < 0:
            break
        page.append(record)
    return page
