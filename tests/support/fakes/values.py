"""Attribute values as DynamoDB keeps them: validation, number form, size, equality and order.

Items are DynamoDB JSON as boto3's low-level client takes and gives it: binary is `bytes`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

AttributeValue = dict[str, Any]
Item = dict[str, AttributeValue]

ITEM_LIMIT = 400 * 1024
_NESTING_LIMIT = 32
_PLAIN_INTEGER = re.compile(r"(?:0|-?[1-9][0-9]{0,37})\Z")
_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?\Z")
_SETS = {"SS": "S", "NS": "N", "BS": "B"}
_EMPTY_SET = {
    "SS": "An string set  may not be empty",
    "NS": "An number set  may not be empty",
    "BS": "Binary sets should not be empty",
}
_INVALID = "One or more parameter values were invalid: "


class InvalidValueError(Exception):
    """DynamoDB would answer ValidationException with this message."""


def normalised_number(text: str) -> str:
    """The form DynamoDB gives a number back in: no leading or trailing zeroes, no exponent.

    At most 38 significant digits, magnitude between 1E-130 and 9.99…E+125 (AWS: data types).
    """
    if _PLAIN_INTEGER.match(text):
        return text
    match = _NUMBER.match(text)
    if match is None or not (match[2] or match[3]):
        raise InvalidValueError(f"The parameter cannot be converted to a numeric value: {text}")
    fraction = match[3] or ""
    digits = (match[2] + fraction).lstrip("0")
    exponent = int(match[4] or 0) - len(fraction)
    stripped = digits.rstrip("0")
    exponent += len(digits) - len(stripped)
    if not stripped:
        return "0"
    if len(stripped) > 38:
        raise InvalidValueError("Attempting to store more than 38 significant digits in a Number")
    magnitude = exponent + len(stripped) - 1
    if magnitude > 125:
        raise InvalidValueError(
            "Number overflow. Attempting to store a number with magnitude larger than supported "
            "range"
        )
    if magnitude < -130:
        raise InvalidValueError(
            "Number underflow. Attempting to store a number with magnitude smaller than supported "
            "range"
        )
    sign = "-" if match[1] == "-" else ""
    if exponent >= 0:
        return sign + stripped + "0" * exponent
    if magnitude >= 0:
        return f"{sign}{stripped[: magnitude + 1]}.{stripped[magnitude + 1 :]}"
    return f"{sign}0.{'0' * (-magnitude - 1)}{stripped}"


def normalised(value: Mapping[str, Any], depth: int = 0) -> AttributeValue:
    """A checked copy of `value` as DynamoDB would keep it. Raises InvalidValueError."""
    if len(value) != 1:
        raise InvalidValueError(
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
            if not value
            else "Supplied AttributeValue has more than one datatypes set, must contain exactly "
            "one of the supported datatypes"
        )
    ((kind, content),) = value.items()
    if kind in ("S", "BOOL"):
        return {kind: content}
    if kind == "N":
        return {"N": normalised_number(content)}
    if kind == "B":
        return {"B": bytes(content)}
    if kind == "NULL":
        if content is not True:
            raise InvalidValueError(
                _INVALID + "Null attribute value types must have the value of true"
            )
        return {"NULL": True}
    if kind in _SETS:
        return {kind: _normalised_set(kind, content)}
    if depth >= _NESTING_LIMIT:
        raise InvalidValueError("Nesting Levels have exceeded supported limits")
    if kind == "M":
        return {"M": {name: normalised(inner, depth + 1) for name, inner in content.items()}}
    return {"L": [normalised(inner, depth + 1) for inner in content]}


def _normalised_set(kind: str, content: list[Any]) -> list[Any]:
    if not content:
        raise InvalidValueError(_INVALID + _EMPTY_SET[kind])
    members = [normalised({_SETS[kind]: member})[_SETS[kind]] for member in content]
    if len(set(members)) != len(members):
        shown = ", ".join(str(member) for member in content)
        raise InvalidValueError(_INVALID + f"Input collection [{shown}] contains duplicates.")
    return members


def normalised_item(item: Mapping[str, Mapping[str, Any]]) -> Item:
    return {name: normalised(value) for name, value in item.items()}


def size(value: Mapping[str, Any]) -> int:
    """Bytes that a value counts towards the 400 KB of an item (AWS: item sizes and formats)."""
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "B":
        return len(content)
    if kind == "N":
        return _number_size(content)
    if kind in ("BOOL", "NULL"):
        return 1
    if kind in _SETS:
        return sum(size({_SETS[kind]: member}) for member in content)
    if kind == "M":
        return 3 + sum(len(name.encode()) + size(inner) + 1 for name, inner in content.items())
    return 3 + sum(size(inner) + 1 for inner in content)


def _number_size(text: str) -> int:
    digits = text.lstrip("-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + text.startswith("-")


def item_size(item: Mapping[str, Mapping[str, Any]]) -> int:
    return sum(len(name.encode()) + size(value) for name, value in item.items())


def equal(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Equality of normalised values: numbers by value, sets as sets, binary byte for byte."""
    ((left_kind, left_content),) = left.items()
    ((right_kind, right_content),) = right.items()
    if left_kind != right_kind:
        return False
    if left_kind in _SETS:
        return set(left_content) == set(right_content)
    if left_kind == "M":
        return equal_items(left_content, right_content)
    if left_kind == "L":
        return len(left_content) == len(right_content) and all(
            map(equal, left_content, right_content)
        )
    return bool(left_content == right_content)


def equal_items(
    left: Mapping[str, Mapping[str, Any]], right: Mapping[str, Mapping[str, Any]]
) -> bool:
    return left.keys() == right.keys() and all(equal(left[name], right[name]) for name in left)


def order(value: Mapping[str, Any]) -> Decimal | bytes | None:
    """What <, >, BETWEEN and sort keys go by; None where DynamoDB defines no order."""
    ((kind, content),) = value.items()
    if kind == "N":
        return Decimal(content)
    if kind == "S":
        return bytes(content.encode())
    return bytes(content) if kind == "B" else None
