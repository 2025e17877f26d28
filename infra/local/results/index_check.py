"""The target's secondary indexes, held against the source's items and the source's own answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.local.data.compare import fingerprint
from infra.local.data.items import Item, KeyAttribute, KeySchema, SecondaryIndex
from infra.local.results.checked_table import CheckedTable
from infra.local.results.report import IndexCheck

LARGEST, OTHERS = 20, 20
"""Partitions of each index that are queried: those with most items, and some of the rest."""

Answer = tuple[Sequence[bytes], Sequence[bytes]]
"""The order of the sort keys, and every item; items with one sort key come in any order."""


class IndexChecker:
    """Checks one index; it is given every item of the source first."""

    def __init__(
        self, source: CheckedTable, target: CheckedTable, keys: KeySchema, index: SecondaryIndex
    ) -> None:
        self._source = source
        self._target = target
        self._keys = keys
        self._index = index
        self._expected: set[bytes] = set()
        self._partitions: dict[bytes, Item] = {}
        self._sizes: dict[bytes, int] = {}

    def note(self, item: Item) -> None:
        """Note an item of the source."""
        if not self._index.holds(item):
            return
        self._expected.add(fingerprint(self._index.project(item, self._keys)))
        values = {each.name: item[each.name] for each in self._index.partition}
        name = fingerprint(values)
        self._partitions[name] = values
        self._sizes[name] = self._sizes.get(name, 0) + 1

    def check(self) -> IndexCheck:
        """Read the target's index from end to end, and ask both tables the same queries."""
        found = {fingerprint(item) for item in self._target.scan(self._index.name)}
        queries = wrong = 0
        for values in self._chosen():
            for order in (True, False):
                here, there = (self._answer(each, values, order) for each in self._sides)
                queries += 1
                wrong += here != there
            middle = self._middle(values)
            if middle is not None:
                here, there = (self._answer(each, values, True, middle) for each in self._sides)
                queries += 1
                wrong += here != there
        return IndexCheck(
            name=self._index.name,
            local=self._index.local,
            items=len(found),
            wrong_items=len(found ^ self._expected),
            queries=queries,
            wrong_answers=wrong,
        )

    @property
    def _sides(self) -> tuple[CheckedTable, CheckedTable]:
        return self._source, self._target

    def _chosen(self) -> Iterator[Item]:
        """Yield the largest partitions and as many others, spread evenly over the rest."""
        by_size = sorted(self._sizes, key=lambda name: (-self._sizes[name], name))
        rest = by_size[LARGEST:]
        step = max(1, len(rest) // OTHERS)
        for name in (*by_size[:LARGEST], *rest[::step][:OTHERS]):
            yield self._partitions[name]

    def _middle(self, values: Item) -> Item | None:
        """Return the sort key in the middle of a partition of the source."""
        items = list(self._items(self._source, values, forward=True))
        return self._sort_key(items[len(items) // 2]) if items and self._index.sort else None

    def _answer(
        self, side: CheckedTable, values: Item, forward: bool, since: Item | None = None
    ) -> Answer:
        items = list(self._items(side, values, forward, since))
        order = [fingerprint(self._sort_key(item)) for item in items]
        return order, sorted(fingerprint(item) for item in items)

    def _sort_key(self, item: Item) -> Item:
        return {each.name: item[each.name] for each in self._index.sort}

    def _items(
        self, side: CheckedTable, values: Item, forward: bool, since: Item | None = None
    ) -> Iterator[Item]:
        request = _conditions(self._index.partition, values, "=")
        if since is not None:
            # Of several sort attributes, the condition may stand on the first alone.
            after = _conditions(self._index.sort[:1], since, ">=")
            request = {name: _joined(request[name], after[name]) for name in request}
        return side.query(
            IndexName=self._index.name,
            ScanIndexForward=forward,
            ConsistentRead=self._index.local,
            **request,
        )


def _conditions(
    attributes: Sequence[KeyAttribute], values: Item, comparison: str
) -> dict[str, Any]:
    """Return the arguments of a query that compares each attribute with its value."""
    mark = "p" if comparison == "=" else "s"
    places = {each.name: f"{mark}{n}" for n, each in enumerate(attributes)}
    return {
        "KeyConditionExpression": " AND ".join(
            f"#{place} {comparison} :{place}" for place in places.values()
        ),
        "ExpressionAttributeNames": {f"#{place}": name for name, place in places.items()},
        "ExpressionAttributeValues": {f":{place}": values[name] for name, place in places.items()},
    }


def _joined(one: str | Mapping[str, Any], other: str | Mapping[str, Any]) -> Any:
    if isinstance(one, str):
        return f"{one} AND {other}"
    assert not isinstance(other, str)
    return {**one, **other}
