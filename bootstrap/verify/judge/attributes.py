"""The differing attributes: a second pass over the exports that reads only differing lines.

Memory is bounded for any number of differences. They are sorted by position, so that the target's
files are read once, and the source's once for each BATCH_BYTES of digests of the target's items.
Items are not written to disk here either.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter

from bootstrap.core.objects import ObjectReader
from bootstrap.verify.compare.comparison import Comparison
from bootstrap.verify.compare.external_sort import ExternalSort
from bootstrap.verify.compare.partitions import (
    DIFFERENCE_BYTES,
    Difference,
    pack_difference,
    unpack_difference,
)
from bootstrap.verify.exports.files import read_blocks, refuse_damaged
from bootstrap.verify.exports.lines import Item, parse_item
from bootstrap.verify.exports.manifest import Export
from bootstrap.verify.judge.classify import Judgement
from replicator.canonical import DIGEST_BYTES, digest, key_digest

BATCH_BYTES = 128 << 20
"""Bytes of attribute digests in memory (about 300 a key), and of items for requested values."""

_PLACE = struct.Struct(">II")
_HEAD = struct.Struct(f">IIB{DIFFERENCE_BYTES}s")  # place, judgement, difference
_SHAPE = struct.Struct(">I")
_OBJECT_BYTES = 56
"""Python's overhead for bytes in a list."""
_JUDGEMENTS = tuple(Judgement)


@dataclass(frozen=True)
class DifferenceDetail:
    """A difference with its key and the names of the differing attributes.

    `attributes` is sorted; for a key of one side only, it has all names of that item. `source` and
    `target` are the whole items, except that the target's item of a key that both sides have is
    present only where values were requested.
    """

    difference: Difference
    key: Item
    attributes: tuple[str, ...]
    source: Item | None = None
    target: Item | None = None


def explain_differences(
    objects: ObjectReader,
    comparison: Comparison,
    differences: Iterable[tuple[Difference, Judgement]],
    *,
    values: bool = False,
    batch_bytes: int = BATCH_BYTES,
    check: Callable[[], None] = lambda: None,
) -> Iterator[tuple[DifferenceDetail, Judgement]]:
    """Describe differences in the order of their positions. `check` is called along the way.

    An item is yielded once its digest is verified. A change in the rest of its file is detected
    only later.

    Raises:
        DamagedExportError: a file has changed since it was compared.
    """
    key, directory = comparison.key, comparison.directory
    source = partial(_read_items, objects, comparison.source, attrgetter("source_image"))
    target = partial(_read_items, objects, comparison.target, attrgetter("target_image"))
    of_source, of_target = (ExternalSort(directory, _HEAD.size) for _ in range(2))
    try:
        for difference, judgement in differences:
            found = difference.target or difference.source
            assert found is not None  # a difference has at least one side
            by = of_source if difference.target is None else of_target
            how = _JUDGEMENTS.index(judgement)
            by.add(_HEAD.pack(found.file, found.line, how, pack_difference(difference)))
        held = _TargetItems(values)
        for line in target(of_target, check):
            if line.difference.source is None:
                yield line.alone(key), line.judgement
                continue
            held.add(line)
            if held.size >= batch_bytes:
                for ours in source(held.by_source(), check):
                    yield held.explained(ours, key), ours.judgement
                held = _TargetItems(values)
        rest = heapq.merge(held.by_source(), of_source)
        for ours in source(rest, check):
            one = ours.difference.target is None
            yield ours.alone(key) if one else held.explained(ours, key), ours.judgement
    finally:
        of_source.close()
        of_target.close()


@dataclass(frozen=True)
class _Line:
    """An item that was read, with the difference that it belongs to."""

    record: bytes
    difference: Difference
    judgement: Judgement
    text: bytes
    item: Item

    def alone(self, key: Sequence[str]) -> DifferenceDetail:
        """Describe a key that only one side has."""
        ours, theirs = (self.item, None) if self.difference.target is None else (None, self.item)
        names = tuple(sorted(self.item))
        return DifferenceDetail(
            self.difference, {name: self.item[name] for name in key}, names, ours, theirs
        )


@dataclass
class _TargetItems:
    """Digests of the target's items of keys that both sides have, until the source's are read.

    A record is the difference's, at the source's position; the number of the item's shape (its
    names); the digests of its attributes in that order; and its line where values are requested.
    """

    values: bool
    size: int = 0
    records: list[bytes] = field(default_factory=list)
    shapes: list[tuple[str, ...]] = field(default_factory=list)
    numbers: dict[tuple[str, ...], int] = field(default_factory=dict)

    def add(self, line: _Line) -> None:
        shape = tuple(line.item)
        number = self.numbers.get(shape)
        if number is None:
            number = self.numbers[shape] = len(self.shapes)
            self.shapes.append(shape)
            self.size += sum(len(name) + 2 * _OBJECT_BYTES for name in ("", *shape))
        source = line.difference.source
        assert source is not None
        record = b"".join(
            (
                _PLACE.pack(source.file, source.line),
                line.record[_PLACE.size :],
                _SHAPE.pack(number),
                *(key_digest({name: value}) for name, value in line.item.items()),
                line.text if self.values else b"",
            )
        )
        self.records.append(record)
        self.size += len(record) + _OBJECT_BYTES

    def by_source(self) -> list[bytes]:
        self.records.sort()
        return self.records

    def explained(self, ours: _Line, key: Sequence[str]) -> DifferenceDetail:
        """Describe the source's item beside the target's digests."""
        (number,) = _SHAPE.unpack_from(ours.record, _HEAD.size)
        start = _HEAD.size + _SHAPE.size
        theirs: dict[str, bytes] = {}
        for name in self.shapes[number]:
            theirs[name] = ours.record[start : start + DIGEST_BYTES]
            start += DIGEST_BYTES
        return DifferenceDetail(
            ours.difference,
            {name: ours.item[name] for name in key},
            _differing(ours.item, theirs),
            ours.item,
            parse_item(ours.record[start:]) if self.values else None,
        )


def _differing(ours: Item, theirs: Mapping[str, bytes]) -> tuple[str, ...]:
    return tuple(
        sorted(
            name
            for name in ours.keys() | theirs.keys()
            if name not in ours
            or name not in theirs
            or key_digest({name: ours[name]}) != theirs[name]
        )
    )


def _read_items(
    objects: ObjectReader,
    export: Export,
    image: Callable[[Difference], bytes],
    records: Iterable[bytes],
    check: Callable[[], None],
) -> Iterator[_Line]:
    """Yield the items at the records' positions, in order; each file is read to its end."""
    remaining = iter(records)
    wanted = next(remaining, None)
    while wanted is not None:
        number, line, how, about = _HEAD.unpack_from(wanted)
        file, at, first = export.files[number], number, 0
        for block in read_blocks(objects, export.bucket, file):
            check()
            while wanted is not None and at == number and line < first + len(block):
                text, difference = block[line - first], unpack_difference(about)
                try:
                    item = parse_item(text)
                except ValueError as error:
                    refuse_damaged(file, f"line {line + 1} is unreadable ({error})")
                if digest(item) != image(difference):
                    refuse_damaged(file, f"line {line + 1} is not the item that was compared")
                yield _Line(wanted, difference, _JUDGEMENTS[how], text, item)
                wanted = next(remaining, None)
                if wanted is not None:
                    at, line, how, about = _HEAD.unpack_from(wanted)
            first += len(block)
        if wanted is not None and at == number:
            refuse_damaged(file, f"its line {line + 1}, which was compared, is missing")
