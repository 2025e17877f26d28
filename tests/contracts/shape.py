"""Member names and JSON types of nested values, one line a member."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

Read = set[str]


def shape(*samples: Any, opaque: Collection[str] = ()) -> list[str]:
    """Return `path: types` for each member that any of the samples has.

    A list's members are at `path[]`. What lies below an `opaque` path is an operator's data.
    """
    found: dict[str, set[str]] = {}
    for sample in samples:
        for path, kind in _members(sample, "", opaque):
            found.setdefault(path, set()).add(kind)
    return [f"{path}: {' | '.join(sorted(kinds))}" for path, kinds in sorted(found.items())]


def _members(value: Any, path: str, opaque: Collection[str]) -> Iterator[tuple[str, str]]:
    if path:
        yield path, _kind(value)
    if path in opaque:
        return
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _members(each, f"{path}.{name}" if path else str(name), opaque)
    elif isinstance(value, list):
        for each in value:
            yield from _members(each, f"{path}[]", opaque)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else "object"


class Watched(dict[str, Any]):
    """A mapping that notes the path of each member that is asked for, given or not."""

    def __init__(self, values: Mapping[str, Any], asked: Read, path: str = "") -> None:
        super().__init__()
        self._asked, self._path = asked, path
        for name, value in values.items():
            super().__setitem__(name, self._wrapped(value, self._at(name)))

    def _at(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _wrapped(self, value: Any, path: str) -> Any:
        if isinstance(value, Mapping):
            return Watched(value, self._asked, path)
        if isinstance(value, list):
            return [self._wrapped(each, f"{path}[]") for each in value]
        return value

    def __getitem__(self, name: str) -> Any:
        self._asked.add(self._at(name))
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._asked.add(self._at(str(name)))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self._asked.add(self._at(name))
        return super().get(name, default)
