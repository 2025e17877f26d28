"""What the items of a table look like, as types that msgspec reads and writes.

A type's fields stand in the order of the canonical form. So a line is decoded straight into them,
whatever order it has, checked on the way, and written again canonically, all of it in C: sets and
names sorted, base64 and escapes respelled. What a type cannot tell is told from what was written
afterwards: numbers that are not normal, and values that have no type or two.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

_encoder = msgspec.json.Encoder(order="deterministic")
encode: Callable[[Any], bytes] = _encoder.encode
encode_into: Callable[[Any, bytearray], None] = _encoder.encode_into

# M first: see `two_types`.
TYPES: dict[str, Any] = {
    "M": None, "L": None, "BOOL": bool, "NULL": bool, "SS": set[str], "NS": set[str],
    "BS": set[bytes], "S": str, "N": str, "B": bytes,
}  # fmt: skip

# These look at what `encode` wrote, where a quote within a text has a backslash before it.
# `replicator.canonical.NORMAL_NUMBER` and no more than that, so that hardly a digit is read twice.
_NORMAL = rb"-?(?:[1-9][0-9]{0,38}+|0)(?:\.[0-9]{0,39}[1-9])?+(?<!-0)"
odd_number = re.compile(
    rb'N(?:":"(?!%b")|S":\[(?!(?:"%b"(?:,"%b")*)?\]))' % (_NORMAL, _NORMAL, _NORMAL)
).search
"""Finds a number that is not spelled normally."""
SINGLE_NUMBER = re.compile(rb'N":"([^"\\]*)"')

# A comma comes before an attribute's name, which is followed by an object; before a type it comes
# only where a value has two. M is followed by an object, too; but nothing is written before it.
two_types = re.compile(rb',"[BLNS](?:OOL|ULL|S)?":[^{]').search
"""Finds a value of two types."""
# Empty braces are an empty map, or a value without a type. After an attribute's colon or in a list
# stands a value; only within `"M":{"M":{}` nobody knows whether the second M is a name.
no_type = re.compile(rb'\{\}(?:(?<![:\[,]\{"M":\{\})|(?<="M":\{"M":\{\}))').search
"""Finds a value that may have no type."""


class Value(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, gc=False):
    """An attribute's value of which nothing is known."""

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


class AnyLine(Struct, forbid_unknown_fields=True, gc=False):
    """A line of a full export."""

    Item: dict[str, Value]


@dataclass(frozen=True)
class Shape:
    """A type for the lines of a table, and what to do with what it decodes.

    `decode` raises ValueError, or RecursionError, for any line that is not of this shape. The
    canonical forms of what it returns are `encode(line.Item)` and `encode(key(line.Item))`, unless
    `odd_number` finds something in the former, or `two_types` or `no_type` if the shape is `loose`.
    """

    decode: Callable[[bytes], Any]
    key: Callable[[Any], Any]
    loose: bool


def any_shape(key: tuple[str, ...]) -> Shape:
    """The shape of every item."""
    names = sorted(key)

    def chosen(item: dict[str, Value]) -> dict[str, Value]:
        return {name: item[name] for name in names}

    return Shape(msgspec.json.Decoder(AnyLine).decode, chosen, loose=True)
