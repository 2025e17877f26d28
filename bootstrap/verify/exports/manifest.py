"""The manifests of an export: manifest-summary.json and manifest-files.json.

Layout and fields: developer guide, S3DataExport.Output.html.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import md5
from typing import Any, NoReturn

from bootstrap.core.errors import BlockedError
from bootstrap.core.objects import MissingObjectError, ObjectReader

FOLDER = "AWSDynamoDB/"
TAKE_ANOTHER = (
    "find out who changed the bucket, then verify with --fresh, which exports again, or name other "
    "exports. Nothing was compared: a damaged export proves nothing"
)


class DamagedExportError(BlockedError):
    """An export that contradicts its manifest: truncated, missing, altered or miscounted."""


class DuplicateKeyError(DamagedExportError):
    """An export with two items of one key."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One data file. `number` is its position in the manifest; `md5` is in base64."""

    number: int
    key: str
    items: int
    md5: str


@dataclass(frozen=True)
class Export:
    """A completed export, as its manifests describe it. Instants are µs since 1970.

    `time` is a full export's ExportTime; `window` is an incremental one's [from, to). `summary` is
    the key of manifest-summary.json, from which another process can read the same export.
    """

    arn: str
    table_arn: str
    table_id: str
    bucket: str
    files: tuple[ExportedFile, ...]
    time: int | None = None
    window: tuple[int, int] | None = None
    summary: str = ""

    @property
    def items(self) -> int:
        """The number of lines in all data files."""
        return sum(file.items for file in self.files)


def summary_key(export_arn: str, prefix: str | None) -> str:
    """Return the key of an export's summary, by ExportArn and S3Prefix.

    DescribeExport's ExportManifest is no help: AWS's examples show it with and without the prefix.
    """
    folder = f"{FOLDER}{export_arn.rsplit('/', 1)[1]}/manifest-summary.json"
    return f"{prefix}/{folder}" if prefix else folder


def read_export(objects: ObjectReader, bucket: str, summary: str) -> Export:
    """Read both manifests and check them against each other.

    Raises:
        DamagedExportError: a manifest is missing, unreadable, altered or contradicts the other.
    """
    about = list(_lines(summary, _checked(objects, bucket, summary)))
    if len(about) != 1:
        _damaged(summary, f"it has {len(about)} values instead of one")
    fields = about[0]
    root = summary[: summary.rindex(FOLDER)] if FOLDER in summary else ""
    try:
        if fields["outputFormat"] != "DYNAMODB_JSON":
            _damaged(summary, f"its format is {fields['outputFormat']}, not DYNAMODB_JSON")
        list_key = _placed(root, fields["manifestFilesS3Key"])
        entries = _lines(list_key, _checked(objects, bucket, list_key))
        files = tuple(
            ExportedFile(
                number=number,
                key=_placed(root, entry["dataFileS3Key"]),
                items=int(entry["itemCount"]),
                md5=str(entry["md5Checksum"]),
            )
            for number, entry in enumerate(entries)
        )
        export = Export(
            arn=str(fields["exportArn"]),
            table_arn=str(fields["tableArn"]),
            table_id=str(fields["tableId"]),
            bucket=bucket,
            files=files,
            time=_micros(fields.get("exportTime")),
            window=_window(fields),
            summary=summary,
        )
        expected = int(fields["itemCount"])
    except (KeyError, TypeError, ValueError) as error:
        _damaged(summary, f"a field is missing or unreadable ({error!r})")
    if len({file.key for file in files}) != len(files):
        _damaged(list_key, "it names a data file twice")
    if export.items != expected:
        _damaged(list_key, f"its files add up to {export.items} items, the summary says {expected}")
    if export.time is None and export.window is None:
        _damaged(summary, "it has neither an exportTime nor a window")
    return export


def _checked(objects: ObjectReader, bucket: str, key: str) -> bytes:
    """Read a manifest, and check it against its .md5 object if there is one.

    AWS's documentation gives that object two names, so its absence means nothing.
    """
    try:
        body = objects.read(bucket, key)
    except MissingObjectError:
        _damaged(key, "the object does not exist")
    try:
        said = objects.read(bucket, f"{key.removesuffix('.json')}.md5").decode().strip()
    except (MissingObjectError, UnicodeDecodeError):
        return body
    digest = md5(body, usedforsecurity=False)
    if said not in (b64encode(digest.digest()).decode(), digest.hexdigest()):
        _damaged(key, "its MD5 is not the one stored beside it")
    return body


def _lines(key: str, body: bytes) -> Iterator[Mapping[str, Any]]:
    for line in body.split(b"\n"):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:
            _damaged(key, "it is not JSON")
        if not isinstance(value, dict):
            _damaged(key, "it has values that are not JSON objects")
        yield value


def _placed(root: str, key: str) -> str:
    """Return the key in the bucket: manifests have keys with and without the prefix."""
    return root + key[key.rindex(FOLDER) :] if FOLDER in key else root + key


def _window(fields: Mapping[str, Any]) -> tuple[int, int] | None:
    begin, end = _micros(fields.get("exportFromTime")), _micros(fields.get("exportToTime"))
    return None if begin is None or end is None else (begin, end)


def _micros(instant: str | None) -> int | None:
    """Parse an instant such as 2020-11-04T07:28:34.028Z."""
    if instant is None:
        return None
    moment = datetime.fromisoformat(instant)
    if moment.tzinfo is None:
        raise ValueError(f"{instant} has no time zone")
    return round(moment.timestamp() * 1_000_000)


def _damaged(key: str, why: str) -> NoReturn:
    raise DamagedExportError(f"Reading the export's manifest {key}: {why}.", fix=TAKE_ANOTHER)
