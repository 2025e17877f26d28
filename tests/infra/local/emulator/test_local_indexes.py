"""Local secondary indexes, and indexes with keys of several attributes, as AWS has them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import TARGET, LocalCloud
from tests.support.infra.clouds import make_table, until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def dynamodb(cloud: LocalCloud) -> Any:
    return cloud.client("dynamodb", TARGET)


def schema(hashes: Sequence[str], ranges: Sequence[str] = ()) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": "HASH"} for name in hashes] + [
        {"AttributeName": name, "KeyType": "RANGE"} for name in ranges
    ]


def index(
    name: str, hashes: Sequence[str], ranges: Sequence[str] = (), **projection: Any
) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": schema(hashes, ranges),
        "Projection": {"ProjectionType": "ALL", **projection},
    }


def create(dynamodb: Any, name: str, attributes: str, **indexes: Any) -> None:
    """A table with keys pk and sk; `attributes` like "pk:S sk:S"."""
    pairs = [part.split(":") for part in attributes.split()]
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in pairs],
        KeySchema=schema(["pk"], ["sk"]),
        BillingMode="PAY_PER_REQUEST",
        **indexes,
    )


@pytest.fixture(scope="module")
def orders(dynamodb: Any) -> str:
    """A table whose items a local index orders by number: text order would be another."""
    create(
        dynamodb,
        "orders",
        "pk:S sk:S n:N",
        LocalSecondaryIndexes=[
            index("by-n", ["pk"], ["n"], ProjectionType="KEYS_ONLY"),
            index("with-a", ["pk"], ["n"], ProjectionType="INCLUDE", NonKeyAttributes=["a"]),
        ],
        GlobalSecondaryIndexes=[
            index("all-of-n", ["n"], ProjectionType="INCLUDE", NonKeyAttributes=["a"])
        ],
    )
    for sk, n in (("1", "10"), ("2", "9"), ("3", None), ("4", "-1")):
        item = {"pk": {"S": "p"}, "sk": {"S": sk}, "a": {"S": f"a{sk}"}, "b": {"S": f"b{sk}"}}
        if n:
            item["n"] = {"N": n}
        dynamodb.put_item(TableName="orders", Item=item)
    dynamodb.put_item(
        TableName="orders", Item={"pk": {"S": "q"}, "sk": {"S": "1"}, "n": {"N": "5"}}
    )
    return "orders"


def query(dynamodb: Any, index_name: str, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dynamodb.query(
        TableName="orders",
        IndexName=index_name,
        KeyConditionExpression=options.pop("condition", "pk = :p"),
        ExpressionAttributeValues={":p": {"S": "p"}, **options.pop("values", {})},
        **options,
    )["Items"]
    return found


def keys(items: Sequence[dict[str, Any]]) -> list[str]:
    return [each["sk"]["S"] for each in items]


def refusal(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return str(caught.value.response["Error"]["Message"])


def test_a_local_index_has_its_partitions_items_with_the_sort_key_in_its_order(
    dynamodb: Any, orders: str
) -> None:
    assert keys(query(dynamodb, "by-n")) == ["4", "2", "1"]
    assert keys(query(dynamodb, "by-n", ScanIndexForward=False)) == ["1", "2", "4"]
    later = query(dynamodb, "by-n", condition="pk = :p AND n > :n", values={":n": {"N": "0"}})
    assert keys(later) == ["2", "1"]


def test_a_local_index_is_read_consistently_and_a_global_one_is_not(
    dynamodb: Any, orders: str
) -> None:
    assert len(query(dynamodb, "by-n", ConsistentRead=True)) == 3
    message = refusal(
        dynamodb.query,
        TableName=orders,
        IndexName="all-of-n",
        KeyConditionExpression="n = :n",
        ExpressionAttributeValues={":n": {"N": "5"}},
        ConsistentRead=True,
    )
    assert "Consistent reads are not supported on global secondary indexes" in message


def test_a_local_index_shows_what_it_projects_unless_more_is_asked_for(
    dynamodb: Any, orders: str
) -> None:
    assert query(dynamodb, "by-n")[0].keys() == {"pk", "sk", "n"}
    assert query(dynamodb, "with-a")[0].keys() == {"pk", "sk", "n", "a"}
    assert query(dynamodb, "by-n", Select="ALL_ATTRIBUTES")[0].keys() == {"pk", "sk", "n", "a", "b"}
    assert query(dynamodb, "by-n", ProjectionExpression="b")[0] == {"b": {"S": "b4"}}
    scanned = dynamodb.scan(TableName=orders, IndexName="by-n")["Items"]
    assert {tuple(sorted(each)) for each in scanned} == {("n", "pk", "sk")}
    assert len(scanned) == 4, "an item without the sort key is not in the index"


def test_a_global_index_gives_no_attribute_that_it_does_not_project(
    dynamodb: Any, orders: str
) -> None:
    read = {
        "TableName": orders,
        "IndexName": "all-of-n",
        "KeyConditionExpression": "n = :n",
        "ExpressionAttributeValues": {":n": {"N": "9"}},
    }
    [item] = dynamodb.query(**read)["Items"]
    assert item.keys() == {"pk", "sk", "n", "a"}
    assert "ALL_ATTRIBUTES" in refusal(dynamodb.query, **read, Select="ALL_ATTRIBUTES")
    message = refusal(
        dynamodb.query, **read, ProjectionExpression="a, #b", ExpressionAttributeNames={"#b": "b"}
    )
    assert "does not project [b]" in message


def test_a_query_of_an_unknown_index_is_refused(dynamodb: Any, orders: str) -> None:
    message = refusal(
        dynamodb.query,
        TableName=orders,
        IndexName="by-nothing",
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": "p"}},
    )
    assert "does not have the specified index: by-nothing" in message


def test_a_description_has_the_local_indexes(dynamodb: Any, orders: str) -> None:
    table = dynamodb.describe_table(TableName=orders)["Table"]
    [first, second] = table["LocalSecondaryIndexes"]
    assert first["IndexArn"] == f"{table['TableArn']}/index/by-n"
    assert first["KeySchema"] == schema(["pk"], ["n"])
    assert second["Projection"] == {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a"]}


def test_an_index_key_of_another_type_is_refused(dynamodb: Any, orders: str) -> None:
    item = {"pk": {"S": "p"}, "sk": {"S": "9"}, "n": {"S": "text"}}
    message = refusal(dynamodb.put_item, TableName=orders, Item=item)
    assert "Type mismatch for Index Key n" in message


def test_an_item_and_its_local_entries_have_400_kb_together(dynamodb: Any) -> None:
    create(
        dynamodb,
        "sizes",
        "pk:S sk:S n:N",
        LocalSecondaryIndexes=[index("by-n", ["pk"], ["n"])],
    )
    sparse = {"pk": {"S": "p"}, "sk": {"S": "1"}, "text": {"S": "x" * 250_000}}
    dynamodb.put_item(TableName="sizes", Item=sparse)
    indexed = {**sparse, "n": {"N": "1"}}
    message = refusal(dynamodb.put_item, TableName="sizes", Item=indexed)
    assert "Item size has exceeded the maximum allowed size" in message
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        dynamodb.transact_write_items(
            TransactItems=[{"Put": {"TableName": "sizes", "Item": indexed}}]
        )


@pytest.mark.parametrize(
    ("indexes", "says"),
    [
        ([index(f"by-n-{n}", ["pk"], ["n"]) for n in range(6)], "per-table limit of 5"),
        ([index("by-n", ["pk"])], "does not have a range key"),
        ([index("by-n", ["n"], ["sk"])], "must use the table's hash key"),
        ([index("by-n", ["pk"], ["n", "sk"])], "does not have a range key"),
    ],
    ids=["six", "no sort key", "another partition key", "two sort keys"],
)
def test_a_local_index_over_a_limit_is_refused(dynamodb: Any, indexes: Any, says: str) -> None:
    with pytest.raises(ClientError, match=says):
        create(dynamodb, "refused", "pk:S sk:S n:N", LocalSecondaryIndexes=indexes)


def test_a_table_without_a_sort_key_has_no_local_index(dynamodb: Any) -> None:
    message = refusal(
        dynamodb.create_table,
        TableName="hash-only",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "n", "AttributeType": "N"},
        ],
        KeySchema=schema(["pk"]),
        LocalSecondaryIndexes=[index("by-n", ["pk"], ["n"])],
        BillingMode="PAY_PER_REQUEST",
    )
    assert "does not have a range key" in message


# -- keys of several attributes --------------------------------------------------------------------


@pytest.fixture(scope="module")
def parts(dynamodb: Any) -> str:
    create(
        dynamodb,
        "parts",
        "pk:S sk:S country:S city:S year:N month:N",
        GlobalSecondaryIndexes=[index("places", ["country", "city"], ["year", "month"])],
    )
    for sk, year, month in (("1", "2024", "12"), ("2", "2025", "2"), ("3", "2025", "11")):
        put_part(dynamodb, sk, year=year, month=month)
    put_part(dynamodb, "4", year="2025", month=None)
    return "parts"


def put_part(dynamodb: Any, sk: str, *, year: str, month: str | None) -> None:
    item = {
        "pk": {"S": "p"},
        "sk": {"S": sk},
        "country": {"S": "IT"},
        "city": {"S": "Rome"},
        "year": {"N": year},
    }
    if month:
        item["month"] = {"N": month}
    dynamodb.put_item(TableName="parts", Item=item)


def places(condition: str, **values: Any) -> dict[str, Any]:
    numbers = {f":{name}": {"N": value} for name, value in values.items()}
    return {
        "TableName": "parts",
        "IndexName": "places",
        "KeyConditionExpression": condition,
        "ExpressionAttributeNames": {"#y": "year", "#m": "month"}
        if "#m" in condition
        else {"#y": "year"}
        if "#y" in condition
        else {},
        "ExpressionAttributeValues": {":c": {"S": "IT"}, ":t": {"S": "Rome"}, **numbers},
    }


def asked(dynamodb: Any, condition: str, **values: Any) -> list[str]:
    request = places(condition, **values)
    if not request["ExpressionAttributeNames"]:
        del request["ExpressionAttributeNames"]
    return keys(dynamodb.query(**request)["Items"])


BOTH = "country = :c AND city = :t"


def test_a_key_of_several_attributes_orders_by_all_and_leaves_incomplete_items_out(
    dynamodb: Any, parts: str
) -> None:
    assert asked(dynamodb, BOTH) == ["1", "2", "3"]
    assert asked(dynamodb, f"{BOTH} AND #y = :y AND #m > :m", y="2025", m="3") == ["3"]
    assert asked(dynamodb, f"{BOTH} AND #y >= :y", y="2025") == ["2", "3"]


def test_every_partition_attribute_must_be_given_and_sort_attributes_from_the_left(
    dynamodb: Any, parts: str
) -> None:
    request = places("country = :c")
    del request["ExpressionAttributeNames"], request["ExpressionAttributeValues"][":t"]
    assert "city" in refusal(dynamodb.query, **request)
    request = places(f"{BOTH} AND #m = :m", m="2")
    request["ExpressionAttributeNames"].pop("#y")
    assert "year" in refusal(dynamodb.query, **request)


def test_a_key_has_four_attributes_of_a_kind_at_most(dynamodb: Any) -> None:
    names = [f"a{n}" for n in range(5)]
    attributes = " ".join(["pk:S", "sk:S", *(f"{name}:S" for name in names)])
    with pytest.raises(ClientError, match="more than 4"):
        create(dynamodb, "five", attributes, GlobalSecondaryIndexes=[index("wide", names)])


# -- new indexes, imports --------------------------------------------------------------------------


def test_a_new_global_index_takes_time_and_cannot_be_read_before_it_is_active(
    dynamodb: Any,
) -> None:
    make_table(dynamodb, "growing")
    dynamodb.put_item(TableName="growing", Item={"pk": {"S": "a"}, "word": {"S": "w"}})
    begun = dynamodb.update_table(
        TableName="growing",
        AttributeDefinitions=[{"AttributeName": "word", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[{"Create": index("by-word", ["word"])}],
    )["TableDescription"]
    assert begun["TableStatus"] == "UPDATING"
    assert begun["GlobalSecondaryIndexes"][0]["IndexStatus"] == "CREATING"
    read = {
        "TableName": "growing",
        "IndexName": "by-word",
        "KeyConditionExpression": "word = :w",
        "ExpressionAttributeValues": {":w": {"S": "w"}},
    }
    assert "backfilling" in refusal(dynamodb.query, **read)

    def active() -> bool:
        table = dynamodb.describe_table(TableName="growing")["Table"]
        [made] = table["GlobalSecondaryIndexes"]
        return bool(made["IndexStatus"] == "ACTIVE" and table["TableStatus"] == "ACTIVE")

    until(active, "the index ACTIVE")
    assert len(dynamodb.query(**read)["Items"]) == 1


def test_an_import_has_no_local_indexes(cloud: LocalCloud, dynamodb: Any) -> None:
    """botocore refuses the member itself, so the request is changed on its way."""

    def add(params: dict[str, Any], **_: Any) -> None:
        body = json.loads(params["body"])
        body["TableCreationParameters"]["LocalSecondaryIndexes"] = [index("by-n", ["pk"], ["n"])]
        params["body"] = json.dumps(body).encode()

    client = cloud.client("dynamodb", TARGET)
    client.meta.events.register("before-call.dynamodb.ImportTable", add)
    message = refusal(
        client.import_table,
        S3BucketSource={"S3Bucket": "nowhere"},
        InputFormat="DYNAMODB_JSON",
        TableCreationParameters={
            "TableName": "imported",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": schema(["pk"]),
            "BillingMode": "PAY_PER_REQUEST",
        },
    )
    assert "local secondary indexes" in message
    assert "imported" not in dynamodb.list_tables()["TableNames"]
