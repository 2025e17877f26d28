"""What happened in the source: a short life of a table, drawn from a seed.

Few keys, so that changes of one key meet; few contents, so that items return to what they were; and
clocks that stand still, so that changes share a timestamp.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from typing import Any

Image = dict[str, Any]

MILLISECOND, SECOND = 1_000, 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND


_GRAIN = {"u": 1, "m": MILLISECOND, "s": SECOND}
"""Microseconds that a record of each precision cannot tell apart."""


@dataclasses.dataclass(frozen=True)
class Schema:
    """Key attributes by type, hash key first."""

    types: dict[str, str]

    def keys_of(self, image: Image) -> Image:
        return {name: image[name] for name in self.types}


SCHEMAS = (
    Schema({"pk": "S"}),
    Schema({"pk": "S", "sk": "N"}),
    Schema({"pk": "B"}),
    Schema({"pk": "S", "sk": "B"}),
)


@dataclasses.dataclass(frozen=True)
class SourceChange:
    """One change: `position` counts the changes of its key from 1; 0 is what was there before.

    `made` is when it happened (microseconds since 1970), `stamp` what the record will say (in
    microseconds whatever the precision), `fits` whether the target's index would take the image.
    """

    number: int
    key: int
    position: int
    made: int
    stamp: int
    precision: str
    old: Image | None
    new: Image | None
    fits: bool


@dataclasses.dataclass(frozen=True)
class Life:
    """All changes of one key, and which of them share a timestamp (`group`, by position).

    `first` is the item before the first change.
    """

    keys: Image
    first: Image | None
    changes: tuple[SourceChange, ...]
    group: tuple[int, ...]

    def image(self, position: int) -> Image | None:
        return self.first if position == 0 else self.changes[position - 1].new

    @property
    def last(self) -> int:
        return len(self.changes)

    def members(self, group: int) -> list[int]:
        return [position for position, each in enumerate(self.group) if each == group]

    def crowded(self, position: int) -> bool:
        """Three or more changes share this one's timestamp."""
        return len(self.members(self.group[position])) > 2

    def undoes(self, group: int) -> bool:
        """Two changes of the group undo each other: the case that the promise excepts."""
        members = [position for position in self.members(group) if position > 0]
        images = [self.image(position) for position in members]
        images.append(self.changes[members[0] - 1].old)
        return any(
            one == other for index, one in enumerate(images) for other in images[index + 1 :]
        )


@dataclasses.dataclass(frozen=True)
class History:
    schema: Schema
    changes: tuple[SourceChange, ...]
    lives: tuple[Life, ...]

    @property
    def ties(self) -> int:
        return sum(len(set(life.group)) < len(life.group) for life in self.lives)


@dataclasses.dataclass(frozen=True)
class Taste:
    """How a history is drawn. `steps`: pauses between changes of the table, in microseconds."""

    changes: int
    keys: int
    steps: tuple[tuple[int, int], ...]
    precisions: str
    most_in_one_timestamp: int
    returns: float
    deletes: float
    rejects: float
    existing: float


def tie_group(one: SourceChange, other: SourceChange) -> bool:
    """Whether the consumer cannot tell by timestamps which of two changes is the newer.

    A change to the second has a number as well, which tells it from every other.
    """
    if one.precision == "s":
        return False
    if one.precision == other.precision:
        return one.stamp == other.stamp
    return one.stamp // MILLISECOND == other.stamp // MILLISECOND


class _Key:
    """A key while its life is drawn."""

    def __init__(self, keys: Image, first: Image | None) -> None:
        self.keys = keys
        self.first = first
        self.current = first
        self.contents: list[Image] = [] if first is None else [first]
        self.changes: list[SourceChange] = []

    def in_this_millisecond(self, moment: int) -> list[SourceChange]:
        return [
            change
            for change in self.changes[-8:]
            if change.made // MILLISECOND == moment // MILLISECOND
        ]


