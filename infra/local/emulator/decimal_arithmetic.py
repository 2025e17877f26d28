"""Numbers in update expressions: 38 significant digits and canonical text, as DynamoDB has it."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from typing import Any

from infra.local.emulator.item_images import Image, Value
from infra.local.emulator.patching import Ministack

DIGITS = 38

Canonical = Callable[[str], str | None]


def use_38_digits() -> None:
    """Make decimal arithmetic as precise as DynamoDB's, in this thread and in those to come."""
    decimal.DefaultContext.prec = DIGITS
    decimal.setcontext(decimal.Context(prec=DIGITS))


class Numbers:
    """Canonical numbers in what an update expression reads and writes: never "1E+2"."""

    def __init__(self, ministack: Ministack) -> None:
        self._ministack = ministack
        self._apply: Callable[..., tuple[Image, set[tuple[Any, ...]]]]

    def install(self) -> None:
        """Take the place of ministack's function."""
        self._apply = self._ministack.replace("dynamodb", "_apply_update_expression", self.apply)

    def apply(
        self,
        item: Image,
        expression: str,
        values: Image | None,
        names: dict[str, str] | None,
        updated: set[tuple[Any, ...]] | None = None,
    ) -> tuple[Image, set[tuple[Any, ...]]]:
        """Apply an update expression; raises ValueError for a number out of range."""
        canonical: Canonical = self._ministack.dynamodb._ddb_canonicalize_number
        known = {name: with_canonical_numbers(v, canonical) for name, v in (values or {}).items()}
        item, paths = self._apply(item, expression, known, names or {}, updated)
        for attribute in {path[0] for path in paths if path}:
            if attribute in item:
                item[attribute] = with_canonical_numbers(item[attribute], canonical)
        return item, paths


def with_canonical_numbers(value: Value, canonical: Canonical) -> Value:
    """A copy with each number in canonical text. Raises ValueError for one out of range."""
    if not isinstance(value, dict) or len(value) != 1:
        return value
    kind, content = next(iter(value.items()))
    if kind == "N":
        return {"N": _canonical(content, canonical)}
    if kind == "NS" and isinstance(content, list):
        return {"NS": [_canonical(member, canonical) for member in content]}
    if kind == "L" and isinstance(content, list):
        return {"L": [with_canonical_numbers(member, canonical) for member in content]}
    if kind == "M" and isinstance(content, dict):
        return {"M": {n: with_canonical_numbers(v, canonical) for n, v in content.items()}}
    return value


def _canonical(text: str, canonical: Canonical) -> str:
    found = canonical(text)
    if found is None:
        raise ValueError(
            "Number overflow. Attempting to store a number with magnitude larger than supported "
            "range"
        )
    return found
