"""The lines of an input object, as pure functions.

A line is `{"Item": {…}}` in DynamoDB's JSON, and may have a condition of its own (developer guide,
BulkPutItems.Format; read in part: the names of the condition's members are those of PutItem).
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CONDITION = ("ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues")
MEMBERS = {"Item", *CONDITION}


class BadLineError(Exception):
    """A line, or a whole object, that is no item. The rest of its object is not read."""


@dataclass(frozen=True)
class Line:
    """A line of an object: its number from 1, and where it ends, as a part of the object's text."""

    number: int
    text: bytes
    share: float


def lines_of(body: bytes, compression: str) -> Iterator[Line]:
    """Yield the lines that are not blank. Only a newline ends one.

    Raises:
        BadLineError: the object is not compressed as the request says.
    """
    text = _decompressed(body, compression)
    end = 0
    for number, line in enumerate(text.split(b"\n"), start=1):
        end += len(line) + 1
        if line.strip():
            yield Line(number, line, min(1.0, end / max(1, len(text))))


def put_of(line: Line) -> dict[str, Any]:
    """Return the PutItem request of a line, without the table.

    Raises:
        BadLineError: the line is no record with an item. The message holds nothing of it.
    """
    try:
        record = json.loads(line.text)
    except ValueError:
        raise BadLineError("The line is not valid JSON") from None
    if not isinstance(record, dict) or not isinstance(record.get("Item"), dict):
        raise BadLineError("The line is not in DYNAMODB_JSON format: it has no Item")
    if record.keys() - MEMBERS:
        raise BadLineError("The line has members other than an item and its condition")
    return record


def _decompressed(body: bytes, compression: str) -> bytes:
    if compression == "NONE":
        return body
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        raise BadLineError("The object is not valid GZIP data") from None
