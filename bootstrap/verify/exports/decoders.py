"""What the items of a table look like, as types that msgspec reads and writes.

A type's fields stand in the order of the canonical form. So a line is decoded straight into them,
whatever order it has, checked on the way, and written again canonically, all of it in C: sets and
names sorted, base64 and escapes respelled. What a type cannot tell is told afterwards, from what it
decoded (`Doubts`) or from what was written: numbers that are not normal, and values that have no
type or two.
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

# M first: see `two_types`.
TYPES: dict[str, Any] = {
    "M": None, "L": None, "BOOL": bool, "NULL": bool, "SS": set[str], "NS": set[str],
    "BS": set[bytes], "S": str, "N": str, "B": bytes,
}  # fmt: skip

# These look at what `encode` wrote, where a quote within a text has a backslash before it.
# `replicator.canonical.NORMAL_NUMBER` and no more than that, so that hardly a digit is read twice.
_NORMAL = rb"-?(?:[1-9][0-9]{0,38}+|0)(?:\.[0-9]{0,39}[1-9])?+(?<!-0)"
find_odd_number = re.compile(
    rb'N(?:":"(?!%b")|S":\[(?!(?:"%b"(?:,"%b")*)?\]))' % (_NORMAL, _NORMAL, _NORMAL)
).search
"""Finds a number that is not spelled normally."""
SINGLE_NUMBER = re.compile(rb'N":"([^"\\]*)"')

# A comma comes before an attribute's name, which is followed by an object; before a type it comes
# only where a value has two. M is followed by an object, too; but nothing is written before it.
find_two_types = re.compile(rb',"[BLNS](?:OOL|ULL|S)?":[^{]').search
"""Finds a value of two types."""
# Empty braces are an empty map, or a value without a type. After an attribute's colon or in a list
# stands a value; only within `"M":{"M":{}` nobody knows whether the second M is a name.
find_no_type = re.compile(rb'\{\}(?:(?<![:\[,]\{"M":\{\})|(?<="M":\{"M":\{\}))').search
"""Finds a value that may have no type."""


class Value(Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
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


class FallbackDecoder(Struct, forbid_unknown_fields=True, gc=False):
    """A line of a full export."""

    Item: dict[str, Value]


class DeferredChecks:
    """What the types of a shape have decoded and could not judge, to be looked at many at once.

    A type hands over what it has made, and hardly any Python is run for it. To look for it in what
    was written would take as long as to write it.
    """

    def __init__(self) -> None:
        self.numbers: list[Any] = []
        """Values whose `f0` is a number."""
        self.texts: list[str] = []
        """Numbers, too."""
        self.twofold: list[Any] = []
        """Values that have one of `f0` and `f1`, or are wrong."""

    def justified(self) -> bool:
        """Whether a number is not spelled normally, or a value has not one type; and forgets them.

        May be true where nothing is wrong; never false where something is.
        """
        # A text with a comma in it is no number, and stays as it is, whatever its parts look like.
        row = ",".join(["", *map(_first, self.numbers), *self.texts, ""])
        wrong = [(each.f0 is UNSET) is (each.f1 is UNSET) for each in self.twofold]
        self.forget()
        return _odd_in_row(row) is not None or any(wrong)

    def forget(self) -> None:
        self.numbers.clear()
        self.texts.clear()
        self.twofold.clear()


_first = operator.attrgetter("f0")
# A comma that no normal number follows; as with `_NORMAL`, some that are normal count as odd.
_odd_in_row = re.compile(
    r",(?!-?[1-9][0-9]{0,38}(?:\.[0-9]{0,39}[1-9])?,|-?0\.[0-9]{0,39}[1-9],|0,|\Z)"
).search


@dataclass(frozen=True)
class Shape:
    """A type for the lines of a table, and what to do with what it decodes.

    `decode` raises ValueError, or RecursionError, for any line that is not of this shape. The
    canonical forms of what it returns are `encode(line.Item)` and `encode(key(line.Item))`, unless
    the `Doubts` that it left are justified; or, if the shape is `loose` and leaves none, unless
    `odd_number`, `two_types` or `no_type` find something in the former.
    """

    decode: Callable[[bytes], Any]
    key: Callable[[Any], Any]
    loose: bool


def any_shape(key: tuple[str, ...]) -> Shape:
    """The shape of every item."""
    return Shape(
        msgspec.json.Decoder(FallbackDecoder).decode, _chosen(tuple(sorted(key))), loose=True
    )


def _chosen(names: tuple[str, ...]) -> Callable[[Any], Any]:
    if any(map(is_unwritable, names)):
        return lambda item: {name: item[name] for name in names}
    made = _key_type(names)
    if len(names) == 1:
        (only,) = names
        return lambda item: made(item[only])
    one, other = names
    return lambda item: made(item[one], item[other])


def key_picker(names: tuple[str, ...]) -> Callable[[Any], Any]:
    """Takes the key, of these sorted names, from a type's fields `key0` and `key1`."""
    made = _key_type(names)
    if len(names) == 1:
        return lambda item: made(item.key0)
    return lambda item: made(item.key0, item.key1)


def _key_type(names: tuple[str, ...]) -> Any:
    fields = {f"key{place}": name for place, name in enumerate(names)}
    return defstruct("Key", [(field, Any) for field in fields], rename=fields, gc=False)


def is_unwritable(name: str) -> bool:
    """Whether msgspec takes no such name for a field: those that JSON escapes."""
    return any(character in '"\\' or character < " " for character in name)
