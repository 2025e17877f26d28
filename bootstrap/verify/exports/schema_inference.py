"""The schema of a table's items, inferred from some of them, and the msgspec types for it."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType, defstruct

from bootstrap.verify.exports.decoders import (
    TYPES,
    DeferredChecks,
    Shape,
    Value,
    is_unwritable,
    key_picker,
)

MOST_NAMES = 256
"""Attributes of an item that get a field; msgspec searches the names one by one."""
_QUOTE = ord('"')
_MOST_INNER = 32  # names of a map; one with more is a dictionary, whose names are data
_MOST_IN_ROW = 8
_MOST_DEPTH = 6
_MOST_VALUES = 2_000  # with a type of their own; making one takes as long as a hundred lines
_LONG = 1_024  # letters; texts of this average length are not decoded
_RARE = 1 / 32  # of the items; a rarer attribute has no field


@dataclass
class ObservedShape:
    """The values observed at one position of the items."""

    types: set[str] = field(default_factory=set)
    names: dict[str, ObservedShape] = field(default_factory=dict)
    """The attributes of its maps."""
    many: ObservedShape | None = None
    """Replaces `names` once there are too many."""
    elements: ObservedShape | None = None
    """The elements of its lists, all together."""
    row: list[ObservedShape] | None = None
    """The elements of its lists by position, as long as all lists have the same few elements."""
    lists: int = 0
    texts: int = 0
    letters: int = 0

    def add(self, value: dict[str, Any], left: int = _MOST_DEPTH) -> None:
        """Add a value in DynamoDB JSON. `left`: further levels that get types of their own.

        Each element is added twice, to `elements` and to `row`. The limit on levels keeps that from
        doubling the work with each nested list.
        """
        if not left:
            return
        for name, held in value.items():
            self.types.add(name)
            if name == "S":
                self.texts += 1
                self.letters += len(held)
            elif name == "L":
                self._list(held, left - 1)
            elif name == "M":
                self._map(held, left - 1)

    def _list(self, held: list[Any], left: int) -> None:
        self.elements = self.elements or ObservedShape()
        self.lists += 1
        if self.lists == 1 and len(held) <= _MOST_IN_ROW:
            self.row = [ObservedShape() for _ in held]
        if self.row is not None and len(self.row) != len(held):
            self.row = None
        for place, each in enumerate(held):
            self.elements.add(each, left)
            if self.row is not None:
                self.row[place].add(each, left)

    def _map(self, held: dict[str, Any], left: int) -> None:
        if self.many is None:
            for name, each in held.items():
                self.names.setdefault(name, ObservedShape()).add(each, left)
            if len(self.names) <= _MOST_INNER and not any(map(is_unwritable, held)):
                return
            self.many = ObservedShape()
            for seen in self.names.values():
                self.many.merge(seen)
            self.names.clear()
        else:
            for each in held.values():
                self.many.add(each, left)

    def merge(self, other: ObservedShape) -> None:
        """Add the observations of another position."""
        self.types |= other.types
        self.texts += other.texts
        self.letters += other.letters
        if other.elements:
            self.elements = self.elements or ObservedShape()
            self.elements.merge(other.elements)
            self.row, self.lists = None, self.lists + other.lists
        if other.many or self.many:
            self.many = self.many or ObservedShape()
            for seen in (
                *self.names.values(),
                *other.names.values(),
                other.many or ObservedShape(),
            ):
                self.many.merge(seen)
            self.names.clear()
        else:
            for name, seen in other.names.items():
                self.names.setdefault(name, ObservedShape()).merge(seen)


class SchemaInference:
    """The shape of a table's items, learned from some of them.

    `deferred` collects the values that its shapes cannot check.
    """

    def __init__(self, key: tuple[str, ...], deferred: DeferredChecks) -> None:
        self._key = tuple(sorted(key))
        self._deferred = deferred
        self.long = _LONG
        """The average length from which texts are not decoded."""
        self._items = 0
        self._count: Counter[str] = Counter()
        self._seen: dict[str, ObservedShape] = {}

    def add(self, item: dict[str, Any]) -> None:
        """Add an item in DynamoDB JSON."""
        self._items += 1
        self._count.update(item.keys())
        for name, value in item.items():
            self._seen.setdefault(name, ObservedShape()).add(value)
        if len(self._seen) > 4 * MOST_NAMES:
            kept = dict(self._count.most_common(MOST_NAMES))
            self._count = Counter(kept)
            self._seen = {name: self._seen[name] for name in kept}

    def shape(self) -> Shape | None:
        """Return the shape of frequent attributes; None where the key itself cannot be a field."""
        often = [
            name
            for name, count in self._count.most_common(MOST_NAMES)
            if count >= _RARE * self._items and not is_unwritable(name)
        ]
        if not set(self._key) <= set(often):
            return None
        makes = _TypeFactory(self._deferred, self.long)
        decode, loose = self._decode(makes, often), makes.loose
        if makes.raw:
            makes = _TypeFactory(self._deferred, None)
            decode = _decode_raw_texts(decode, self._decode(makes, often))
            loose |= makes.loose
        return Shape(decode, key_picker(self._key), loose)

    def _decode(self, makes: _TypeFactory, names: list[str]) -> Callable[[bytes], Any]:
        item = makes.attributes(((name, self._seen[name]) for name in names), self._key)
        line = defstruct("Line", [("Item", item)], forbid_unknown_fields=True, gc=False)
        return msgspec.json.Decoder(line).decode


def _decode_raw_texts(
    raw: Callable[[bytes], Any], read: Callable[[bytes], Any]
) -> Callable[[bytes], Any]:
    """Decode with `raw`, which keeps texts undecoded, if the line has their canonical form."""

    def decode(line: bytes) -> Any:
        # msgspec ensures that a raw text is valid JSON up to its last quote and has no control
        # characters. `_check_text` looks for the first quote.
        return (raw if b"\\" not in line and _is_utf8(line) else read)(line)

    return decode


def _is_utf8(line: bytes) -> bool:
    if line.isascii():
        return True
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


class _TypeFactory:
    """A factory for the types of one shape.

    `loose`: the types admit values with no type or two. `raw`: they keep texts undecoded whose
    average length is `long` or more.
    """

    def __init__(self, deferred: DeferredChecks, long: int | None) -> None:
        self.loose = False
        self.raw = False
        self._deferred = deferred
        self._long = long
        self._made = 0
        self._known: dict[str, Any] = {}

    def attributes(
        self, seen: Iterable[tuple[str, ObservedShape]], key: tuple[str, ...] = ()
    ) -> Any:
        """Make the type of an item or of a map."""
        return self._attributes(seen, key, _MOST_DEPTH)

    def _attributes(
        self, seen: Iterable[tuple[str, ObservedShape]], key: tuple[str, ...], left: int
    ) -> Any:
        fields: list[Any] = []
        names: dict[str, str] = {}
        for place, (name, each) in enumerate(sorted(seen, key=lambda pair: pair[0])):
            made = self._value(each, left)
            if name in key:
                field = f"key{key.index(name)}"
                fields.append((field, made))
            else:
                field = f"f{place}"
                fields.append((field, made | UnsetType, UNSET))
            names[field] = name
        return defstruct(
            "Attributes",
            fields,
            rename=names,
            forbid_unknown_fields=True,
            kw_only=True,
            gc=False,
        )

    def _value(self, seen: ObservedShape, left: int) -> Any:
        self._made += 1
        if not left or self._made > _MOST_VALUES:
            self.loose = True
            return Value
        fields = [(name, self._held(name, seen, left - 1)) for name in TYPES if name in seen.types]
        if len(fields) == 1:
            ((name, _),) = fields
            if name == "S" and self._long is not None and seen.letters >= self._long * seen.texts:
                self.raw = True
                return self._typed([("S", Raw)])
            # A scalar type is the same at every position.
            one = self._typed(fields) if TYPES[name] is None else self._known.get(name)
            return one or self._known.setdefault(name, self._typed(fields))
        return self._typed([(name, held | UnsetType, UNSET) for name, held in fields])

    def _held(self, name: str, seen: ObservedShape, left: int) -> Any:
        if name == "L":
            elements = seen.elements or ObservedShape()
            if len(elements.types) > 1 and seen.row is not None:
                return tuple[tuple(self._value(each, left) for each in seen.row)]  # type: ignore[misc]
            inner: Any = self._value(elements, left)
            return list[inner]
        if name == "M":
            if seen.many is None:
                return self._attributes(seen.names.items(), (), left)
            each: Any = self._value(seen.many, left)
            return dict[str, each]
        return TYPES[name]

    def _typed(self, fields: list[Any]) -> Any:
        names = [name for name, *_ in fields]
        looks = _check_text if fields == [("S", Raw)] else _make_check(names, self._deferred)
        return defstruct(
            "Typed",
            [(f"f{place}", *rest) for place, (_, *rest) in enumerate(fields)],
            namespace={"__post_init__": looks} if looks else None,
            rename={f"f{place}": name for place, name in enumerate(names)},
            forbid_unknown_fields=True,
            kw_only=True,
            gc=False,
        )


def _make_check(names: list[str], deferred: DeferredChecks) -> Callable[[Any], None] | None:
    """Return the check that a type with these fields runs on each decoded value."""
    if names == ["N"]:
        return deferred.numbers.append
    if len(names) == 1:
        return (lambda value: deferred.texts.extend(value.f0)) if names == ["NS"] else None
    places = [(f"f{names.index(name)}", name) for name in ("N", "NS") if name in names]
    if len(names) == 2 and not places:
        return deferred.twofold.append
    held = operator.attrgetter(*(f"f{place}" for place in range(len(names)))) if names else None

    def look(value: Any) -> None:
        # No value fits a type without fields.
        if held is None or held(value).count(UNSET) != len(names) - 1:
            raise ValueError("a value has not exactly one type")
        for place, name in places:
            number = getattr(value, place)
            if number is not UNSET:
                deferred.texts.extend([number] if name == "N" else number)

    return look


def _check_text(value: Any) -> None:
    if memoryview(value.f0)[0] != _QUOTE:
        raise ValueError("a text is not a JSON string")
