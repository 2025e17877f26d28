"""The lines of exports as images: DynamoDB JSON with binary as `bytes`, as in the consumer.

Binary is base64 once in an export, and twice in a change record.
"""

from __future__ import annotations

import binascii
import json
from dataclasses import dataclass
from typing import Any

from replicator.canonical import key_digest

Item = dict[str, Any]

_MICROS = range(10**15, 10**16)
"""Write times in µs, from 2001 to 2286. Seconds, milliseconds and nanoseconds are outside: read as
µs, they would make every change older, or newer, than the ledger's entries."""


@dataclass(frozen=True)
class ExportedChange:
    """A line of an incremental export: a key that changed within the window.

    `micros` is the time of the last write (µs since 1970). `old` is the item before the window, if
    the export has it. `new` is None for a key that is absent at the window's end.
    """

    keys: Item
    old: Item | None
    new: Item | None
    micros: int


def parse_item(line: bytes) -> Item:
    """Parse a line of a full export. Raises ValueError for anything else."""
    value = _parsed(line)
    if not isinstance(value, dict) or value.keys() != {"Item"}:
        raise ValueError("the line is not an item")
    return parse_image(value["Item"])


def parse_change(line: bytes) -> ExportedChange:
    """Parse a line of an incremental export. Raises ValueError for anything else.

    WriteTimestampMicros may be text, a number or a DynamoDB number: AWS's documents disagree.
    """
    value = _parsed(line)
    try:
        stamp = value["Metadata"]["WriteTimestampMicros"]
        micros = int(stamp["N"] if isinstance(stamp, dict) else stamp)
        keys = parse_image(value["Keys"])
        old, new = (_optional_image(value, name, keys) for name in ("OldImage", "NewImage"))
    except (AttributeError, KeyError, OverflowError, TypeError) as error:
        raise ValueError("the line is not a change of an incremental export") from error
    if micros not in _MICROS:
        raise ValueError("the write timestamp is not in microseconds")
    if not keys:
        raise ValueError("the line has no key")
    return ExportedChange(keys, old, new, micros)


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except RecursionError:
        raise ValueError("the line is nested deeper than any item") from None


def _optional_image(line: Any, name: str, keys: Item) -> Item | None:
    """Parse an image of the line, which must be of the line's key, by value."""
    found = line.get(name)
    if found is None:
        return None
    image = parse_image(found)
    if not image.keys() >= keys.keys() or key_digest({each: image[each] for each in keys}) != (
        key_digest(keys)
    ):
        raise ValueError(f"the {name} has another key than the line")
    return image


def parse_image(attributes: Any) -> Item:
    """Parse attributes, decoding binary once. Raises ValueError unless it is DynamoDB JSON."""
    if not isinstance(attributes, dict):
        raise ValueError("attributes are not a JSON object")
    return {name: _value(value) for name, value in attributes.items()}


def _value(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("an attribute's value has not exactly one type")
    ((tag, held),) = value.items()
    read = _TYPES.get(tag)
    if read is None:
        raise ValueError("an attribute's value is of an unknown type")
    return {tag: read(held)}


def _text(held: Any) -> str:
    if not isinstance(held, str):
        raise ValueError("a text or a number is not a JSON string")
    return held


def _flag(held: Any) -> bool:
    if not isinstance(held, bool):
        raise ValueError("a BOOL or a NULL is neither true nor false")
    return held


def _binary(held: Any) -> bytes:
    if not isinstance(held, str):
        raise ValueError("a binary value is not a JSON string")
    try:
        return binascii.a2b_base64(held, strict_mode=True)
    except binascii.Error as error:
        raise ValueError("a binary value is not base64") from error


def _list(held: Any) -> list[Any]:
    if not isinstance(held, list):
        raise ValueError("a list or a set is not a JSON array")
    return held


_TYPES: dict[str, Any] = {
    "S": _text,
    "N": _text,
    "B": _binary,
    "BOOL": _flag,
    "NULL": _flag,
    "M": parse_image,
    "L": lambda held: [_value(each) for each in _list(held)],
    "SS": lambda held: [_text(each) for each in _list(held)],
    "NS": lambda held: [_text(each) for each in _list(held)],
    "BS": lambda held: [_binary(each) for each in _list(held)],
}
