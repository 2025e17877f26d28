"""DynamoDB's numbers: 38 significant digits, and one canonical text for each value.

ministack stores canonical text but compares the text of keys and of set members as it finds it.
With every number of a request canonical before ministack sees it, equal text means equal value.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from typing import Any

from infra.local.emulator.item_images import Image
from infra.local.emulator.patching import Json, Ministack, Response

DIGITS = 38

OPERATIONS = (
    "_put_item",
    "_update_item",
    "_delete_item",
    "_batch_write_item",
    "_transact_write_items",
    "_get_item",
    "_query",
    "_scan",
    "_batch_get_item",
    "_transact_get_items",
    "_execute_statement",
    "_batch_execute_statement",
    "_execute_transaction",
)

Canonical = Callable[[str], str | None]


def use_38_digits() -> None:
    """Make decimal arithmetic as precise as DynamoDB's, in this thread and in those to come."""
    decimal.DefaultContext.prec = DIGITS
    decimal.setcontext(decimal.Context(prec=DIGITS))


class CanonicalNumbers:
    """Canonical numbers in every request, and in the result of every update expression."""

    def __init__(self, ministack: Ministack) -> None:
        self._ministack = ministack
        self._canonical: Canonical = ministack.dynamodb._ddb_canonicalize_number
        self._apply: Callable[..., tuple[Image, set[tuple[Any, ...]]]]

    def install(self) -> None:
        """Replace ministack's functions; the handlers in front of all other corrections."""
        self._apply = self._ministack.replace("dynamodb", "_apply_update_expression", self.apply)
        for name in OPERATIONS:
            handler = getattr(self._ministack.dynamodb, name)
            self._ministack.replace("dynamodb", name, self._canonicalizing(handler))

    def apply(
        self,
        item: Image,
        expression: str,
        values: Image | None,
        names: dict[str, str] | None,
        updated: set[tuple[Any, ...]] | None = None,
    ) -> tuple[Image, set[tuple[Any, ...]]]:
        """Apply an update expression. Raises ValueError for a result that is out of range."""
        item, paths = self._apply(item, expression, values or {}, names or {}, updated)
        for attribute in {path[0] for path in paths if path}:
            if attribute in item:
                item[attribute] = with_canonical_numbers(item[attribute], self._in_range)
        return item, paths

    def _canonicalizing(self, handler: Callable[[Json], Response]) -> Callable[[Json], Response]:
        def canonicalized(data: Json) -> Response:
            return handler(with_canonical_numbers(data, self._unless_refused))

        return canonicalized

    def _unless_refused(self, text: str) -> str:
        """Return the canonical text, or the text itself, for ministack to refuse."""
        return self._canonical(text) or text

    def _in_range(self, text: str) -> str:
        found = self._canonical(text)
        if found is None:
            raise ValueError(
                "Number overflow. Attempting to store a number with magnitude larger than "
                "supported range"
            )
        return found


def with_canonical_numbers(value: Any, canonical: Callable[[str], str]) -> Any:
    """Copy a request or an attribute value, with `canonical` applied to each N and NS member."""
    if isinstance(value, list):
        return [with_canonical_numbers(member, canonical) for member in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        kind, content = next(iter(value.items()))
        if kind == "N" and isinstance(content, str):
            return {"N": canonical(content)}
        if kind == "NS" and isinstance(content, list):
            return {"NS": [canonical(m) if isinstance(m, str) else m for m in content]}
    return {name: with_canonical_numbers(inner, canonical) for name, inner in value.items()}
