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

MOST_VALUES = 120
"""Values in a shape, nested ones included; above, parsing is as good."""

# A text between quotes. The first is for lines without a backslash, where nothing is escaped. The
# second takes those escapes that are the canonical spelling of what they stand for.
_PLAIN = rb'[^"]*+'
_ESCAPED = rb'[^"\\]*+(?:\\["\\nrtbf][^"\\]*+)*+'
_UNESCAPED = rb'[^"\\]*+'  # a member of a set, in such a line
# `replicator.canonical.NORMAL_NUMBER` before a quote, written so that nothing is read twice.
_NUMBER = rb'0|-?[1-9][0-9]{0,39}+(?=")|-?(?:0|[1-9][0-9]*+)\.[0-9]{0,39}[1-9]'
# Canonical base64: no bits left over at the end. Group by group is exact; for long values it is
# faster to accept the characters and look at the length afterwards.
_BASE64 = rb"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/](?:[AQgw]=|[A-Za-z0-9+/][AEIMQUYcgkosw048])=)?"
_BASE64_CHARACTERS = rb"[A-Za-z0-9+/]*(?:[AQgw]==|[AEIMQUYcgkosw048]=)?"
_LONG_BINARY = 128

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
        escaped = self._compile(item, _ESCAPED, _UNESCAPED)
        # Compiled when the first line with a backslash comes.
        self._escaped_source = escaped.accepts
        self._escaped: Callable[[bytes], re.Match[bytes] | None] | None = None
        form = self._compile(item, _PLAIN, _PLAIN)
        # What the digester's innermost loop uses by itself: calls cost as much as the work there.
        self.plain = re.compile(_line(form.accepts)).fullmatch
        self.template, self.slots = form.template, form.slots
        chosen = [(name, self._places[name]) for name in sorted(key)]
        self.key_template, self.key_slots = _object(chosen, template=True), _slots(chosen)
        self.fixes = self._fixes(self.slots)
        self.key_fixes = self._fixes(self.key_slots)

    def _fixes(self, slots: tuple[int, ...]) -> list[tuple[int, Normal]]:
        return [(n, self._normal[slot]) for n, slot in enumerate(slots) if slot in self._normal]

    def match(self, line: bytes, escapes: bool) -> re.Match[bytes] | None:
        """The captures of a line of this shape; `escapes`: it holds a backslash."""
        if not escapes:
            return self.plain(line)
        if self._escaped is None:
            self._escaped = re.compile(_line(self._escaped_source)).fullmatch
        return self._escaped(line)

    def key(self, found: re.Match[bytes]) -> bytes | None:
        """The canonical form of the key attributes; None if parsing has to say."""
        values = found.group(*self.key_slots)
        if self.key_fixes:
            values = fixed(values, self.key_fixes)
        return self.key_template % values if values is not None else None

    def image(self, found: re.Match[bytes]) -> bytes | None:
        """The canonical form of the item; None if parsing has to say."""
        values = found.group(*self.slots)
        if self.fixes:
            values = fixed(values, self.fixes)
        return self.template % values if values is not None else None

    # -- making ----------------------------------------------------------------------------------

    def _compile(self, item: dict[str, Any], text: bytes, member: bytes) -> _Form:
        self._count = 0
        self._text, self._member = text, member
        self._places: dict[str, _Form] = {}
        return self._attributes(item, self._places)

    def _attributes(
        self, attributes: dict[str, Any], places: dict[str, _Form] | None = None
    ) -> _Form:
        made = [(name, self._value(value)) for name, value in attributes.items()]
        if places is not None:
            places.update(made)
        ordered = sorted(made, key=lambda each: each[0])
        return _Form(
            _object(made, template=False), _object(ordered, template=True), _slots(ordered)
        )

    def _value(self, value: dict[str, Any]) -> _Form:
        ((tag, held),) = value.items()
        name = tag.encode()
        if tag == "M":
            inner = self._attributes(held)
            return _wrapped(name, inner.accepts, inner.template, inner.slots)
        if tag == "L":
            parts = [self._value(each) for each in held]
            return _wrapped(
                name,
                rb"\[" + b",".join(part.accepts for part in parts) + rb"\]",
                b"[" + b",".join(part.template for part in parts) + b"]",
                tuple(slot for part in parts for slot in part.slots),
            )
        self._count += 1
        slot = self._count
        if tag in _SETS:
            member, self._normal[slot] = _SETS[tag]
            member = b'"' + (member or self._member) + b'"'
            return _wrapped(
                name, rb"\[(" + member + b"(?:," + member + rb")*+)\]", b"[%b]", (slot,)
            )
        if tag in ("BOOL", "NULL"):
            return _wrapped(name, b"(true|false)", b"%b", (slot,))
        pattern = {"S": self._text, "N": _NUMBER, "B": _BASE64}[tag]
        if tag == "B" and len(held) > _LONG_BINARY:
            pattern, self._normal[slot] = _BASE64_CHARACTERS, _whole_base64
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


def fixed(values: Any, fixes: list[tuple[int, Normal]]) -> Any:
    """The captures with what they still need; always a tuple; None if one is not canonical."""
    whole: Any = (values,) if isinstance(values, bytes) else values
    for place, normal in fixes:
        value = normal(whole[place])
        if value is None:
            return None
        if value != whole[place]:
            whole = (*whole[:place], value, *whole[place + 1 :])
    return whole


def _whole_base64(value: bytes) -> bytes | None:
    return value if len(value) % 4 == 0 else None


def _members(inside: bytes) -> bytes:
    known = _ordered.get(inside)
    if known is not None:
        return known
    ordered = b'"' + b'","'.join(sorted(set(inside[1:-1].split(b'","')))) + b'"'
    if len(inside) <= 80:
        if len(_ordered) >= 4096:
            _ordered.clear()
        _ordered[inside] = ordered
    return ordered


_ordered: dict[bytes, bytes] = {}
"""Short sets and their order: many tables have a few that come back in every item."""


def _binaries(inside: bytes) -> bytes | None:
    try:
        members = {
            binascii.a2b_base64(each, strict_mode=True) for each in inside[1:-1].split(b'","')
        }
    except binascii.Error:
        return None
    written = (binascii.b2a_base64(each, newline=False) for each in sorted(members))
    return b'"' + b'","'.join(written) + b'"'


# What a member looks like (None: a text), and how the set is brought into order.
_SETS: dict[str, tuple[bytes | None, Normal]] = {
    "SS": (None, _members),
    "NS": (b"(?:" + _NUMBER + b")", _members),
    "BS": (b"[A-Za-z0-9+/=]*+", _binaries),
}
