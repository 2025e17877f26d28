"""Exports as AWS lays them out, in a directory, and `Objects` that reads them there."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap.core.errors import AccessDeniedError, Side
from bootstrap.core.objects import MissingObjectError
from bootstrap.verify.exports.manifest import Export, read_export, summary_key
from infra.local.emulator.export_files import (
    Line,
    S3Object,
    data_files,
    full_lines,
    manifests,
    partitioned,
)

BUCKET = "snapshots"
ARN = "arn:aws:dynamodb:eu-west-1:111111111111:table/orders/export/0169368582746{}-2d8752fd"
TIME = 1_790_000_000
KEY = ("pk",)

Item = dict[str, Any]


@dataclass(frozen=True)
class Directory:
    """`Objects`, and its own opener, over files on this machine."""

    root: Path
    chunk: int = 1 << 16
    denied: frozenset[str] = frozenset()
    """Buckets that may not be read."""

    def __call__(self) -> Directory:
        return self

    def read(self, bucket: str, key: str) -> bytes:
        return b"".join(self.stream(bucket, key))

    def stream(self, bucket: str, key: str) -> Iterator[bytes]:
        if bucket in self.denied:
            raise AccessDeniedError(
                Side.TARGET,
                f"Role importer may not s3:GetObject on {bucket}/{key} in the target account.",
                fix="pulumi up --refresh, which grants s3:GetObject",
                code="AccessDenied",
            )
        try:
            file = (self.root / bucket / key).open("rb")
        except FileNotFoundError:
            raise MissingObjectError(bucket, key) from None
        with file:
            while chunk := file.read(self.chunk):
                yield chunk

    def put(self, made: S3Object) -> None:
        path = self.root / BUCKET / made.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made.body)


def description(number: int, prefix: str | None = "orders") -> dict[str, Any]:
    """What DescribeExport would say."""
    arn = ARN.format(number)
    return {
        "ExportArn": arn,
        "TableArn": arn.split("/export/")[0],
        "TableId": "a-table",
        "StartTime": TIME + 300,
        "EndTime": TIME + 600,
        "ExportTime": TIME,
        "ExportType": "FULL_EXPORT",
        "S3Bucket": BUCKET,
        **({"S3Prefix": prefix} if prefix else {}),
    }


def write(
    objects: Directory,
    number: int,
    items: Sequence[Item],
    *,
    prefix: str | None = "orders",
    parts: Sequence[Sequence[Line]] | None = None,
    bare: bool = False,
) -> str:
    """Writes a full export; returns its summary's key. `bare`: manifests leave the prefix out."""
    about = description(number, prefix)
    summary = summary_key(about["ExportArn"], prefix)
    root = summary.removesuffix("manifest-summary.json")
    if parts is None:
        parts = partitioned(full_lines(items), KEY[0])
    made, entries = data_files(parts, root)
    base = root
    if bare and prefix:
        base = root.removeprefix(f"{prefix}/")
        for entry in entries:
            entry["dataFileS3Key"] = entry["dataFileS3Key"].removeprefix(f"{prefix}/")
    written = manifests(base, about, entries, sum(len(each.body) for each in made))
    for each in written:
        objects.put(S3Object(root + each.key.removeprefix(base), each.body))
    for each in made:
        objects.put(each)
    return summary


def export(objects: Directory, number: int, items: Sequence[Item]) -> Export:
    """Writes a full export and reads its manifests."""
    return read_export(objects, BUCKET, write(objects, number, items))


def orders(count: int, seed: int = 1) -> list[Item]:
    """Items as DynamoDB JSON for files: binary is base64 text."""
    random_ = random.Random(seed)
    return [
        {
            "pk": {"S": f"order-{n:07d}"},
            "total": {"N": str(random_.randrange(10**6))},
            "note": {"S": random_.choice(["", "two\nlines", "é\u2028ß", "plain"])},
            "tags": {"SS": ["a", "b"]},
        }
        for n in range(count)
    ]


def text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
