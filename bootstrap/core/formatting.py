"""Moments, sizes and durations as text."""

from __future__ import annotations

import datetime
from base64 import b64encode
from collections.abc import Mapping
from typing import Any


def moment(at: float) -> str:
    """Format epoch seconds as ISO 8601 in UTC, in whole seconds."""
    return _iso(at, "seconds")


def instant(at: float) -> str:
    """Format epoch seconds as ISO 8601 in UTC, in milliseconds."""
    return _iso(at, "milliseconds")


def _iso(at: float, precision: str) -> str:
    text = datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec=precision)
    return text.replace("+00:00", "Z")


def duration(seconds: float) -> str:
    """Format seconds in the two largest units: `2 d 4 h`, `3 min 20 s`, `12 s`."""
    whole = max(0, round(seconds))
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def size(count: float) -> str:
    """Format bytes in the largest binary unit that leaves a number of one or more."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def number(count: int) -> str:
    return f"{count:,}"


def plain_json(value: Any) -> Any:
    """Convert attributes to DynamoDB's JSON: binary as base64."""
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {name: plain_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(each) for each in value]
    return value
