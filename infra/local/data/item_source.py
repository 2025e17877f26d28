"""The source of the writers' items: the generated table, or variations on the user's items."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

from infra.local.data import datafile
from infra.local.data.compare import fingerprint
from infra.local.data.dataset import BIG_ITEMS, GeneratedOrders
from infra.local.data.items import (
    MAX_ITEM_BYTES,
    Item,
    KeyAttribute,
    KeySchema,
    SecondaryIndex,
    TableShape,
    Value,
    item_size,
)


class ItemSource(Protocol):
    """A seeded table whose items can be computed again, and new items like them."""

    @property
    def shape(self) -> TableShape: ...

    @property
    def count(self) -> int:
        """The number of seeded items."""

    @property
    def big(self) -> range:
        """The numbers of the very large items."""

    def item(self, n: int) -> Item:
        """Return the n-th item as it was seeded."""

    def expires(self, n: int) -> bool:
        """Return whether the time to live of item n ends while the demo runs."""

    def new(self, n: int) -> Item:
        """Return an item that was not seeded, always the same one for each n >= count."""

    def altered(self, item: Item, random: Random) -> Item:
        """Return the same key with other content."""

    def expiring(self, item: Item, at: int) -> Item:
        """Return the same item with a time to live (epoch seconds)."""

    def as_json(self) -> dict[str, Any]:
        """Return the arguments of `from_json` in another process."""


class GeneratedItems(GeneratedOrders):
    """The generated table as an item source."""

    @property
    def big(self) -> range:
        return range(min(BIG_ITEMS, self.count))

    def as_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "started": self.started,
            "count": self.count,
            "local_indexes": self.local_indexes,
        }


SAMPLE = 2000
"""Items of the user's file that writers know and change; the others stay as they are."""
# Room for what `altered` adds.
LARGEST_SAMPLE = MAX_ITEM_BYTES - 1024

STATUS, CHANNEL = KeyAttribute("demo.status", "S"), KeyAttribute("demo.channel", "S")
PLACED_AT = KeyAttribute("demo.placed_at", "N")
INDEX = SecondaryIndex("demo-by-status", (STATUS,), (PLACED_AT,))
EXPIRY = "demo.expires_at"
REVISION = "demo.revision"


def shape_of(keys: KeySchema, local_indexes: bool = False) -> TableShape:
    """Return the table for the user's data: their key; indexes and a time to live of our own."""
    if not local_indexes:
        return TableShape("orders", keys, (INDEX,), EXPIRY)
    indexes = (
        INDEX,
        SecondaryIndex("demo-by-status-and-channel", (STATUS, CHANNEL), (PLACED_AT,)),
        SecondaryIndex("demo-within-by-time", (keys.partition,), (PLACED_AT,), local=True),
        SecondaryIndex(
            "demo-within-by-status", (keys.partition,), (STATUS,), local=True, projected=()
        ),
    )
    return TableShape("orders", keys, indexes, EXPIRY)


@dataclass(frozen=True)
class SampledItems:
    """The user's data as an item source: adds `demo.…` attributes, copies items to new keys."""

    path: Path
    keys: KeySchema
    items: tuple[Item, ...]
    local_indexes: bool = False

    @classmethod
    def load(cls, path: Path, keys: KeySchema, local_indexes: bool = False) -> SampledItems:
        """Read a file that has been checked. The last line of a key wins."""
        known: dict[bytes, Item] = {}
        for item in datafile.read(path):
            key = fingerprint(keys.key_of(item))
            if len(known) < SAMPLE or key in known:
                known[key] = item
        items = tuple(item for item in known.values() if item_size(item) <= LARGEST_SAMPLE)
        return cls(path, keys, items, local_indexes)

    @property
    def shape(self) -> TableShape:
        return shape_of(self.keys, self.local_indexes)

    @property
    def count(self) -> int:
        return len(self.items)

    @property
    def big(self) -> range:
        return range(0)

    def item(self, n: int) -> Item:
        return self.items[n]

    def expires(self, n: int) -> bool:
        return False

    def new(self, n: int) -> Item:
        like = self.items[n % len(self.items)] if self.items else {}
        key = {self.keys.partition.name: _new_key(self.keys.partition, n)}
        if self.keys.sort and self.keys.sort.name not in like:
            key[self.keys.sort.name] = _new_key(self.keys.sort, n)
        return {**like, **key, **self._indexed(Random(n))}

    def altered(self, item: Item, random: Random) -> Item:
        revision = {REVISION: {"N": str(random.randrange(10**12))}}
        if random.random() < 0.3:
            return {**item, **revision}
        return {**item, **self._indexed(random), **revision}

    def expiring(self, item: Item, at: int) -> Item:
        return {**item, EXPIRY: {"N": str(at)}}

    def as_json(self) -> dict[str, Any]:
        keys = [[each.name, each.type] for each in self.keys.attributes]
        return {"path": str(self.path), "keys": keys, "local_indexes": self.local_indexes}

    def _indexed(self, random: Random) -> dict[str, Value]:
        return {
            STATUS.name: {"S": random.choice(("new", "seen", "done"))},
            CHANNEL.name: {"S": random.choice(("shop", "web"))},
            PLACED_AT.name: {"N": str(random.randrange(10**9))},
        }


def from_json(text: dict[str, Any]) -> ItemSource:
    """Return the item source that another process described with `as_json`."""
    if "path" not in text:
        return GeneratedItems(**text)
    attributes = [KeyAttribute(name, kind) for name, kind in text["keys"]]
    return SampledItems.load(Path(text["path"]), KeySchema(*attributes), text["local_indexes"])


def _new_key(attribute: KeyAttribute, n: int) -> Value:
    if attribute.type == "N":
        return {"N": str(10**30 + n)}
    return {"S": f"demo-{n}"} if attribute.type == "S" else {"B": f"demo-{n}".encode()}
