"""The generated table: every shape that DynamoDB stores, the same for the same seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from infra.local.data.compare import fingerprint
from infra.local.data.dataset import BIG_BYTES, EXPIRES_AFTER, ORDERS
from infra.local.data.item_source import GeneratedItems
from infra.local.data.items import MAX_ITEM_BYTES, Item, Value, item_size, value_size

STARTED = 1_800_000_000
COUNT = 3000


@pytest.fixture(scope="module")
def items() -> list[Item]:
    table = GeneratedItems(1, STARTED, COUNT)
    return [table.item(n) for n in range(COUNT)]


def places(value: Value, place: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield place (top, nested), type and content of a value and of everything in it."""
    ((tag, content),) = value.items()
    yield place or "top", tag, content
    inner = {"L": lambda: content, "M": lambda: content.values()}.get(tag, list)()
    for each in inner:
        yield from places(each, "nested")


def everything(items: list[Item]) -> Iterator[tuple[str, str, Any]]:
    for item in items:
        for value in item.values():
            yield from places(value)


def test_every_type_occurs_at_the_top_and_nested(items: list[Item]) -> None:
    seen = Counter((place, tag) for place, tag, _ in everything(items))

    tops = {tag for place, tag in seen if place == "top"}
    nested = {tag for place, tag in seen if place == "nested"}
    assert tops == {"S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"}
    assert {"S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS"} <= nested


def test_what_breaks_careless_code_occurs(items: list[Item]) -> None:
    found = list(everything(items))
    numbers = {content for _, tag, content in found if tag == "N"}
    binaries = [content for _, tag, content in found if tag == "B"]
    texts = {content for _, tag, content in found if tag == "S"}

    assert {"12345678901234567890123456789012345678", "-1E-130"} <= numbers
    assert "9.9999999999999999999999999999999999999E+125" in numbers
    assert "" in texts
    assert any("\u2028" in text for text in texts)
    assert b"" in binaries
    assert b"QUJDRA==" in binaries
    assert any(len(item["sk"]["B"]) == 1024 for item in items)
    assert any(len(item["pk"]["S"].encode()) > 1900 for item in items)


def test_the_sort_key_is_binary_that_is_no_text(items: list[Item]) -> None:
    with pytest.raises(UnicodeDecodeError):
        for item in items:
            item["sk"]["B"].decode()


def test_a_few_items_have_300_kilobytes_and_none_is_too_large(items: list[Item]) -> None:
    sizes = [item_size(item) for item in items]

    assert 2 <= sum(size >= BIG_BYTES for size in sizes) <= 10
    assert max(sizes) <= MAX_ITEM_BYTES


def test_keys_are_unique(items: list[Item]) -> None:
    assert len({fingerprint(ORDERS.keys.key_of(item)) for item in items}) == COUNT


def test_some_items_are_in_the_index_and_some_are_not(items: list[Item]) -> None:
    indexed = [item for item in items if "status" in item and "placed_at" in item]

    assert 0.5 * COUNT < len(indexed) < COUNT
    assert all({"S"} == set(item["status"]) for item in indexed)


def test_changes_take_items_out_of_the_indexes_and_back(items: list[Item]) -> None:
    table, random = GeneratedItems(1, STARTED, COUNT, local_indexes=True), Random(1)
    for index in table.shape.indexes:
        held = [item for item in items if index.holds(item)]
        assert 0.1 * COUNT < len(held) < COUNT, index.name
        assert any(not index.holds(table.altered(item, random)) for item in held), index.name
        others = (item for item in items if not index.holds(item))
        assert any(index.holds(table.altered(item, random)) for item in others), index.name


def test_some_items_expire_during_the_run_and_others_have_a_time_to_live_that_does_not(
    items: list[Item],
) -> None:
    table = GeneratedItems(1, STARTED, COUNT)
    soonest, latest = EXPIRES_AFTER
    for n, item in enumerate(items):
        at = item.get(ORDERS.expiry, {}).get("N")
        expires = at is not None and STARTED < int(at) < STARTED + 86400
        assert expires == table.expires(n)
        if expires:
            assert soonest <= int(at or 0) - STARTED <= latest
    values = [item[ORDERS.expiry] for item in items if ORDERS.expiry in item]
    assert {"S": "never"} in values
    assert sum(map(table.expires, range(COUNT))) > 10


def test_the_same_seed_makes_the_same_items_and_another_seed_others(items: list[Item]) -> None:
    again, other = GeneratedItems(1, STARTED, COUNT), GeneratedItems(2, STARTED, COUNT)

    assert [again.item(n) for n in range(200)] == items[:200]
    assert [other.item(n) for n in range(200)] != items[:200]


def test_sizes_are_counted_as_dynamodb_counts_them() -> None:
    assert item_size({"pk": {"S": "é"}}) == 4
    assert value_size({"N": "0"}) <= 2
    assert value_size({"N": "-1234"}) == 5
    assert value_size({"B": bytes(7)}) == 7
    assert value_size({"L": [{"S": "ab"}, {"BOOL": True}]}) == 3 + 3 + 2
    assert value_size({"M": {"k": {"S": "ab"}}}) == 3 + 1 + 1 + 2
    assert value_size({"BS": [b"a", b"bc"]}) == 3
