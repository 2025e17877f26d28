"""A table of the fake: its schema, its items by key, and what it refuses to hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tests.support.fakes.values import Item, normalised

_KEY_LIMITS = {"HASH": ("hashkey", 2048), "RANGE": ("rangekey", 1024)}
INVALID = "One or more parameter values were invalid: "
_MISMATCH = "The provided key element does not match the schema"

Key = tuple[tuple[str, Any], ...]


class InvalidRequestError(Exception):
    """The request as a whole is refused: ValidationException."""


class InvalidItemError(Exception):
    """An item is refused: ValidationException alone, a ValidationError reason in a transaction."""


@dataclasses.dataclass
class Index:
    name: str
    keys: dict[str, str]


@dataclasses.dataclass
class Table:
    """Key attributes and index keys by type, and the items by key."""

    name: str
    description: dict[str, Any]
    keys: dict[str, str]
    roles: dict[str, str]
    indexes: list[Index]
    items: dict[Key, Item] = dataclasses.field(default_factory=dict)
    ttl_attribute: str | None = None
    #: What stood under a key before its last write: what an eventually consistent read may show.
    previous: dict[Key, Item | None] = dataclasses.field(default_factory=dict)

    def key_of(self, attributes: Mapping[str, Mapping[str, Any]]) -> Key:
        """The key of a `Key` parameter, which must hold the key attributes and no others."""
        if attributes.keys() != self.keys.keys():
            raise InvalidItemError(_MISMATCH)
        parts = []
        for name, kind in self.keys.items():
            value = normalised(attributes[name])
            if kind not in value:
                raise InvalidItemError(_MISMATCH)
            self._check_key_content(name, value[kind])
            parts.append((kind, value[kind]))
        return tuple(parts)

    def key_of_item(self, item: Item) -> Key:
        parts = []
        for name, kind in self.keys.items():
            if name not in item:
                raise InvalidItemError(INVALID + f"Missing the key {name} in the item")
            if kind not in item[name]:
                actual = next(iter(item[name]))
                raise InvalidItemError(
                    INVALID + f"Type mismatch for key {name} expected: {kind} actual: {actual}"
                )
            self._check_key_content(name, item[name][kind])
            parts.append((kind, item[name][kind]))
        self._check_indexes(item)
        return tuple(parts)

    def _check_key_content(self, name: str, content: Any) -> None:
        if content in ("", b""):
            kind = "string" if content == "" else "binary"
            raise InvalidRequestError(
                "One or more parameter values are not valid. The AttributeValue for a key "
                f"attribute cannot contain an empty {kind} value. Key: {name}"
            )
        role, limit = _KEY_LIMITS[self.roles[name]]
        length = len(content.encode()) if isinstance(content, str) else len(content)
        if length > limit:
            raise InvalidItemError(
                INVALID + f"Size of {role} has exceeded the maximum size limit of{limit} bytes"
            )

    def _check_indexes(self, item: Item) -> None:
        for index in self.indexes:
            for name, kind in index.keys.items():
                if name not in item or name in self.keys:
                    continue
                if kind not in item[name]:
                    actual = next(iter(item[name]))
                    raise InvalidItemError(
                        INVALID + f"Type mismatch for Index Key {name} Expected: {kind} "
                        f"Actual: {actual} IndexName: {index.name}"
                    )
                if item[name][kind] in ("", b""):
                    raise InvalidRequestError(
                        "One or more parameter values are not valid. A value specified for a "
                        "secondary index key is not supported. The AttributeValue for a key "
                        "attribute cannot contain an empty string value. "
                        f"IndexName: {index.name}, IndexKey: {name}"
                    )

    def key_attributes(self, item: Item) -> Item:
        return {name: item[name] for name in self.keys}
