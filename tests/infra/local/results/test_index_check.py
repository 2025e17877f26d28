"""The check of the target's indexes: complete, projected alike, and answering like the source's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local import setup
from infra.local.cloud import LocalAccount, LocalCloud
from infra.local.data.item_source import GeneratedItems, ItemSource, shape_of
from infra.local.data.items import Item, KeyAttribute, KeySchema, SecondaryIndex, TableShape
from infra.local.results.checked_table import CheckedTable
from infra.local.results.index_check import LARGEST, IndexChecker
from infra.local.results.report import IndexCheck

pytestmark = pytest.mark.slow

COUNT = 120


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def orders() -> ItemSource:
    return GeneratedItems(1, 1_900_000_000, COUNT, local_indexes=True)


def table(cloud: LocalCloud, account: LocalAccount, creation: dict[str, Any]) -> CheckedTable:
    dynamodb = cloud.client("dynamodb", account)
    dynamodb.create_table(**creation)
    return CheckedTable(dynamodb, creation["TableName"])


def checks(shape: TableShape, source: CheckedTable, target: CheckedTable) -> dict[str, IndexCheck]:
    found = {}
    for index in shape.indexes:
        checker = IndexChecker(source, target, shape.keys, index)
        for item in source.scan():
            checker.note(item)
        found[index.name] = checker.check()
    return found


def wrong(found: dict[str, IndexCheck]) -> dict[str, tuple[int, int]]:
    return {
        name: (each.wrong_items, each.wrong_answers)
        for name, each in found.items()
        if each.wrong_items or each.wrong_answers
    }


def test_equal_tables_have_equal_indexes_and_a_difference_in_one_is_found(
    cloud: LocalCloud, orders: ItemSource
) -> None:
    shape = orders.shape
    source, target = (
        table(cloud, account, shape.creation()) for account in (cloud.source, cloud.target)
    )
    items = [orders.item(n) for n in range(COUNT)]
    for side in (source, target):
        setup.seed(side.dynamodb, side.table, items, shape.keys)

    found = checks(shape, source, target)
    assert wrong(found) == {}
    assert {name: each.local for name, each in found.items()} == {
        "by-status": False,
        "by-status-and-customer": False,
        "within-by-time": True,
        "within-by-status": True,
    }
    assert all(0 < each.items < COUNT for each in found.values()), "some items lack the attribute"
    assert found["within-by-time"].queries >= 3 * LARGEST

    moved = next(item for item in items if "placed_at" in item and "customer" not in item)
    target.dynamodb.put_item(TableName=target.table, Item={**moved, "placed_at": {"N": "7"}})
    assert wrong(checks(shape, source, target)).keys() == {"by-status", "within-by-time"}
    target.dynamodb.delete_item(TableName=target.table, Key=shape.keys.key_of(moved))
    differing = wrong(checks(shape, source, target))
    assert differing.keys() == {"by-status", "within-by-time", "within-by-status"}
    assert all(items == 1 for items, _ in differing.values())
    assert all(answers for _, answers in differing.values())


def test_an_index_that_projects_otherwise_is_found(cloud: LocalCloud) -> None:
    keys = KeySchema(KeyAttribute("pk", "S"), KeyAttribute("sk", "S"))
    time = KeyAttribute("at", "N")
    wanted = SecondaryIndex("by-time", (keys.partition,), (time,), local=True, projected=("note",))
    other = SecondaryIndex("by-time", (keys.partition,), (time,), local=True, projected=())
    source, target = (
        table(cloud, account, TableShape("projected", keys, (index,), "expires").creation())
        for account, index in ((cloud.source, wanted), (cloud.target, other))
    )
    item: Item = {"pk": {"S": "a"}, "sk": {"S": "b"}, "at": {"N": "3"}, "note": {"S": "c"}}
    for side in (source, target):
        side.dynamodb.put_item(TableName=side.table, Item=item)
    shape = TableShape("projected", keys, (wanted,), "expires")
    assert wrong(checks(shape, source, target)) == {"by-time": (2, 3)}


def test_local_indexes_of_the_users_own_data_are_on_its_own_key() -> None:
    keys = KeySchema(KeyAttribute("customer", "N"), KeyAttribute("at", "B"))
    shape = shape_of(keys, local_indexes=True)
    local = [index for index in shape.indexes if index.local]
    assert len(local) == 2
    assert all(index.partition == (keys.partition,) for index in local)
    request = shape.creation()
    assert [each["IndexName"] for each in request["LocalSecondaryIndexes"]] == [
        "demo-within-by-time",
        "demo-within-by-status",
    ]
    assert "LocalSecondaryIndexes" not in shape_of(keys).creation()
