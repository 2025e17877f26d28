"""Shapes of lines: most items of a table have the same attributes, in the same order.

For a shape that keeps coming back a regular expression is made that accepts only lines whose every
value is spelled canonically already. What it captures goes into a template with the names sorted:
the canonical form, without parsing. Whatever it does not accept is parsed. Python's regular
expressions run in C, so this is several times faster than building objects and writing them again.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from replicator.canonical import NORMAL_NUMBER

MOST_VALUES = 120
"""Values in a shape, nested ones included; above, parsing is as good."""

# A text between quotes. The first is for lines without a backslash, where nothing is escaped. The
# second takes those escapes that are the canonical spelling of what they stand for.
_PLAIN = rb'[^"]*+'
_ESCAPED = rb'[^"\\]*+(?:\\["\\nrtbf][^"\\]*+)*+'
_BASE64 = rb"[A-Za-z0-9+/]*(?:[AQgw]==|[AEIMQUYcgkosw048]=)?"
_NUMBER = NORMAL_NUMBER.encode()
_number = re.compile(_NUMBER).fullmatch

Normal = Callable[[bytes], bytes | None]
"""What a captured value still needs; None: it is not canonical after all."""


@dataclass(frozen=True)
class _Form:
    """A part of a shape: what accepts it, its canonical template and the captures in that."""

    accepts: bytes
    template: bytes
    slots: tuple[int, ...]


class Shape:
    """Recognises lines like one that was parsed, and writes their canonical forms."""

    def __init__(self, item: dict[str, Any], key: tuple[str, ...]) -> None:
        self._normal: dict[int, Normal] = {}
        plain = self._compile(item, _PLAIN)
        self._plain = re.compile(_line(plain.accepts)).fullmatch
        escaped = None if self._has_sets else self._compile(item, _ESCAPED).accepts
        # Compiled when the first line with a backslash comes.
        self._escaped_source = escaped
        self._escaped: Callable[[bytes], re.Match[bytes] | None] | None = None
        self._template, self._slots = plain.template, plain.slots
        chosen = self._chosen(item, key)
        self._key_template, self._key_slots = chosen.template, chosen.slots
        self._fixes = [
            (n, self._normal[slot]) for n, slot in enumerate(self._slots) if slot in self._normal
        ]
        self._key_fixes = [
            (n, self._normal[slot])
            for n, slot in enumerate(self._key_slots)
            if slot in self._normal
        ]

    def match(self, line: bytes, escapes: bool) -> re.Match[bytes] | None:
        """The captures of a line of this shape; `escapes`: it holds a backslash."""
        if not escapes:
            return self._plain(line)
        if self._escaped is None:
            if self._escaped_source is None:
                return None
            self._escaped = re.compile(_line(self._escaped_source)).fullmatch
        return self._escaped(line)

    def key(self, found: re.Match[bytes]) -> bytes | None:
        """The canonical form of the key attributes; None if parsing has to say."""
        values = found.group(*self._key_slots)
        if self._key_fixes:
            return _filled(self._key_template, values, self._key_fixes)
        return self._key_template % values

    def image(self, found: re.Match[bytes]) -> bytes | None:
        """The canonical form of the item; None if parsing has to say."""
        values = found.group(*self._slots)
        if self._fixes:
            return _filled(self._template, values, self._fixes)
        return self._template % values

    # -- making ----------------------------------------------------------------------------------

    def _compile(self, item: dict[str, Any], text: bytes) -> _Form:
        self._count = 0
        self._has_sets = False
        self._places: dict[str, _Form] = {}
        return self._attributes(item, text, self._places)

    def _chosen(self, item: dict[str, Any], key: tuple[str, ...]) -> _Form:
        chosen = [(name, self._places[name]) for name in sorted(key)]
        return _Form(b"", _object(chosen, template=True), _slots(chosen))

    def _attributes(
        self, attributes: dict[str, Any], text: bytes, places: dict[str, _Form] | None = None
    ) -> _Form:
        made = [(name, self._value(value, text)) for name, value in attributes.items()]
        if places is not None:
            places.update(made)
        ordered = sorted(made, key=lambda each: each[0])
        return _Form(
            _object(made, template=False), _object(ordered, template=True), _slots(ordered)
        )

    def _value(self, value: dict[str, Any], text: bytes) -> _Form:
        ((tag, held),) = value.items()
        name = tag.encode()
        if tag == "M":
            inner = self._attributes(held, text)
            return _wrapped(name, inner.accepts, inner.template, inner.slots)
        if tag == "L":
            parts = [self._value(each, text) for each in held]
            return _wrapped(
                name,
                rb"\[" + b",".join(part.accepts for part in parts) + rb"\]",
                b"[" + b",".join(part.template for part in parts) + b"]",
                tuple(slot for part in parts for slot in part.slots),
            )
        self._count += 1
        slot = self._count
        if tag in _SETS:
            self._has_sets = True
            member, self._normal[slot] = _SETS[tag]
            inside = b'((?:"' + member + b'")(?:,"' + member + b'")*+)'
            return _wrapped(name, rb"\[" + inside + rb"\]", b"[%b]", (slot,))
        if tag in ("BOOL", "NULL"):
            return _wrapped(name, b"(true|false)", b"%b", (slot,))
        if tag == "B":
            self._normal[slot] = _whole_base64
        pattern = {"S": text, "N": _NUMBER, "B": _BASE64}[tag]
        return _wrapped(name, b'"(' + pattern + b')"', b'"%b"', (slot,))


def signature(item: dict[str, Any]) -> tuple[Any, ...]:
    """What items of one shape have in common: names, types and structure, in order."""
    return tuple(_signature(item))


def values_in(part: tuple[Any, ...]) -> int:
    """How many values a signature has."""
    return sum(values_in(each) if isinstance(each, tuple) else 1 for each in part)


def _signature(attributes: dict[str, Any]) -> Iterator[Any]:
    for name, value in attributes.items():
        yield name
        yield _kind(value)


def _kind(value: dict[str, Any]) -> Any:
    ((tag, held),) = value.items()
    if tag == "M":
        return ("M", *_signature(held))
    if tag == "L":
        return ("L", *map(_kind, held))
    return tag


def _line(accepts: bytes) -> bytes:
    return rb'\{"Item":' + accepts + rb"\}"


def _wrapped(tag: bytes, accepts: bytes, template: bytes, slots: tuple[int, ...]) -> _Form:
    return _Form(
        rb'\{"' + tag + b'":' + accepts + rb"\}", b'{"' + tag + b'":' + template + b"}", slots
    )


def _object(parts: list[tuple[str, _Form]], *, template: bool) -> bytes:
    if template:
        written = (
            orjson.dumps(name).replace(b"%", b"%%") + b":" + part.template for name, part in parts
        )
        return b"{" + b",".join(written) + b"}"
    accepted = (re.escape(orjson.dumps(name)) + b":" + part.accepts for name, part in parts)
    return rb"\{" + b",".join(accepted) + rb"\}"


def _slots(parts: list[tuple[str, _Form]]) -> tuple[int, ...]:
    return tuple(slot for _, part in parts for slot in part.slots)


def _filled(template: bytes, values: Any, fixes: list[tuple[int, Normal]]) -> bytes | None:
    filled = [values] if isinstance(values, bytes) else list(values)
    for place, normal in fixes:
        fixed = normal(filled[place])
        if fixed is None:
            return None
        filled[place] = fixed
    return template % tuple(filled)


def _whole_base64(value: bytes) -> bytes | None:
    return value if len(value) % 4 == 0 else None


def _texts(inside: bytes) -> bytes:
    return b'"' + b'","'.join(sorted(set(inside[1:-1].split(b'","')))) + b'"'


def _numbers(inside: bytes) -> bytes | None:
    return _texts(inside)


def _binaries(inside: bytes) -> bytes | None:
    try:
        members = {
            binascii.a2b_base64(each, strict_mode=True) for each in inside[1:-1].split(b'","')
        }
    except binascii.Error:
        return None
    written = (binascii.b2a_base64(each, newline=False) for each in sorted(members))
    return b'"' + b'","'.join(written) + b'"'


_SETS: dict[str, tuple[bytes, Normal]] = {
    "SS": (_PLAIN, _texts),
    "NS": (b"(?:" + _NUMBER + b")", _numbers),
    "BS": (b"[A-Za-z0-9+/=]*+", _binaries),
}
