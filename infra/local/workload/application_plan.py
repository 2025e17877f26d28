"""The plan of one writer of the application, which knows the content of its keys.

In the source it writes the same keys again and again. In the target it leaves half of them as they
are, and writes the others once: what a switch lost or overwrote is then still to be seen at the
end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from infra.local.data.items import Item, KeyAttribute, KeySchema, Value
from infra.local.workload.place import Side
from infra.local.workload.plan import Way, Write, WriteStep

SOURCE_KEYS = 40
COUNT, TEXT = "application.count", "application.text"
WAYS: dict[Way, int] = {"single": 10, "update": 4, "transaction": 3, "batch": 3}
MOST_TOGETHER: dict[Way, int] = {"transaction": 3, "batch": 6}


@dataclass
class ApplicationPlan:
    """The plan of the writer `name`, the only one of its keys."""

    name: str
    keys: KeySchema
    random: Random
    _items: dict[int, Item | None] = field(default_factory=dict)
    _counts: dict[int, int] = field(default_factory=dict)
    _left: list[int] = field(default_factory=lambda: list(range(0, SOURCE_KEYS, 2)))
    """Keys that are still to be written in the target, once."""
    _new: int = SOURCE_KEYS

    def next(self, side: Side) -> WriteStep:
        """Return the next step. It is assumed to be made in the end: here, or on the other side."""
        (way,) = self.random.choices(list(WAYS), list(WAYS.values()))
        numbers = self._choose(side, self.random.randint(1, MOST_TOGETHER.get(way, 1)))
        if way == "update" and self._items.get(numbers[0]) is None:
            way = "single"
        return WriteStep("application", way, tuple(self._write(n, way) for n in numbers))

    def count_of(self, write: Write) -> int:
        """Return the count of the content that a planned write leaves."""
        assert write.number is not None
        return self._counts[write.number]

    def _choose(self, side: Side, count: int) -> Sequence[int]:
        if side == "source":
            return self.random.sample(range(SOURCE_KEYS), count)
        chosen, self._left = self._left[:count], self._left[count:]
        while len(chosen) < count:
            chosen.append(self._new)
            self._new += 1
        return chosen

    def _write(self, n: int, way: Way) -> Write:
        key = {each.name: _key_value(each, f"{self.name}/{n}") for each in self.keys.attributes}
        before = self._items.get(n)
        count = self._counts.get(n, 0) + 1
        after: Item | None = None
        if way == "update" or before is None or self.random.random() > 0.15:
            text = f"{self.random.getrandbits(64):x}" * self.random.randint(1, 20)
            after = {**key, COUNT: {"N": str(count)}, TEXT: {"S": text}}
        self._items[n], self._counts[n] = after, count
        return Write(key, before, after, n)


def _key_value(attribute: KeyAttribute, text: str) -> Value:
    """Return the value of a key attribute of any type, always the same one for a text."""
    digest = hashlib.blake2b(text.encode(), digest_size=12).digest()
    if attribute.type == "N":
        return {"N": str(int.from_bytes(digest))}
    if attribute.type == "B":
        return {"B": digest}
    return {"S": f"application-{text}"}
