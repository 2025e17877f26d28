"""The demo's comparison of two tables, attribute for attribute.

It shares no code with the pipeline it checks. Binary is compared by bytes, numbers by value, sets
as sets, everything else exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Context
from hashlib import blake2b
from typing import Any, Literal

from infra.local.data.items import Item, KeySchema, Value

Kind = Literal["missing", "extra", "different"]

# DynamoDB's numbers have at most 38 digits: nothing is rounded here.
_EXACT = Context(prec=400, Emin=-9999, Emax=9999)


@dataclass(frozen=True)
class ItemDifference:
    """A key whose items are not equal: `missing` from the target, `extra` there, or `different`."""

    kind: Kind
    key: Item
    attributes: tuple[str, ...] = ()
    """What differs, in words and without content. Empty unless `different`."""

    @property
    def key_digest(self) -> str:
        """Names the key without showing it."""
        return fingerprint(self.key).hex()[:16]

    def __str__(self) -> str:
        words = f"{self.kind:9} key {self.key_digest}"
        return f"{words}: {'; '.join(self.attributes)}" if self.attributes else words


@dataclass(frozen=True)
class TableComparison:
    """The result of comparing two tables."""

    source_items: int
    target_items: int
    differences: tuple[ItemDifference, ...] = field(default=())


def compare(source: Iterable[Item], target: Iterable[Item], keys: KeySchema) -> TableComparison:
    """Compare whole tables; keep 64 bytes of digests per source item, and items that differ."""
    prints: dict[bytes, bytes] = {}
    of_key: dict[bytes, Item] = {}
    source_items = 0
    for item in source:
        key = keys.key_of(item)
        prints[fingerprint(key)] = fingerprint(item)
        of_key[fingerprint(key)] = key
        source_items += 1
    differences = []
    target_items = 0
    for item in target:
        target_items += 1
        key = keys.key_of(item)
        name = fingerprint(key)
        expected = prints.pop(name, None)
        if expected is None:
            differences.append(ItemDifference("extra", key))
        elif expected != fingerprint(item):
            differences.append(ItemDifference("different", key))
    differences += [ItemDifference("missing", of_key[name]) for name in prints]
    return TableComparison(source_items, target_items, tuple(differences))


def fingerprint(item: Item) -> bytes:
    """Return 16 bytes that are the same for equal items only."""
    return blake2b(
        repr(_normal({"M": item})).encode("utf-8", "surrogatepass"), digest_size=16
    ).digest()


def same(one: Item | None, other: Item | None) -> bool:
    """Return whether two items are equal; None is absence."""
    if one is None or other is None:
        return one is other
    return bool(_normal({"M": one}) == _normal({"M": other}))


def describe(source: Item, target: Item) -> tuple[str, ...]:
    """List what differs between two items of one key, by attribute, without their content."""
    return tuple(_differing(source, target, ""))


def _differing(
    source: Mapping[str, Value], target: Mapping[str, Value], path: str
) -> Iterator[str]:
    for name in sorted({*source, *target}):
        place = f"{path}.{name}" if path else name
        if name not in target:
            yield f"{place} is missing"
        elif name not in source:
            yield f"{place} should not be there"
        else:
            yield from _value_differing(source[name], target[name], place)


def _value_differing(source: Value, target: Value, place: str) -> Iterator[str]:
    if _normal(source) == _normal(target):
        return
    ((tag, here),) = source.items()
    ((other_tag, there),) = target.items()
    if tag != other_tag:
        yield f"{place} is {other_tag}, not {tag}"
    elif tag == "M":
        yield from _differing(here, there, place)
    elif tag == "L" and len(here) == len(there):
        for index, (one, other) in enumerate(zip(here, there, strict=True)):
            yield from _value_differing(one, other, f"{place}[{index}]")
    elif tag in ("S", "B"):
        yield f"{place} ({tag}) differs {_where(here, there)}"
    elif tag in ("L", "SS", "NS", "BS"):
        yield (
            f"{place} ({tag}) differs: {len(there)} elements, not {len(here)}"
            if len(here) != len(there)
            else f"{place} ({tag}) differs in its elements"
        )
    else:
        yield f"{place} ({tag}) differs"


def _where(here: str | bytes, there: str | bytes) -> str:
    if len(here) != len(there):
        return f"in length: {len(there):,}, not {len(here):,}"
    first = next(n for n, (a, b) in enumerate(zip(here, there, strict=True)) if a != b)
    return f"at position {first:,} of {len(here):,}"


def _normal(value: Value) -> tuple[Any, ...]:
    """Return the one form of a value: equal values have equal forms, with equal `repr`s."""
    ((tag, content),) = value.items()
    if tag == "N":
        return (tag, _number(content))
    if tag == "M":
        return (tag, tuple([(name, _normal(content[name])) for name in sorted(content)]))
    if tag == "L":
        return (tag, tuple([_normal(element) for element in content]))
    if tag in ("SS", "BS"):
        return (tag, tuple(sorted(content)))
    if tag == "NS":
        return (tag, tuple(sorted(map(_number, content))))
    return (tag, content)


def _number(text: str) -> str:
    number = _EXACT.create_decimal(text)
    return str(_EXACT.normalize(number)) if number else "0"
