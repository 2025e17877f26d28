"""The objects of an export, as pure functions: data files, manifests, checksums.

Layout and fields: developer guide, S3DataExport.Output.html.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from infra.local.emulator.change_history import HistoryStep, key_text
from infra.local.emulator.item_images import Image, same_image

PARTITIONS = 4

Line = Mapping[str, Any]


@dataclass(frozen=True)
class S3Object:
    """An object to be written."""

    key: str
    body: bytes


def full_lines(items: Iterable[Image]) -> list[Line]:
    """Return one line per item. A full export has no write timestamps."""
    return [{"Item": item} for item in items]


def incremental_lines(
    steps: Sequence[HistoryStep], names: tuple[str, ...], view: str
) -> list[Line]:
    """Return one line per changed key: its state before the window and after it.

    Nothing is written for a key that was inserted and deleted within the window.
    """
    first: dict[tuple[str, ...], HistoryStep] = {}
    last: dict[tuple[str, ...], HistoryStep] = {}
    for step in steps:
        key = key_text(step.keys, names)
        first.setdefault(key, step)
        last[key] = step
    lines: list[Line] = []
    for key, step in last.items():
        old, new = first[key].old, step.new
        if (old is None and new is None) or same_image(old, new):
            continue
        line: dict[str, Any] = {
            "Metadata": {"WriteTimestampMicros": str(step.at)},
            "Keys": step.keys,
        }
        if new is not None:
            line["NewImage"] = new
        if old is not None and view == "NEW_AND_OLD_IMAGES":
            line["OldImage"] = old
        lines.append(line)
    return lines


def partitioned(lines: Iterable[Line], hash_key: str) -> list[list[Line]]:
    """Group the lines by the partition of their hash key; some groups may be empty, as on AWS."""
    parts: list[list[Line]] = [[] for _ in range(PARTITIONS)]
    for line in lines:
        image = line.get("Item") or line["Keys"]
        digest = hashlib.sha256(json.dumps(image[hash_key]).encode()).digest()
        parts[digest[0] * PARTITIONS // 256].append(line)
    return parts


def data_files(
    parts: Iterable[Sequence[Line]], prefix: str
) -> tuple[list[S3Object], list[dict[str, Any]]]:
    """Return the data files under `prefix`data/ and their lines of the manifest."""
    objects, entries = [], []
    for part in parts:
        text = "".join(
            json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in part
        )
        body = gzip.compress(text.encode(), compresslevel=1)
        data = S3Object(f"{prefix}data/{uuid.uuid4().hex[:26]}.json.gz", body)
        objects.append(data)
        digest = hashlib.md5(body, usedforsecurity=False)
        entries.append(
            {
                "itemCount": len(part),
                "md5Checksum": base64.b64encode(digest.digest()).decode(),
                "etag": f"{digest.hexdigest()}-1",
                "dataFileS3Key": data.key,
            }
        )
    return objects, entries


def manifests(
    root: str, description: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], size: int
) -> list[S3Object]:
    """Return manifest-files.json (JSON lines), manifest-summary.json, and an MD5 of each.

    `exportType` is in the summary of incremental exports only.
    """
    summary = {
        "version": "2020-06-30",
        "exportArn": description["ExportArn"],
        "startTime": instant(description["StartTime"]),
        "endTime": instant(description["EndTime"]),
        "tableArn": description["TableArn"],
        "tableId": description["TableId"],
        "s3Bucket": description["S3Bucket"],
        "s3Prefix": description.get("S3Prefix"),
        "s3SseAlgorithm": description.get("S3SseAlgorithm", "AES256"),
        "s3SseKmsKeyId": description.get("S3SseKmsKeyId"),
        "manifestFilesS3Key": f"{root}manifest-files.json",
        "billedSizeBytes": size,
        "itemCount": sum(entry["itemCount"] for entry in entries),
        "outputFormat": "DYNAMODB_JSON",
    }
    if description["ExportType"] == "FULL_EXPORT":
        summary["exportTime"] = instant(description["ExportTime"])
    else:
        window = description["IncrementalExportSpecification"]
        summary |= {
            "version": "2023-08-01",
            "exportFromTime": instant(window["ExportFromTime"]),
            "exportToTime": instant(window["ExportToTime"]),
            "outputView": window["ExportViewType"],
            "exportType": "INCREMENTAL_EXPORT",
        }
    files = "".join(json.dumps(entry) + "\n" for entry in entries)
    objects = []
    for name, text in (("manifest-files", files), ("manifest-summary", json.dumps(summary))):
        body = text.encode()
        checksum = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest())
        objects.append(S3Object(f"{root}{name}.md5", checksum))
        objects.append(S3Object(f"{root}{name}.json", body))
    return objects


def instant(epoch: float) -> str:
    """Return an instant as the manifests write it."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
