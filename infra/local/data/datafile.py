"""The user's data file: lines of `{"Item": …}` as an export to S3 has them, plain or gzipped.

The whole file is checked before anything starts, so that a bad last line cannot stop a demo that
has run for a minute.
"""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, NoReturn

from infra.local.data.compare import fingerprint
from infra.local.data.items import (
    KEY_TYPES,
    MAX_ITEM_BYTES,
    MAX_PARTITION_KEY_BYTES,
    MAX_SORT_KEY_BYTES,
    Item,
    KeyAttribute,
    KeySchema,
    item_size,
    value_size,
)
from infra.local.data.values import InvalidValueError, read_item

GZIP_MAGIC = b"\x1f\x8b"
EXAMPLE = '{"Item": {"pk": {"S": "a"}, "n": {"N": "1"}}}'
SUGGESTIONS = 8


class DataFileError(Exception):
    """The file or the named key is wrong; has a line that begins `Try: `."""


@dataclass(frozen=True)
class KeyOption:
    """`--key`: names, and the types where the user gave them."""

    partition: tuple[str, str | None]
    sort: tuple[str, str | None] | None

    @classmethod
    def parse(cls, text: str) -> KeyOption:
        """Read `pk[:S][,sk[:S]]`.

        Raises:
            DataFileError: it does not look like that.
        """
        parts = [part.strip() for part in text.split(",")]
        named = []
        for part in parts:
            # An attribute's name may hold a colon: only a type after the last one is a type.
            name, colon, kind = part.rpartition(":")
            if not colon:
                name, kind = part, ""
            if not name or (colon and kind not in KEY_TYPES):
                _fail(
                    f"--key {text}: {part!r} is not the name of an attribute or NAME:TYPE",
                    "--key pk:S,sk:N (types: S, N, B; left out, they are those of the first line)",
                )
            named.append((name, kind or None))
        if len(named) > 2 or len({name for name, _ in named}) != len(named):
            _fail(
                f"--key {text}: a key has one or two different attributes",
                "--key pk:S or --key pk:S,sk:S",
            )
        return cls(named[0], named[1] if len(named) == 2 else None)


@dataclass(frozen=True)
class DataFile:
    """A file that has been checked from its first line to its last."""

    path: Path
    keys: KeySchema
    lines: int
    items: int
    """Distinct keys: the items that the table will have."""
    size: int
    """Bytes, as DynamoDB counts them, of all lines."""

    @property
    def duplicates(self) -> int:
        """Lines whose key occurs again later; the last one wins."""
        return self.lines - self.items


def check(path: Path, key: KeyOption | None) -> DataFile:
    """Read and check the whole file.

    Raises:
        DataFileError: a line that DynamoDB would not take, with its number and the reason.
    """
    keys: KeySchema | None = None
    seen: set[bytes] = set()
    lines = size = 0
    for number, item in _items(path):
        keys = keys or _key_schema(path, number, item, key)
        _check_key(path, number, item, keys)
        lines += 1
        size += item_size(item)
        seen.add(fingerprint(keys.key_of(item)))
    if keys is None:
        _fail(
            f"{path} holds no items",
            f"a file whose lines look like {EXAMPLE}",
        )
    return DataFile(path, keys, lines, len(seen), size)


def read(path: Path) -> Iterator[Item]:
    """Return every item in the order of the file.

    Raises:
        DataFileError: at the first invalid line.
    """
    return (item for _, item in _items(path))


def _items(path: Path) -> Iterator[tuple[int, Item]]:
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            item = read_item(_unwrapped(line.rstrip(b"\r\n")))
            size = item_size(item)
            if size > MAX_ITEM_BYTES:
                raise InvalidValueError(
                    f"the item has {size:,} bytes; DynamoDB takes up to {MAX_ITEM_BYTES:,}"
                )
        except InvalidValueError as error:
            _fail_line(path, number, str(error))
        yield number, item


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == GZIP_MAGIC
        with gzip.open(path) if zipped else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                # Editors on Windows begin a file with a byte order mark.
                yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        _fail(
            f"{path} is not a whole gzip file: it breaks off after line {number:,} ({error})",
            "copy or download the file again, and check it with: gzip --test " + str(path),
        )
    except OSError as error:
        _fail(f"{path} cannot be read: {error.strerror}", "name a file that exists and is readable")


