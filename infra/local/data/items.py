"""Items in DynamoDB JSON with binary as bytes: their key, their size, the shape of their table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Value = Mapping[str, Any]
Item = Mapping[str, Value]

KEY_TYPES = ("S", "N", "B")

MAX_ITEM_BYTES = 400 * 1024
"""The largest item, attribute names included (developer guide, ServiceQuotas: 400 KB)."""
MAX_PARTITION_KEY_BYTES = 2048
MAX_SORT_KEY_BYTES = 1024


@dataclass(frozen=True)
class KeyAttribute:
    """An attribute of a key."""

    name: str
    type: str
    """S, N or B."""


@dataclass(frozen=True)
class KeySchema:
    """A table's or an index's key."""

    partition: KeyAttribute
    sort: KeyAttribute | None = None

    @property
    def attributes(self) -> tuple[KeyAttribute, ...]:
        return (self.partition,) if self.sort is None else (self.partition, self.sort)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(attribute.name for attribute in self.attributes)

    def key_of(self, item: Item) -> dict[str, Value]:
        """Return the item's key attributes.

        Raises:
            KeyError: the item lacks one.
        """
        return {name: item[name] for name in self.names}

    def as_request(self) -> list[dict[str, str]]:
        """Return the KeySchema of a CreateTable request."""
        kinds = ("HASH", "RANGE")
        return [
            {"AttributeName": name, "KeyType": kind}
            for name, kind in zip(self.names, kinds, strict=False)
        ]

    def __str__(self) -> str:
        return ",".join(f"{each.name}:{each.type}" for each in self.attributes)


@dataclass(frozen=True)
class SecondaryIndex:
    """An index. An item that lacks one of its key attributes is not in it."""

    name: str
    partition: tuple[KeyAttribute, ...]
    """A query names a value of each; several are a multi-attribute key, which is global."""
    sort: tuple[KeyAttribute, ...] = ()
    local: bool = False
    projected: tuple[str, ...] | None = None
    """The attributes that it has beside the keys; None: all of them."""

    @property
    def attributes(self) -> tuple[KeyAttribute, ...]:
        return (*self.partition, *self.sort)

    def holds(self, item: Item) -> bool:
        """Return whether an item of the table is in the index."""
        return all(each.type in item.get(each.name, {}) for each in self.attributes)

    def project(self, item: Item, keys: KeySchema) -> Item:
        """Return what the index has of an item, with the key of its table."""
        if self.projected is None:
            return item
        names = {*keys.names, *(each.name for each in self.attributes), *self.projected}
        return {name: value for name, value in item.items() if name in names}

    def as_request(self) -> dict[str, Any]:
        """Return its part of a CreateTable request."""
        projection: dict[str, Any] = {"ProjectionType": "ALL"}
        if self.projected is not None:
            kind = "INCLUDE" if self.projected else "KEYS_ONLY"
            projection = {"ProjectionType": kind}
            if self.projected:
                projection["NonKeyAttributes"] = list(self.projected)
        return {
            "IndexName": self.name,
            "KeySchema": [
                *({"AttributeName": each.name, "KeyType": "HASH"} for each in self.partition),
                *({"AttributeName": each.name, "KeyType": "RANGE"} for each in self.sort),
            ],
            "Projection": projection,
        }


@dataclass(frozen=True)
class TableShape:
    """The user's existing table: the arguments of CreateTable and UpdateTimeToLive."""

    name: str
    keys: KeySchema
    indexes: tuple[SecondaryIndex, ...]
    expiry: str
    """The time-to-live attribute."""

    def creation(self) -> dict[str, Any]:
        """Return the arguments of CreateTable: on demand, with every index."""
        indexed = (attribute for index in self.indexes for attribute in index.attributes)
        kinds = {
            "LocalSecondaryIndexes": [each.as_request() for each in self.indexes if each.local],
            "GlobalSecondaryIndexes": [
                each.as_request() for each in self.indexes if not each.local
            ],
        }
        return {
            "TableName": self.name,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": self.keys.as_request(),
            "AttributeDefinitions": [
                {"AttributeName": each.name, "AttributeType": each.type}
                for each in dict.fromkeys((*self.keys.attributes, *indexed))
            ],
            **{name: indexes for name, indexes in kinds.items() if indexes},
        }


def item_size(item: Item) -> int:
    """Return the size of an item in bytes (developer guide, CapacityUnitCalculations)."""
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())


def value_size(value: Value) -> int:
    """Return the bytes that DynamoDB counts for a value, without its attribute's name."""
    ((tag, content),) = value.items()
    if tag == "S":
        return len(content.encode())
    if tag == "N":
        return _number_size(content)
    if tag == "B":
        return len(content)
    if tag in ("BOOL", "NULL"):
        return 1
    if tag == "SS":
        return sum(len(member.encode()) for member in content)
    if tag == "NS":
        return sum(map(_number_size, content))
    if tag == "BS":
        return sum(map(len, content))
    # "3 bytes of overhead", and one more for each element.
    if tag == "L":
        return 3 + sum(1 + value_size(element) for element in content)
    return 3 + sum(
        1 + len(name.encode()) + value_size(element) for name, element in content.items()
    )


def _number_size(text: str) -> int:
    # "Approximately: 1 byte per two significant digits, plus 1"; and one more for the sign.
    digits = "".join(map(str, Decimal(text).as_tuple().digits)).strip("0")
    return 2 + (len(digits) + 1) // 2 + text.startswith("-")
