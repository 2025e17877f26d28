"""Pairs of exports with planted faults, which every engine must find, and fail on, alike."""

from __future__ import annotations

import base64
import gzip
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bootstrap.verify.exports.manifest import Export, read_export
from infra.local.emulator.export_files import Line, full_lines
from tests.support.verify.exports import BUCKET, Directory, Item, export, orders, write

Exports = tuple[Export, Export]


@dataclass(frozen=True)
class EngineCase:
    """One pair of exports. `make` writes them; `error` is a part of the error's message."""

    name: str
    make: Callable[[Directory], Exports]
    key: tuple[str, ...] = ("pk",)
    sample: float = 1.0
    error: str = ""


def _b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _pair(ours: list[Item], theirs: list[Item]) -> Callable[[Directory], Exports]:
    return lambda objects: (export(objects, 1, ours), export(objects, 2, theirs))


def _in_parts(ours: list[list[Item]], theirs: list[list[Item]]) -> Callable[[Directory], Exports]:
    """Exports whose data files hold exactly these items."""

    def made(objects: Directory) -> Exports:
        sides = []
        for number, parts in ((1, ours), (2, theirs)):
            lines: list[list[Line]] = [list(full_lines(part)) for part in parts]
            sides.append(read_export(objects, BUCKET, write(objects, number, [], parts=lines)))
        source, target = sides
        return source, target

    return made


def _planted() -> tuple[list[Item], list[Item]]:
    """Every kind of difference: values of each type, missing and extra keys, in another order."""
    ours, theirs = orders(400), orders(400)
    spoils: list[tuple[Any, Any]] = [
        ({"B": _b64(b"\x00\xff")}, {"B": _b64(b"\x00\xfe")}),
        ({"BS": [_b64(b"a"), _b64(b"b")]}, {"BS": [_b64(b"b"), _b64(b"a")]}),
        ({"N": "1"}, {"N": "1.0"}),
        ({"N": "1" * 38}, {"N": "1" * 37 + "2"}),
        ({"NS": ["1", "2"]}, {"NS": ["2.0", "1"]}),
        ({"L": [{"S": "a"}, {"S": "b"}]}, {"L": [{"S": "b"}, {"S": "a"}]}),
        ({"M": {"a": {"N": "1"}}}, {"M": {"a": {"S": "1"}}}),
        ({"S": "x" * 300_000}, {"S": "x" * 299_999 + "y"}),
        ({"S": "é"}, {"S": "e\u0301"}),
        ({"S": ""}, None),
    ]
    for n, (left, right) in enumerate(spoils):
        ours[n]["x"] = left
        if right is not None:
            theirs[n]["x"] = right
    del theirs[200:203], ours[300:302]
    random.Random(3).shuffle(theirs)
    return ours, [dict(reversed(each.items())) for each in theirs]


def _keyed(key: Callable[[int], Item]) -> tuple[list[Item], list[Item]]:
    ours = [key(n) | {"v": {"N": str(n)}} for n in range(60)]
    theirs = [dict(each) for each in ours[1:]]
    theirs[5] = theirs[5] | {"v": {"S": "5"}}
    return ours, theirs


def _unequal_sizes() -> tuple[list[list[Item]], list[list[Item]]]:
    items = orders(4_000)
    theirs = [dict(each) for each in items]
    theirs[17]["total"] = {"N": "-1"}
    return (
        [items[:3_000], [], items[3_000:3_001], [], items[3_001:3_100], items[3_100:]],
        [theirs[:1], theirs[1:3_999], [], theirs[3_999:]],
    )


def _many_tiny(count: int) -> tuple[list[list[Item]], list[list[Item]]]:
    items = [{"pk": {"S": f"k{n}"}} for n in range(count)]
    return [[each] for each in items], [items[1:]]


def _damaged(spoil: Callable[[bytes], bytes | None]) -> Callable[[Directory], Exports]:
    """One data file of the target is not what its manifest says."""

    def made(objects: Directory) -> Exports:
        source, target = export(objects, 1, orders(200)), export(objects, 2, orders(200))
        path = objects.root / BUCKET / target.files[1].key
        body = spoil(path.read_bytes())
        path.unlink()
        if body is not None:
            path.write_bytes(body)
        return source, target

    return made


def _denied(objects: Directory) -> Exports:
    source, target = export(objects, 1, orders(20)), export(objects, 2, orders(20))
    path = objects.root / BUCKET / target.files[0].key
    path.unlink()
    path.mkdir()
    return source, target


_ONE = orders(50)
_COMPOSITE = ("pk", "sk")

CASES = (
    EngineCase("empty tables", _pair([], [])),
    EngineCase("equal tables", _pair(orders(300), orders(300))),
    EngineCase("every kind of difference", _pair(*_planted())),
    EngineCase("an empty target", _pair(orders(40), [])),
    EngineCase("a wrong table", _pair(orders(400), orders(900, seed=2)[300:])),
    EngineCase("files of very different size", _in_parts(*_unequal_sizes())),
    EngineCase("many tiny files", _in_parts(*_many_tiny(300))),
    EngineCase("a sample", _pair(orders(2_000), orders(2_000)[:-400]), sample=0.2),
    EngineCase("a sample of nothing", _pair(orders(20), orders(19)), sample=1e-9),
    EngineCase("number keys", _pair(*_keyed(lambda n: {"pk": {"N": f"{n}.0"}}))),
    EngineCase(
        "binary keys, as DynamoDB allows them",
        _pair(*_keyed(lambda n: {"pk": {"B": _b64(bytes([n, 255, 0]))}})),
    ),
    EngineCase(
        "composite keys",
        _pair(*_keyed(lambda n: {"pk": {"S": "one"}, "sk": {"N": str(n)}})),
        key=_COMPOSITE,
    ),
    EngineCase(
        "composite keys with binary",
        _pair(*_keyed(lambda n: {"sk": {"B": _b64(bytes([n]))}, "pk": {"S": f"p{n % 7}"}})),
        key=("sk", "pk"),
    ),
    EngineCase(
        "a key twice in the target",
        _pair(_ONE, [*_ONE, _ONE[7] | {"total": {"N": "0"}}]),
        error="has one key twice: in line",
    ),
    EngineCase(
        "a key twice in the source, equal both times",
        _in_parts([_ONE[:20], _ONE[20:], [_ONE[3]]], [_ONE]),
        error="has one key twice: in line",
    ),
    EngineCase(
        "a line that is no item",
        _pair(_ONE, [*_ONE, {"pk": {"X": "no such type"}}]),
        error="is unreadable",
    ),
    EngineCase("an item without the key", _pair(_ONE, _ONE), key=("nokey",), error="nokey"),
    EngineCase("a file that is gone", _damaged(lambda body: None), error="does not exist"),
    EngineCase("a truncated file", _damaged(lambda body: body[:-9]), error="middle of its gzip"),
    EngineCase(
        "an altered file",
        _damaged(lambda body: gzip.compress(gzip.decompress(body), 9)),
        error="its MD5 is",
    ),
    EngineCase("a file that is no gzip", _damaged(lambda body: b"x" + body), error="valid gzip"),
    EngineCase(
        "a file with fewer lines",
        _damaged(lambda body: gzip.compress(gzip.decompress(body).split(b"\n", 1)[1])),
        error="MD5",
    ),
)


def large_counts(objects: Directory, count: int) -> Exports:
    """Exports in which the source has `count` files, of one tiny item each."""
    return _in_parts(*_many_tiny(count))(objects)
