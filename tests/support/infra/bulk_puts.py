"""What the tests of bulk puts share: input objects, requests, the end of an operation."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any

from infra.local.cloud import TARGET, LocalCloud
from tests.support.infra.clouds import make_table, until

INPUT, OUTPUT = "bulk-input", "bulk-output"
RUNNING = ("IN_PROGRESS", "CANCELLING")

Line = Mapping[str, Any] | str


def item(key: str, **attributes: Mapping[str, Any]) -> dict[str, Any]:
    """A line with an item."""
    return {"Item": {"pk": {"S": key}, **attributes}}


def offer(cloud: LocalCloud, name: str, *objects: Sequence[Line]) -> None:
    """Put input objects under `name`/, one for each sequence of lines; text is a line as it is."""
    s3 = cloud.client("s3", TARGET)
    for number, lines in enumerate(objects):
        text = "".join(
            (line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)) + "\n"
            for line in lines
        )
        s3.put_object(
            Bucket=INPUT, Key=f"{name}/data/{number}.json.gz", Body=gzip.compress(text.encode())
        )


def request(table: str, name: str = "", **options: Any) -> dict[str, Any]:
    """A StartBulkPutItems request for the objects under `name`/, else the table's name."""
    return {
        "TableName": table,
        "InputS3Configuration": {
            "S3Bucket": INPUT,
            "S3KeyPrefix": f"{name or table}/data/",
            "InputFormat": "DYNAMODB_JSON",
            "InputCompressionType": "GZIP",
        },
        "OutputS3Configuration": {
            "S3Bucket": OUTPUT,
            "S3KeyPrefix": f"{name or table}/",
            "OutputType": ["ERROR", "CONDITION_CHECK_FAILURE"],
        },
        **options,
    }


def start(dynamodb: Any, table: str, name: str = "", **options: Any) -> dict[str, Any]:
    """Start an operation; return its description."""
    answer = dynamodb.start_bulk_put_items(**request(table, name, **options))
    found: dict[str, Any] = answer["BulkOperationDescription"]
    return found


def described(dynamodb: Any, arn: str) -> dict[str, Any]:
    """The description of an operation now."""
    answer = dynamodb.describe_bulk_operation(BulkOperationArn=arn)
    found: dict[str, Any] = answer["BulkOperationDescription"]
    return found


def ended(dynamodb: Any, arn: str) -> dict[str, Any]:
    """The description of an operation once it is terminal."""

    def look() -> dict[str, Any] | None:
        found = described(dynamodb, arn)
        return found if found["BulkOperationStatus"] not in RUNNING else None

    return until(look, "the operation's end")


def load(
    cloud: LocalCloud, dynamodb: Any, table: str, *objects: Sequence[Line], **options: Any
) -> dict[str, Any]:
    """Make a table, offer the objects, load them; return the description at the end."""
    make_table(dynamodb, table)
    offer(cloud, table, *objects)
    return ended(dynamodb, start(dynamodb, table, **options)["BulkOperationArn"])


def report(cloud: LocalCloud, name: str, kind: str) -> list[dict[str, Any]]:
    """The records of one type in the reports under `name`/."""
    s3 = cloud.client("s3", TARGET)
    found = s3.list_objects_v2(Bucket=OUTPUT, Prefix=f"{name}/").get("Contents", [])
    return [
        json.loads(line)
        for each in found
        if f"/{kind}/" in each["Key"]
        for line in s3.get_object(Bucket=OUTPUT, Key=each["Key"])["Body"].read().splitlines()
    ]


def keys_in(dynamodb: Any, table: str) -> list[str]:
    """The keys of a table's items, sorted."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return sorted(each["pk"]["S"] for page in pages for each in page["Items"])
