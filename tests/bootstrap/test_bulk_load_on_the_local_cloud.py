"""A bulk load as a process on the local cloud, through real calls: killed, resumed, compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from tests.support.bootstrap.local_stack import ITEMS, Stack, deployed
from tests.support.infra import bulk_puts
from tests.support.infra.clouds import bulk_client, make_bucket, make_table

pytestmark = [pytest.mark.slow, pytest.mark.promise("C6")]

TABLE: dict[str, Any] = {
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "day")
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "by-day",
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "day", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
NAMES = ("orders", "customers")


def tables(cloud: LocalCloud) -> Sequence[Mapping[str, Any]]:
    """Two tables with a local index: for one the load makes the target, the other is adopted."""
    source = cloud.client("dynamodb", SOURCE)
    for name in NAMES:
        source.create_table(TableName=name, **TABLE)
        for n in range(ITEMS):
            item = {"pk": {"S": f"{n}"}, "sk": {"S": "a"}, "day": {"S": f"{n % 7}"}}
            source.put_item(TableName=name, Item=item)
    cloud.client("dynamodb", TARGET).create_table(TableName="customers-replica", **TABLE)
    made = {"source": "orders", "target": "orders-replica", "load": "bulk"}
    adopted = {"source": "customers", "target": "customers-replica", "load": "bulk", "adopt": True}
    return [made, adopted]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with deployed(tmp_path_factory.mktemp("cloud"), adopt=tables) as stack:
        yield stack


def items(stack: Stack, account: Any, table: str) -> dict[tuple[str, str], Any]:
    pages = stack.cloud.client("dynamodb", account).get_paginator("scan")
    found = pages.paginate(TableName=table, ConsistentRead=True)
    return {(each["pk"]["S"], each["sk"]["S"]): each for page in found for each in page["Items"]}


@pytest.mark.parametrize("table", NAMES)
def test_a_table_with_a_local_index_is_loaded_in_bulk_by_two_processes_of_which_one_is_killed(
    stack: Stack, table: str
) -> None:
    stack.killed_at("IMPORTING", "--table", table)
    ended = stack.end("run", "--table", table)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    shown = stack.status(table)
    assert shown["state"] == "REPLICATING"
    assert shown["bulkLoad"]["adopted"] is (table == "customers")
    target = stack.cloud.client("dynamodb", TARGET)
    described = target.describe_table(TableName=f"{table}-replica")["Table"]
    assert [each["IndexName"] for each in described["LocalSecondaryIndexes"]] == ["by-day"]
    listed = bulk_client(stack.cloud, TARGET).list_bulk_operations()
    assert len(listed["BulkOperationsSummaryList"]) == NAMES.index(table) + 1
    assert items(stack, TARGET, f"{table}-replica") == items(stack, SOURCE, table)


@pytest.mark.promise("C8")
def test_a_bulk_put_into_another_teams_table_of_the_account_disturbs_nothing(stack: Stack) -> None:
    dynamodb = bulk_client(stack.cloud, TARGET)
    assert stack.end("run", "--table", "orders").returncode == 0
    for bucket in (bulk_puts.INPUT, bulk_puts.OUTPUT):
        make_bucket(stack.cloud, TARGET, bucket)
    theirs = "of-another-team"
    make_table(dynamodb, theirs)
    bulk_puts.offer(stack.cloud, theirs, [bulk_puts.item("a")])
    began = bulk_puts.start(dynamodb, theirs)["BulkOperationArn"]
    assert stack.status("orders")["state"] == "REPLICATING"
    assert bulk_puts.ended(dynamodb, began)["BulkOperationStatus"] == "COMPLETED"
    shown = stack.status("orders")
    assert shown["state"] == "REPLICATING", shown
    ended = stack.end("run", "--table", "orders")
    assert ended.returncode == 0, ended.stderr + ended.stdout
