"""The members of the stack's outputs, read and checked one by one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any


class OutputMembers:
    """A reader of a JSON object's members that collects all mistakes."""

    def __init__(self, value: Any, path: str, mistakes: list[str]) -> None:
        self._value: Mapping[str, Any] = value if isinstance(value, dict) else {}
        self._path = path
        self._mistakes = mistakes
        if not isinstance(value, dict):
            mistakes.append(f"{path or 'the whole'} is not an object")

    def _name(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def wrong(self, key: str, why: str) -> None:
        self._mistakes.append(f"{self._name(key)} {why}")

    def text(self, key: str, pattern: str = r".+", expected: str = "a text") -> str:
        value = self._value.get(key)
        if value is None:
            self.wrong(key, "is missing")
        elif not isinstance(value, str) or not re.fullmatch(pattern, value):
            self.wrong(key, f"is {value!r}, expected {expected}")
        else:
            return value
        return ""

    def has(self, key: str) -> bool:
        return self._value.get(key) is not None

    def optional(self, key: str) -> str:
        return self.text(key) if self.has(key) else ""

    def one_of(self, key: str, among: Sequence[str]) -> str:
        """Read one of these texts; the first where the member is absent."""
        if not self.has(key):
            return among[0]
        return self.text(key, "|".join(among), " or ".join(among))

    def flag(self, key: str) -> bool:
        value = self._value.get(key, False)
        if not isinstance(value, bool):
            self.wrong(key, f"is {value!r}, expected true or false")
        return value is True

    def number(self, key: str) -> int:
        value = self._value.get(key)
        # A boolean is an int to Python.
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value == int(value):
            return int(value)
        self.wrong(key, "is missing" if value is None else f"is {value!r}, expected a whole number")
        return 1

    def optional_number(self, key: str) -> int | None:
        return self.number(key) if self.has(key) else None

    def texts(self, key: str) -> Mapping[str, str]:
        """Read an object of texts; empty where it is absent."""
        value = self._value.get(key, {})
        if isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
            return value
        self.wrong(key, "is not an object of strings")
        return {}

    def texts_by_key(self, key: str) -> Mapping[str, Sequence[str]]:
        """Read an object of lists of texts; empty where it is absent."""
        value = self._value.get(key, {})
        lists = value.values() if isinstance(value, dict) else [None]
        if all(isinstance(each, list) and all(isinstance(x, str) for x in each) for each in lists):
            found: Mapping[str, Sequence[str]] = value
            return found
        self.wrong(key, "is not an object of lists of strings")
        return {}

    def inner(self, key: str) -> OutputMembers:
        if key not in self._value:
            self.wrong(key, "is missing")
            return OutputMembers({}, self._name(key), [])
        return OutputMembers(self._value[key], self._name(key), self._mistakes)

    def several(self, key: str) -> list[OutputMembers]:
        value = self._value.get(key)
        if not isinstance(value, list) or not value:
            self.wrong(key, "is missing" if value is None else "is no list with a table in it")
            return []
        return [
            OutputMembers(each, f"{self._name(key)}[{n}]", self._mistakes)
            for n, each in enumerate(value)
        ]