def draw(
    chance: random.Random, taste: Taste, start: int, jumps: Mapping[int, int] | None = None
) -> History:
    """A history whose first change is made soon after `start` (microseconds since 1970).

    `jumps`: microseconds in which nothing happens before the change of that number.
    """
    schema = chance.choice(SCHEMAS)
    lives = [_Key(*_birth(chance, taste, schema, number)) for number in range(taste.keys)]
    now = start
    precision = chance.choice(taste.precisions)
    changes: list[SourceChange] = []
    for number in range(taste.changes):
        low, high = chance.choice(taste.steps)
        now += chance.randint(low, high) + (jumps or {}).get(number, 0)
        if chance.random() < 0.25:
            precision = chance.choice(taste.precisions)
        key = min(int(chance.expovariate(1.2)), taste.keys - 1)  # the first key is hot
        now = _with_room(lives[key], now, precision, taste.most_in_one_timestamp)
        changes.append(_change(chance, taste, lives[key], key, number, now, precision))
    return History(schema, tuple(changes), tuple(_life(life) for life in lives))


def _with_room(life: _Key, now: int, precision: str, most: int) -> int:
    """The moment at which one more change does not crowd its timestamp."""
    if precision == "s":
        return now
    there = life.in_this_millisecond(now)
    exact = all(change.precision == "u" for change in there) and precision == "u"
    crowd = [change for change in there if change.made == now] if exact else there
    if len(crowd) < most:
        return now
    return now + 1 if exact else (now // MILLISECOND + 1) * MILLISECOND


def _birth(
    chance: random.Random, taste: Taste, schema: Schema, number: int
) -> tuple[Image, Image | None]:
    values = {"S": f"key-{number}", "N": f"{number}.5", "B": bytes([255, number])}
    keys = {name: {kind: values[kind]} for name, kind in schema.types.items()}
    return keys, _content(chance, keys, 0) if chance.random() < taste.existing else None


def _change(
    chance: random.Random,
    taste: Taste,
    life: _Key,
    key: int,
    number: int,
    now: int,
    precision: str,
) -> SourceChange:
    old = life.current
    new: Image | None = None
    fits = True
    if old is None or chance.random() >= taste.deletes:
        earlier = [content for content in life.contents if content != old]
        if earlier and chance.random() < taste.returns:
            new = chance.choice(earlier)
        else:
            new = _content(chance, life.keys, number + 1)
        fits = "g" not in new
        if fits and chance.random() < taste.rejects:
            new, fits = {**new, "g": {"N": str(number)}}, False
        life.contents.append(new)
    stamp = now // _GRAIN[precision] * _GRAIN[precision]
    change = SourceChange(number, key, len(life.changes) + 1, now, stamp, precision, old, new, fits)
    life.changes.append(change)
    life.current = new
    return change


def _content(chance: random.Random, keys: Image, number: int) -> Image:
    """An item that no other change of the history writes, unless by returning to it."""
    image: Image = {**keys, "v": {"N": str(number)}}
    kind = chance.randrange(6)
    if kind == 0:
        image["b"] = {"B": bytes([number, 0, 255])}
    elif kind == 1:
        image["tags"] = {"SS": chance.sample(["a", "b", "ç"], 2)}
        image["bs"] = {"BS": [b"\x00", b"\x80"]}
    elif kind == 2:
        image["m"] = {"M": {"l": {"L": [{"B": b"\x01"}, {"NULL": True}, {"N": "0.10"}]}}}
    return image


def _life(life: _Key) -> Life:
    groups = [-1]
    for index, change in enumerate(life.changes):
        group = index + 1
        tied = {
            groups[other.position] for other in life.changes[:index] if tie_group(other, change)
        }
        if tied:
            # A change of another precision may tie with two that do not tie with each other.
            group = min(tied)
            groups = [group if each in tied else each for each in groups]
        groups.append(group)
    return Life(life.keys, life.first, tuple(life.changes), tuple(groups))


def moved(history: History, micros: int) -> History:
    """The same history, so many microseconds later: a whole number of milliseconds."""

    def later(change: SourceChange) -> SourceChange:
        return dataclasses.replace(change, made=change.made + micros, stamp=change.stamp + micros)

    assert micros % MILLISECOND == 0
    return dataclasses.replace(
        history,
        changes=tuple(map(later, history.changes)),
        lives=tuple(
            dataclasses.replace(life, changes=tuple(map(later, life.changes)))
            for life in history.lives
        ),
    )