def _unwrapped(line: bytes) -> Any:
    """Return the attributes of a line's item."""
    try:
        value = json.loads(
            line.decode(), object_pairs_hook=_no_name_twice, parse_constant=_no_constant
        )
    except UnicodeDecodeError as error:
        raise InvalidValueError(f"it is not UTF-8 (byte {error.start + 1:,})") from None
    except RecursionError:
        raise InvalidValueError("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        if line.startswith(b"$ion_1_0"):
            raise InvalidValueError("this is an export in ION; DYNAMODB_JSON is needed") from None
        raise InvalidValueError(f"it is not JSON: {error.msg} (column {error.colno:,})") from None
    if not isinstance(value, dict):
        raise InvalidValueError('it is not an object with one key, "Item"')
    if "Item" not in value and ("NewImage" in value or "Keys" in value):
        raise InvalidValueError("this is a line of an incremental export; a full export is needed")
    if "Item" not in value:
        raise InvalidValueError('it has no "Item"')
    if len(value) > 1:
        others = ", ".join(sorted(name for name in value if name != "Item")[:3])
        raise InvalidValueError(f'it holds more than "Item": {others}')
    return value["Item"]


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidValueError(f"{twice!r} occurs twice in one object")
    return read


def _no_constant(name: str) -> NoReturn:
    raise InvalidValueError(f"it holds {name}, which is not JSON")


def _key_schema(path: Path, number: int, first: Item, key: KeyOption | None) -> KeySchema:
    """Return the named key, or `pk` and any `sk`; types come from the first item."""
    if key is None:
        sort = ("sk", None) if "sk" in first and next(iter(first["sk"])) in KEY_TYPES else None
        key = KeyOption(("pk", None), sort)
    attributes = []
    for name, kind in filter(None, (key.partition, key.sort)):
        if name not in first:
            _fail_key(path, f"line {number:,} has no attribute {name!r}, which the key needs")
        found = next(iter(first[name]))
        if kind is None and found not in KEY_TYPES:
            _fail_key(
                path,
                f"attribute {name!r} is {found} in line {number:,}, and a key is S, N or B",
            )
        attributes.append(KeyAttribute(name, kind or found))
    return KeySchema(*attributes)


def _check_key(path: Path, number: int, item: Item, keys: KeySchema) -> None:
    limits = (MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES)
    for attribute, limit in zip(keys.attributes, limits, strict=False):
        name = attribute.name
        if name not in item:
            _fail_key(path, f"line {number:,} has no attribute {name!r}, which the key needs")
        ((tag, content),) = item[name].items()
        if tag != attribute.type:
            _fail_key(
                path, f"key attribute {name!r} is {tag} in line {number:,}, not {attribute.type}"
            )
        if not content:
            _fail_line(path, number, f"key attribute {name!r} is empty, which DynamoDB refuses")
        size = value_size(item[name])
        if size > limit:
            _fail_line(
                path, number, f"key attribute {name!r} has {size:,} bytes; {limit:,} are allowed"
            )


def _fail(what: str, suggestion: str) -> NoReturn:
    raise DataFileError(f"{what}.\nTry: {suggestion}") from None


def _fail_line(path: Path, number: int, reason: str) -> NoReturn:
    _fail(
        f"{path}, line {number:,}: {reason}",
        f"look at it with: {_shown(path)} | sed -n {number}p   (a good line: {EXAMPLE})",
    )


def _shown(path: Path) -> str:
    with path.open("rb") as raw:
        return f"gzip -dc {path}" if raw.read(2) == GZIP_MAGIC else f"cat {path}"


def _fail_key(path: Path, what: str) -> NoReturn:
    """Fail, and suggest attributes that could be the key: the most selective ones first."""
    candidates = _candidates(path)
    listed = "\n".join(f"  {each}" for each in candidates[:SUGGESTIONS])
    if not candidates:
        _fail(
            f"{path}: {what}.\nNo attribute is in every item with one type that a key can have",
            "check that the file is an export of one table",
        )
    key = _telling_key(path, candidates)
    _fail(
        f"{path}: {what}.\nIn every item, and of a type that a key can have:\n{listed}",
        f"--key {key}   (make demo DATA={path} KEY={key})",
    )


def _telling_key(path: Path, candidates: list[KeyCandidate]) -> str:
    """Return an attribute or a pair that is unique, or else the most selective attribute."""
    alone = [each for each in candidates if each.values == each.items]
    if alone:
        return f"{alone[0].name}:{alone[0].type}"
    # The one with fewer values groups the items: it is the partition key.
    pairs = [(two, one) for one, two in combinations(candidates[:SUGGESTIONS], 2)]
    seen: dict[int, set[bytes]] = {index: set() for index in range(len(pairs))}
    with suppress(DataFileError):
        for _, item in _items(path):
            for index, (one, two) in enumerate(pairs):
                seen[index].add(fingerprint({name: item[name] for name in (one.name, two.name)}))
    for index, (one, two) in enumerate(pairs):
        if len(seen[index]) == candidates[0].items:
            return f"{one.name}:{one.type},{two.name}:{two.type}"
    return f"{candidates[0].name}:{candidates[0].type}"


@dataclass(frozen=True)
class KeyCandidate:
    """An attribute that every item has, of one type, which a key can have."""

    name: str
    type: str
    values: int
    items: int

    def __str__(self) -> str:
        return (
            f"{self.name} ({self.type}, {self.values:,} different values in {self.items:,} items)"
        )


def _candidates(path: Path) -> list[KeyCandidate]:
    """Return the possible key attributes, most selective first; strings before the others."""
    values: dict[tuple[str, str], set[bytes]] | None = None
    items = 0
    with suppress(DataFileError):  # a later line may be broken: report one mistake at a time
        for _, item in _items(path):
            items += 1
            kinds = {(name, next(iter(value))) for name, value in item.items()}
            if values is None:
                values = {each: set() for each in kinds if each[1] in KEY_TYPES}
            values = {each: known for each, known in values.items() if each in kinds}
            for (name, _), known in values.items():
                known.add(fingerprint({name: item[name]}))
    found = [KeyCandidate(*each, len(known), items) for each, known in (values or {}).items()]
    return sorted(found, key=lambda each: (each.type != "S", -each.values, each.name))
