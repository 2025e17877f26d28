"""The parser of one value of DynamoDB JSON as an export file has it: binary in base64, once.

Limits are those of the developer guide (Constraints, HowItWorks.NamingRulesDataTypes): numbers of
38 digits between 1E-130 and 9.99…E+125, 32 levels of nesting, no empty set.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal
from typing import Any

from infra.local.data.items import Item, Value

MAX_DEPTH = 32
MAX_NAME_BYTES = 65535

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?").fullmatch
_SMALLEST, _LARGEST = -130, 125
_EXACT = Context(prec=400, Emin=-99999, Emax=99999)


class InvalidValueError(ValueError):
    """A value that DynamoDB would not store; the message does not show its content."""


def read_item(attributes: Any) -> Item:
    """Return an item with binary as bytes.

    Raises:
        InvalidValueError: naming the attribute.
    """
    if not isinstance(attributes, Mapping):
        raise InvalidValueError(f"the item is {_kind(attributes)}, not an object of attributes")
    return _attributes(attributes, "", 0)


def _attributes(attributes: Mapping[str, Any], path: str, depth: int) -> dict[str, Value]:
    read: dict[str, Value] = {}
    for name, value in attributes.items():
        if not name:
            raise InvalidValueError(f"{path or 'the item'} has an attribute with an empty name")
        if len(_utf8(name, "an attribute's name")) > MAX_NAME_BYTES:
            raise InvalidValueError(
                f"the name {name[:40]!r}… is longer than {MAX_NAME_BYTES:,} bytes"
            )
        read[name] = _value(value, f"{path}.{name}" if path else name, depth)
    return read


def _value(value: Any, path: str, depth: int) -> Value:
    if not isinstance(value, Mapping) or len(value) != 1:
        raise InvalidValueError(
            f"attribute {path} is {_kind(value)}, not one type and its value such as "
            f'{{"S": "text"}}'
        )
    ((tag, content),) = value.items()
    reader = _READERS.get(tag)
    if reader is None:
        known = ", ".join([*_READERS, "L", "M"])
        if tag not in ("L", "M"):
            raise InvalidValueError(f"attribute {path} has the type {tag!r}; the types are {known}")
        return {tag: _nested(tag, content, path, depth + 1)}
    return {tag: reader(content, path)}


def _nested(tag: str, content: Any, path: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise InvalidValueError(f"attribute {path} is nested deeper than {MAX_DEPTH} levels")
    if tag == "M":
        if not isinstance(content, Mapping):
            raise InvalidValueError(f"attribute {path} (M) is {_kind(content)}, not an object")
        return _attributes(content, path, depth)
    if not isinstance(content, list):
        raise InvalidValueError(f"attribute {path} (L) is {_kind(content)}, not an array")
    return [_value(element, f"{path}[{n}]", depth) for n, element in enumerate(content)]


def _text(content: Any, path: str) -> str:
    if not isinstance(content, str):
        raise InvalidValueError(f"attribute {path} (S) is {_kind(content)}, not a string")
    _utf8(content, f"attribute {path} (S)")
    return content


def _number(content: Any, path: str) -> str:
    if not isinstance(content, str):
        raise InvalidValueError(
            f"attribute {path} (N) is {_kind(content)}: DynamoDB JSON writes numbers as strings, "
            f'{{"N": "1"}}'
        )
    if not _NUMBER(content):
        raise InvalidValueError(f"attribute {path} (N) is not a number")
    number = Decimal(content)
    if number:
        number = number.normalize(_EXACT)
        if len(number.as_tuple().digits) > 38:
            raise InvalidValueError(f"attribute {path} (N) has more than 38 significant digits")
        if not _SMALLEST <= number.adjusted() <= _LARGEST:
            raise InvalidValueError(f"attribute {path} (N) is outside 1E-130 to 9.99…E+125")
    return content


def _binary(content: Any, path: str) -> bytes:
    if not isinstance(content, str):
        raise InvalidValueError(f"attribute {path} (B) is {_kind(content)}, not a base64 string")
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidValueError(f"attribute {path} (B) is not valid base64") from None


def _flag(content: Any, path: str) -> bool:
    if not isinstance(content, bool):
        raise InvalidValueError(f"attribute {path} (BOOL) is {_kind(content)}, not true or false")
    return content


def _null(content: Any, path: str) -> bool:
    if content is not True:
        raise InvalidValueError(
            f"attribute {path} (NULL) is {_kind(content)}; only true is allowed"
        )
    return True


def _set_of(
    tag: str, member: Callable[[Any, str], Any], form: Callable[[Any], Any]
) -> Callable[[Any, str], list[Any]]:
    def read(content: Any, path: str) -> list[Any]:
        if not isinstance(content, list):
            raise InvalidValueError(f"attribute {path} ({tag}) is {_kind(content)}, not an array")
        if not content:
            raise InvalidValueError(
                f"attribute {path} ({tag}) is an empty set, which cannot be stored"
            )
        members = [member(each, f"{path}[{n}]") for n, each in enumerate(content)]
        if len({form(each) for each in members}) < len(members):
            raise InvalidValueError(f"attribute {path} ({tag}) has the same member twice")
        return members

    return read


def _same(content: Any) -> Any:
    return content


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "S": _text,
    "N": _number,
    "B": _binary,
    "BOOL": _flag,
    "NULL": _null,
    "SS": _set_of("SS", _text, _same),
    "NS": _set_of("NS", _number, Decimal),
    "BS": _set_of("BS", _binary, _same),
}


def _utf8(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidValueError(
            f"{what} holds half of a surrogate pair, which is no text"
        ) from None


def _kind(value: Any) -> str:
    """Describe a JSON value in words, without its content."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, Sequence):
        return "an array"
    if isinstance(value, Mapping):
        return "an empty object" if not value else f"an object of {len(value)} keys"
    return "a number"
