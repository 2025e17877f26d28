"""The shapes of a table's items, as types that msgspec decodes and encodes.

A type's fields are in canonical order. So C code decodes a line in any order, checks it, and
encodes it canonically, with sorted sets and names. Two faults pass a type: numbers not in normal
form, and values with no type or two; they are found in its values (`DeferredChecks`) or its output.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType, defstruct

_encoder = msgspec.json.Encoder(order="deterministic")
encode: Callable[[Any], bytes] = _encoder.encode
encode_into: Callable[[Any, bytearray], None] = _encoder.encode_into

# M first: see `find_two_types`.
TYPES: dict[str, Any] = {
    "M": None, "L": None, "BOOL": bool, "NULL": bool, "SS": set[str], "NS": set[str],
    "BS": set[bytes], "S": str, "N": str, "B": bytes,
}  # fmt: skip

# These search the output of `encode`, where a quote within a text follows a backslash.
# A part of `replicator.canonical.NORMAL_NUMBER`, chosen so that few digits are read twice.
_NORMAL = rb"-?(?:[1-9][0-9]{0,38}+|0)(?:\.[0-9]{0,39}[1-9])?+(?<!-0)"
find_odd_number = re.compile(
    rb'N(?:":"(?!%b")|S":\[(?!(?:"%b"(?:,"%b")*)?\]))' % (_NORMAL, _NORMAL, _NORMAL)
).search
"""Finds a number that is not in normal form."""
SINGLE_NUMBER = re.compile(rb'N":"([^"\\]*)"')

# A comma precedes an attribute's name, whose value is an object. It precedes a type only where a
# value has two types. M also has an object as its value, but is always written first.
find_two_types = re.compile(rb',"[BLNS](?:OOL|ULL|S)?":[^{]').search
"""Finds a value with two types."""
# Empty braces are an empty map or a value without a type. A value follows an attribute's colon or
# is in a list. Within `"M":{"M":{}` alone, the second M may be a name or a type.
find_no_type = re.compile(rb'\{\}(?:(?<![:\[,]\{"M":\{\})|(?<="M":\{"M":\{\}))').search
"""Finds a value that may have no type."""


class Value(Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """An attribute's value of any type."""

    M: dict[str, Value] | UnsetType = UNSET
    L: list[Value] | UnsetType = UNSET
    BOOL: bool | UnsetType = UNSET
    NULL: bool | UnsetType = UNSET
    SS: set[str] | UnsetType = UNSET
    NS: set[str] | UnsetType = UNSET
    BS: set[bytes] | UnsetType = UNSET
    S: str | UnsetType = UNSET
    N: str | UnsetType = UNSET
    B: bytes | UnsetType = UNSET


class FallbackDecoder(Struct, forbid_unknown_fields=True, gc=False):
    """A line of a full export."""

    Item: dict[str, Value]


class DeferredChecks:
    """Decoded values that a shape's types cannot check, collected to be checked together.

    Collecting them runs hardly any Python. Searching the encoded output instead would take as long
    as encoding it.
    """

    def __init__(self) -> None:
        self.numbers: list[Any] = []
        """Values whose `f0` is a number."""
        self.texts: list[str] = []
        """Further numbers."""
        self.twofold: list[Any] = []
        """Values that must have exactly one of `f0` and `f1`."""

    def any_failed(self) -> bool:
        """Return True if a number is not in normal form or a value has not one type; then clear.

        A true result may be a false alarm; a false result is certain.
        """
        # A text with a comma in it is no number, and stays as it is, whatever its parts look like.
        row = ",".join(["", *map(_first, self.numbers), *self.texts, ""])
        wrong = [(each.f0 is UNSET) is (each.f1 is UNSET) for each in self.twofold]
        self.clear()
        return _odd_in_row(row) is not None or any(wrong)

    def clear(self) -> None:
        self.numbers.clear()
        self.texts.clear()
        self.twofold.clear()


_first = operator.attrgetter("f0")
# A comma not followed by a normal number. As with `_NORMAL`, some normal numbers do not match.
_odd_in_row = re.compile(
    r",(?!-?[1-9][0-9]{0,38}(?:\.[0-9]{0,39}[1-9])?,|-?0\.[0-9]{0,39}[1-9],|0,|\Z)"
).search


@dataclass(frozen=True)
class Shape:
    """A type for a table's lines, with its decoder.

    `decode` raises ValueError or RecursionError for a line of another shape. The canonical forms
    of its result are `encode(line.Item)` and `encode(key(line.Item))`, unless the deferred checks
    fail. A `loose` shape defers none: `find_odd_number`, `find_two_types` and `find_no_type` must
    then find nothing in the item's form.
    """

    decode: Callable[[bytes], Any]
    key: Callable[[Any], Any]
    loose: bool


def any_shape(key: tuple[str, ...]) -> Shape:
    """Return the shape that fits every item."""
    return Shape(
        msgspec.json.Decoder(FallbackDecoder).decode, _key_maker(tuple(sorted(key))), loose=True
    )


def _key_maker(names: tuple[str, ...]) -> Callable[[Any], Any]:
    if any(map(is_unwritable, names)):
        return lambda item: {name: item[name] for name in names}
    made = _key_type(names)
    if len(names) == 1:
        (only,) = names
        return lambda item: made(item[only])
    one, other = names
    return lambda item: made(item[one], item[other])


def key_picker(names: tuple[str, ...]) -> Callable[[Any], Any]:
    """Return a function that takes the key (sorted names) from the fields `key0` and `key1`."""
    made = _key_type(names)
    if len(names) == 1:
        return lambda item: made(item.key0)
    return lambda item: made(item.key0, item.key1)


def _key_type(names: tuple[str, ...]) -> Any:
    fields = {f"key{place}": name for place, name in enumerate(names)}
    return defstruct("Key", [(field, Any) for field in fields], rename=fields, gc=False)


def is_unwritable(name: str) -> bool:
    """Return True if msgspec refuses the name for a field, because JSON escapes it."""
    return any(character in '"\\' or character < " " for character in name)
