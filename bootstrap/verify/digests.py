"""A line of a full export to two digests: the same as the consumer's, several times as fast.

Three routes to the same bytes. A line of a known shape is not parsed at all; others are read and
written by orjson; what that does not take (half surrogates, what is no JSON) goes through
`replicator.canonical` itself, which also says what is wrong with it.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import orjson

from bootstrap.verify.lines import full_item
from bootstrap.verify.shapes import MOST_VALUES, Shape, fixed, signature, values_in
from replicator.canonical import DIGEST_BYTES, digest, key_digest, normal_number

PAIR_BYTES = 2 * DIGEST_BYTES

_KNOWN_SHAPES = 8
_EAGER = 64  # parsed lines that are all studied; after them, one in sixteen
_SEEN_BEFORE_MADE = 2
_REVIEW = 4096  # lines between two looks at whether shapes pay
_PAUSE = 16 * _REVIEW

_WHOLE_RANGE = 1 << 64


class Digester:
    """Digests the lines of a table with this key schema. One per process: it learns shapes.

    `sample` is the share of keys wanted, by their digests: the same keys whatever the table.
    """

    def __init__(self, key: tuple[str, ...], sample: float = 1.0) -> None:
        self._key = key
        self._limit = None if sample >= 1 else int(sample * _WHOLE_RANGE)
        self._shapes: list[Shape] = []
        self._seen: dict[tuple[Any, ...], int] = {}
        self._parsed = 0
        self._lines = 0
        self._pause = 0

    def __call__(self, line: bytes) -> bytes | None:
        """Key digest and image digest, 32 bytes; None for a key outside the sample.

        Raises ValueError for a line that is not an item with this key.
        """
        pairs: list[bytes | None] = []
        self.extend(pairs, (line,))
        return pairs[0]

    def extend(self, pairs: list[bytes | None], lines: Sequence[bytes]) -> None:
        """Appends what each line comes to; after a ValueError, those of the lines before it.

        One loop without calls, because for a line of the shape that was seen last there is less to
        do than calling would cost.
        """
        self._lines += len(lines)
        shapes, limit, add = self._shapes, self._limit, pairs.append
        for line in lines:
            if not shapes or b"\\" in line or not line.isascii():
                add(self._seldom(line))
                continue
            shape = shapes[0]
            found = shape.plain(line)
            if found is None or shape.key_fixes:
                add(self._seldom(line))
                continue
            values = found.group(*shape.slots)
            if shape.fixes:
                values = fixed(values, shape.fixes)
                if values is None:
                    add(self._parse(line))
                    continue
            key = shape.key_template % found.group(*shape.key_slots)
            head = blake2b(key, digest_size=DIGEST_BYTES).digest()
            if limit is not None and int.from_bytes(head[8:16], "big") >= limit:
                add(None)
                continue
            image = shape.template % values
            add(head + blake2b(image, digest_size=DIGEST_BYTES).digest())

    def _seldom(self, line: bytes) -> bytes | None:
        """Any shape, escapes, letters beyond ASCII: what does not pass the fast loop."""
        escapes = b"\\" in line
        for place, shape in enumerate(self._shapes):
            found = shape.match(line, escapes)
            if found is None:
                continue
            if place:
                self._shapes[place - 1 : place + 1] = shape, self._shapes[place - 1]
            try:
                line.decode()
            except UnicodeDecodeError:
                break
            key, image = shape.key(found), shape.image(found)
            if key is None or image is None:
                break
            head = blake2b(key, digest_size=DIGEST_BYTES).digest()
            if not self._wanted(head):
                return None
            return head + blake2b(image, digest_size=DIGEST_BYTES).digest()
        return self._parse(line)

    def _wanted(self, head: bytes) -> bool:
        # The last bytes: the first ones choose the partition.
        return self._limit is None or int.from_bytes(head[8:16], "big") < self._limit

    def _parse(self, line: bytes) -> bytes | None:
        try:
            (item,) = orjson.loads(line).values()
            normalise(item)
            keys = {name: item[name] for name in self._key}
            form = orjson.dumps(keys, option=orjson.OPT_SORT_KEYS)
            image = orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
            known = line.startswith(b'{"Item":')
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            known = False
        if not known:
            return self._exactly(line)
        self._parsed += 1
        if self._parsed <= _EAGER or self._parsed % 16 == 0:
            self._study(item)
        head = blake2b(form, digest_size=DIGEST_BYTES).digest()
        if not self._wanted(head):
            return None
        return head + blake2b(image, digest_size=DIGEST_BYTES).digest()

    def _exactly(self, line: bytes) -> bytes | None:
        try:
            item = full_item(line)
            head = key_digest({name: item[name] for name in self._key})
        except KeyError as error:
            raise ValueError(f"the item has no key attribute {error.args[0]!r}") from error
        except RecursionError as error:
            raise ValueError("the item is nested too deeply") from error
        return head + digest(item) if self._wanted(head) else None

    def _study(self, item: dict[str, Any]) -> None:
        """Makes a shape of what keeps coming back, and forgets all of them where none does."""
        if self._lines < self._pause:
            return
        if self._parsed > _REVIEW and self._parsed * 4 > self._lines * 3:
            self._shapes.clear()
            self._seen.clear()
            self._parsed = self._lines = 0
            self._pause = _PAUSE
            return
        if len(self._seen) > 256:
            self._seen.clear()
        name = signature(item)
        seen = self._seen[name] = self._seen.get(name, 0) + 1
        if seen == _SEEN_BEFORE_MADE and values_in(name) <= 2 * MOST_VALUES:
            self._shapes.insert(0, Shape(item, self._key))
            del self._shapes[_KNOWN_SHAPES:]


def normalise(attributes: dict[str, Any]) -> None:
    """Brings parsed attributes into canonical form, in place; binary stays base64.

    Raises ValueError, KeyError or TypeError for what may be no DynamoDB JSON.
    """
    for value in attributes.values():
        (tag,) = value
        held: Any = value[tag]
        kind: Any = type(held)
        if kind is not _PYTHON[tag]:
            raise TypeError
        if tag == "S":
            continue
        if tag == "N":
            # Nearly all numbers are short whole ones; other digits than 0-9 are left alone anyway.
            if held.isdigit() and held[0] != "0" and len(held) < 39:
                continue
            value[tag] = normal_number(held)
        elif tag in _NORMAL:
            value[tag] = _NORMAL[tag](held)


def _map(held: dict[str, Any]) -> dict[str, Any]:
    normalise(held)
    return held


def _list(held: list[Any]) -> list[Any]:
    for each in held:
        normalise({"": each})
    return held


def _numbers(members: list[str]) -> list[str]:
    return sorted({normal_number(member) for member in members})


def _texts(members: list[str]) -> list[str]:
    if not all(type(member) is str for member in members):
        raise TypeError
    return sorted(set(members))


def _bytes(text: str) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)


def _base64(value: bytes) -> str:
    return binascii.b2a_base64(value, newline=False).decode()


_PYTHON: dict[str, type] = {
    "S": str, "N": str, "B": str, "BOOL": bool, "NULL": bool,
    "M": dict, "L": list, "SS": list, "NS": list, "BS": list,
}  # fmt: skip
_NORMAL: dict[str, Any] = {
    "B": lambda text: _base64(_bytes(text)),
    "M": _map,
    "L": _list,
    "SS": _texts,
    "NS": _numbers,
    "BS": lambda members: [_base64(value) for value in sorted({*map(_bytes, members)})],
}
