"""The inputs of a resource, with a record of which ones were used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class BindingError(RuntimeError):
    """The program uses something that the local cloud's provider does not support."""


@dataclass
class Inputs:
    """The inputs of a resource. A binding reads each of them or declares why it does not.

    That is what keeps program and bindings together: a setting that is added to the program and to
    nothing else stops the local deployment, instead of passing every test and meaning something
    only on AWS.

    Numbers arrive as floats, absent values as missing keys.
    """

    values: Mapping[str, Any]
    path: str = ""
    used: set[str] = field(default_factory=set)
    inner: list[Inputs] = field(default_factory=list)

    def get(self, key: str) -> Any:
        self.used.add(key)
        return self.values.get(key)

    def text(self, key: str) -> str:
        return str(self._required(key))

    def number(self, key: str) -> int:
        return int(self._required(key))

    def optional_number(self, key: str) -> int | None:
        value = self.get(key)
        return None if value is None else int(value)

    def flag(self, key: str) -> bool:
        return bool(self._required(key))

    def document(self, key: str) -> str:
        """Return a policy, as JSON text."""
        text = self.text(key)
        json.loads(text)
        return text

    def object(self, key: str) -> Inputs:
        """Return a nested object; an empty one where it is absent."""
        return self._nest(f"{self.path}{key}.", self.get(key) or {})

    def objects(self, key: str) -> list[Inputs]:
        return [
            self._nest(f"{self.path}{key}[{n}].", value)
            for n, value in enumerate(self.get(key) or [])
        ]

    def must_be(self, key: str, *only: Any) -> None:
        """Refuse any value but this one, where the local cloud has only one form of a setting."""
        value = self._required(key)
        if value not in only:
            raise BindingError(
                f"{self.path}{key} is {value!r}; the local cloud supports only {only!r}"
            )

    def not_emulated(self, key: str, because: str) -> None:
        """Declare an input that changes nothing on the local cloud, and why."""
        assert because
        self.used.add(key)

    def unused(self) -> list[str]:
        here = [f"{self.path}{key}" for key in self.values if key not in self.used]
        return here + [name for nested in self.inner for name in nested.unused()]

    def _required(self, key: str) -> Any:
        value = self.get(key)
        if value is None:
            raise BindingError(f"{self.path}{key} is missing")
        return value

    def _nest(self, path: str, values: Mapping[str, Any]) -> Inputs:
        nested = Inputs(values, path)
        self.inner.append(nested)
        return nested
