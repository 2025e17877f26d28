"""The second pass: fetches only lines that differ, to name the attributes that do."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap.verify.files import blocks, damaged
from bootstrap.verify.lines import Item, full_item
from bootstrap.verify.manifest import Export
from bootstrap.verify.objects import Objects
from bootstrap.verify.partitions import Difference, Found
from replicator.canonical import digest, key_digest

BATCH = 2_000
"""Differences explained at a time. Each batch reads every file once in which one of them lies."""


@dataclass(frozen=True)
class Explained:
    """A difference with its key and the names of the attributes that differ.

    `attributes` is sorted; for a key that one side does not have it holds all names of the other.
    `source` and `target` are the whole items, only where they were asked for.
    """

    difference: Difference
    key: Item
    attributes: tuple[str, ...]
    source: Item | None = None
    target: Item | None = None


@dataclass(frozen=True)
class _Seen:
    """What is kept of an item: digests, so that a batch of large items stays small."""

    key: Item
    attributes: Mapping[str, bytes]
    item: Item | None


def explain(
    objects: Objects,
    source: Export,
    target: Export,
    key: Sequence[str],
    differences: Iterable[Difference],
    *,
    values: bool = False,
    batch: int = BATCH,
) -> Iterator[Explained]:
    """Explains differences in the order in which they come.

    `values`: keep the items themselves too; that is the operator's to ask for, and with items of
    400 KB a smaller `batch` is better.

    Raises:
        DamagedExportError: a file is no longer what was compared.
    """
    remaining = iter(differences)
    while some := list(itertools.islice(remaining, batch)):
        ours = _fetch(objects, source, key, [d.source for d in some], values)
        theirs = _fetch(objects, target, key, [d.target for d in some], values)
        for difference in some:
            yield _explained(
                difference, _at(ours, difference.source), _at(theirs, difference.target)
            )


_Place = tuple[int, int]


def _at(seen: Mapping[_Place, _Seen], found: Found | None) -> _Seen | None:
    return None if found is None else seen[found.file, found.line]


def _explained(difference: Difference, one: _Seen | None, other: _Seen | None) -> Explained:
    left = {} if one is None else one.attributes
    right = {} if other is None else other.attributes
    known = one or other
    assert known is not None  # a difference has at least one side
    return Explained(
        difference,
        key=known.key,
        attributes=tuple(
            sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
        ),
        source=one.item if one else None,
        target=other.item if other else None,
    )


def _fetch(
    objects: Objects,
    export: Export,
    key: Sequence[str],
    wanted: Iterable[Found | None],
    values: bool,
) -> dict[_Place, _Seen]:
    """The items at these places, each file read once and checked to its end."""
    by_file: dict[int, dict[int, Found]] = {}
    for found in wanted:
        if found is not None:
            by_file.setdefault(found.file, {})[found.line] = found
    seen: dict[_Place, _Seen] = {}
    for number, lines in sorted(by_file.items()):
        file = export.files[number]
        first = 0
        for block in blocks(objects, export.bucket, file):
            for line in sorted(n for n in lines if first <= n < first + len(block)):
                try:
                    item = full_item(block[line - first])
                except ValueError as error:
                    damaged(file, f"line {line + 1} is unreadable ({error})")
                if digest(item) != lines[line].image:
                    damaged(file, f"line {line + 1} is not the item that was compared")
                seen[number, line] = _seen(item, key, values)
            first += len(block)
    return seen


def _seen(item: Item, key: Sequence[str], values: bool) -> _Seen:
    names: dict[str, Any] = {name: item[name] for name in key}
    return _Seen(
        key=names,
        attributes={name: key_digest({name: value}) for name, value in item.items()},
        item=item if values else None,
    )
