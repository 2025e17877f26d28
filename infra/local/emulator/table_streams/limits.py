"""The limits of DynamoDB Streams, which LOCAL_STREAMS can make smaller."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

DAY = 86_400.0
LIFE_OF_A_SHARD = 4 * 3600.0

WHOLE = {"first_shards", "most_shards", "shard_records"}
EXAMPLE = ".venv/bin/python -m infra.local serve --streams shard_records=20,retention_seconds=60"


@dataclass(frozen=True)
class StreamLimits:
    """Limits of every stream of one emulator.

    retention_seconds: a record's time in its stream: 24 hours on AWS, and the time for which a
    stream that was switched off stays readable (developer guide, Streams.html).
    shard_seconds: the age at which a shard closes and has one child; AWS documents none.
    shard_records: the number of records after which a shard closes and splits in two, as under
    high write activity; AWS documents none. Above `most_shards` open shards it has one child.
    first_shards: the open shards of a new stream: one for each partition of the table.
    reader_seconds: how long a reader counts as one of the two of a shard after its GetRecords.
    """

    retention_seconds: float = DAY
    shard_seconds: float = LIFE_OF_A_SHARD
    shard_records: int = 1000
    first_shards: int = 2
    most_shards: int = 4
    reader_seconds: float = 1.0

    def scaled(self, scale: float) -> StreamLimits:
        """Return the limits on a clock that multiplies AWS's delays."""
        return replace(
            self,
            retention_seconds=self.retention_seconds * scale,
            shard_seconds=self.shard_seconds * scale,
        )


AS_ON_AWS = StreamLimits()


def parse(text: str, defaults: StreamLimits) -> StreamLimits:
    """Read a list like "shard_records=20,retention_seconds=60" over the defaults; "" changes none.

    Raises ValueError, with a line that begins "Try: ", for an unknown name or a wrong value.
    """
    limits = defaults
    for part in (each.strip() for each in text.split(",") if each.strip()):
        name, _, value = part.partition("=")
        change: dict[str, Any] = {name: _number(name, value)}
        limits = replace(limits, **change)
    return limits


def _number(name: str, value: str) -> float | int:
    known = {field.name for field in fields(StreamLimits)}
    if name not in known:
        raise _wrong(f"there is no {name!r}, only {', '.join(sorted(known))}")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise _wrong(f"{name} is {value!r}, not a number above 0")
    if name not in WHOLE:
        return number
    if not number.is_integer():
        raise _wrong(f"{name} is {value}, not a whole number")
    return int(number)


def _wrong(what: str) -> ValueError:
    return ValueError(f"LOCAL_STREAMS or --streams: {what}.\nTry: {EXAMPLE}")
