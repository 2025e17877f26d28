"""The plan of a writer, which knows what it has written and makes no call itself.

Every writer owns the keys whose number leaves its own remainder, so it knows their content; the hot
keys have no owner and are written by all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from infra.local.data.compare import same
from infra.local.data.item_source import ItemSource
from infra.local.data.items import Item

HOT_KEYS = 6

Way = Literal["single", "update", "count", "transaction", "batch"]
"""How writes are sent: one by one (PutItem, DeleteItem), UpdateItem, an UpdateItem that adds to a
counter, TransactWriteItems, BatchWriteItem."""

WEIGHTS = {
    "insert": 16,
    "update": 24,
    "hot update": 18,
    "delete": 8,
    "re-insert": 8,
    "unchanged": 6,
    "return": 6,
    "transaction": 4,
    "batch": 3,
    "expiring": 3,
    "large": 0.4,
}
KINDS = tuple(WEIGHTS)

COUNTER = "demo.count"
EXPIRES_AFTER = (2, 20)
"""Seconds until an item of the kind `expiring` may be deleted by its time to live."""
LEAVE_EXPIRED = 8
"""Seconds after its expiry at which such an item is written again, deleted by then or not."""


@dataclass(frozen=True)
class Write:
    """A key's content before and after; None is absence. `before` is what the plan believes.

    `number` is that of a key which the plan's writer owns; None of one that all writers change.
    """

    key: Item
    before: Item | None
    after: Item | None
    number: int | None = None

    @property
    def is_change(self) -> bool:
        return not same(self.before, self.after)


@dataclass(frozen=True)
class WriteStep:
    """Writes that belong together, and the kind under which their changes are counted."""

    kind: str
    way: Way
    writes: tuple[Write, ...]


@dataclass
class WritePlan:
    """One writer's plan. It assumes that each step it returns is executed, unless withdrawn."""

    item_source: ItemSource
    writer: int
    writers: int
    random: Random
    _live: list[int] = field(default_factory=list)
    _deleted: list[int] = field(default_factory=list)
    _expiring: list[tuple[int, int]] = field(default_factory=list)
    _content: dict[int, Item | None] = field(default_factory=dict)
    _made: int = 0

    def __post_init__(self) -> None:
        free = (n for n in range(self.item_source.count) if not self.item_source.expires(n))
        usable = [n for n in free if n not in self.item_source.big]
        self._hot = usable[:HOT_KEYS]
        self._live = [n for n in usable[HOT_KEYS:] if n % self.writers == self.writer]
        self._big = [n for n in self.item_source.big if n % self.writers == self.writer]

    def next(self, now: float) -> WriteStep:
        """Return the next step; `now` in epoch seconds."""
        kinds = [kind for kind in KINDS if self._possible(kind, now)]
        (kind,) = self.random.choices(kinds, [WEIGHTS[kind] for kind in kinds])
        return self._step(kind, now)

    def withdraw(self, step: WriteStep, writes: Sequence[Write]) -> None:
        """Take back the last writes of the last step, which were not made: they were refused."""
        for write in reversed(writes):
            n = write.number
            if n is None:
                continue
            self._content[n] = write.before
            if write.after is None:
                self._deleted.remove(n)
                self._live.append(n)
            elif write.before is None or step.kind == "re-insert":
                # Of an item that expires the plan cannot know whether it is there still.
                if step.kind == "expiring":
                    self._expiring = [each for each in self._expiring if each[1] != n]
                else:
                    self._live.remove(n)
                self._deleted.append(n)

    def _possible(self, kind: str, now: float) -> bool:
        if kind in ("insert", "expiring"):
            return True
        if kind == "hot update":
            return bool(self._hot)
        if kind == "large":
            return bool(self._big)
        if kind == "re-insert":
            return bool(self._deleted) or self._expired(now) is not None
        return len(self._live) >= 40

    def _step(self, kind: str, now: float) -> WriteStep:
        if kind == "hot update":
            return self._hot_step()
        if kind == "update" and self.random.random() < 0.5:
            return WriteStep(kind, "update", (self._alter(self._pick()),))
        if kind == "large":
            return WriteStep(kind, "update", (self._revise(self.random.choice(self._big)),))
        if kind == "transaction":
            return WriteStep(kind, "transaction", self._several(self.random.randint(2, 10)))
        if kind == "batch":
            return WriteStep(kind, "batch", self._several(self.random.randint(2, 25)))
        return WriteStep(kind, "single", self._single(kind, now))

    def _single(self, kind: str, now: float) -> tuple[Write, ...]:
        if kind == "insert":
            return (self._insert(),)
        if kind == "delete":
            return (self._delete(self._pick()),)
        if kind == "re-insert":
            return (self._insert_again(now),)
        if kind == "expiring":
            return (self._insert_expiring(now),)
        n = self._pick()
        if kind == "unchanged":
            return (self._write(n, self._item(n)),)
        if kind == "return":
            before = self._item(n)
            return (self._alter(n), self._write(n, before))
        return (self._alter(n),)

    def _hot_step(self) -> WriteStep:
        seeded = self.item_source.item(self.random.choice(self._hot))
        key = self.item_source.shape.keys.key_of(seeded)
        # Other writers change these keys: only the call's answer says what was there.
        unknown = Write(key, None, seeded)
        chance = self.random.random()
        if chance < 0.5:
            return WriteStep("hot update", "count", (unknown,))
        if chance < 0.85:
            altered = self.item_source.altered(seeded, self.random)
            return WriteStep("hot update", "single", (Write(key, None, altered),))
        return WriteStep("hot update", "single", (Write(key, seeded, None), unknown))

    def _several(self, count: int) -> tuple[Write, ...]:
        return tuple(self._distinct(count))

    def _distinct(self, count: int) -> Iterator[Write]:
        # Neither a transaction nor a batch takes one key twice.
        for n in self.random.sample(self._live, count):
            chance = self.random.random()
            if chance < 0.2:
                yield self._delete(n)
            elif chance < 0.4:
                yield self._insert()
            else:
                yield self._alter(n)

    def _pick(self) -> int:
        return self.random.choice(self._live)

    def _item(self, n: int) -> Item | None:
        """Return the item that the table holds under number n."""
        if n not in self._content:
            return self._first(n) if n < self.item_source.count else None
        return self._content[n]

    def _first(self, n: int) -> Item:
        """Return the first item under number n."""
        if n < self.item_source.count:
            return self.item_source.item(n)
        return self.item_source.new(n)

    def _write(self, n: int, after: Item | None) -> Write:
        before = self._item(n)
        self._content[n] = after
        return Write(self.item_source.shape.keys.key_of(self._first(n)), before, after, n)

    def _alter(self, n: int) -> Write:
        item = self._item(n)
        assert item is not None
        return self._write(n, self.item_source.altered(item, self.random))

    def _revise(self, n: int) -> Write:
        item = self._item(n)
        assert item is not None
        return self._write(n, {**item, COUNTER: {"N": str(self.random.randrange(10**9))}})

    def _insert(self) -> Write:
        n, item = self._new()
        self._live.append(n)
        return self._write(n, item)

    def _insert_expiring(self, now: float) -> Write:
        n, item = self._new()
        at = int(now) + self.random.randint(*EXPIRES_AFTER)
        self._expiring.append((at, n))
        return self._write(n, self.item_source.expiring(item, at))

    def _insert_again(self, now: float) -> Write:
        expired = self._expired(now)
        if expired is not None:
            self._expiring.remove(expired)
            n = expired[1]
        else:
            n = self._deleted.pop(self.random.randrange(len(self._deleted)))
        self._live.append(n)
        first = self._first(n)
        same_again = self.random.random() < 0.25
        return self._write(n, first if same_again else self.item_source.altered(first, self.random))

    def _delete(self, n: int) -> Write:
        self._live.remove(n)
        self._deleted.append(n)
        return self._write(n, None)

    def _expired(self, now: float) -> tuple[int, int] | None:
        due = (each for each in self._expiring if each[0] + LEAVE_EXPIRED < now)
        return next(due, None)

    def _new(self) -> tuple[int, Item]:
        """Return an unused number and its item."""
        n = self.item_source.count + self._made * self.writers + self.writer
        self._made += 1
        return n, self._first(n)
