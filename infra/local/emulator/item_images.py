"""Pure functions on items in DynamoDB JSON, as change records need them.

Binary values are base64 text here, as in a request body.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Value = dict[str, Any]
Image = dict[str, Value]


def key_of(table: Mapping[str, Any], image: Mapping[str, Value]) -> Image:
    """Return the key attributes of an item of this table."""
    names = (table["pk_name"], table.get("sk_name"))
    return {name: image[name] for name in names if name and name in image}


def same_image(one: Mapping[str, Value] | None, other: Mapping[str, Value] | None) -> bool:
    """Return whether two images are equal: numbers by value, sets in any order."""
    if one is None or other is None:
        return one is other
    return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)


def _same(one: Value, other: Value) -> bool:
    if one == other:
        return True
    kind = next(iter(one))
    if kind not in other:
        return False
    mine, theirs = one[kind], other[kind]
    match kind:
        case "N":
            return Decimal(mine) == Decimal(theirs)
        case "NS":
            return {Decimal(n) for n in mine} == {Decimal(n) for n in theirs}
        case "SS" | "BS":
            return set(mine) == set(theirs)
        case "M":
            return same_image(mine, theirs)
        case "L":
            return len(mine) == len(theirs) and all(map(_same, mine, theirs))
        case _:
            return False


def twice_encoded(image: Mapping[str, Value]) -> Image:
    """Encode binary in base64 a second time, as Kinesis Data Streams for DynamoDB does.

    "These encoded binary values are encoded with base64-encoding a second time": developer guide,
    kds.html. Documented for B; taken to hold at any depth, in sets and in keys.
    """
    return {name: _twice(value) for name, value in image.items()}


def _twice(value: Value) -> Value:
    kind, content = next(iter(value.items()))
    match kind:
        case "B":
            return {"B": _again(content)}
        case "BS":
            return {"BS": [_again(member) for member in content]}
        case "M":
            return {"M": twice_encoded(content)}
        case "L":
            return {"L": [_twice(member) for member in content]}
        case _:
            return value


def _again(text: str) -> str:
    return base64.b64encode(text.encode("ascii")).decode("ascii")


def partition_key(table_name: str, key: Mapping[str, Value]) -> str:
    """Return the Kinesis partition key of an item: 32 upper-case hex digits, like AWS's.

    AWS documents no derivation. One item, one key is an assumption that keeps the quiet local cloud
    in order; LOCAL_CHAOS `scatter` drops it.
    """
    text = json.dumps([table_name, key], sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().upper()
