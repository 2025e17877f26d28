"""Numbers in keys, compared by value: {"N": "1E+2"} and {"N": "100"} are one key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, LocalCloud
from tests.support.infra.clouds import capture, changes, make_stream, until

pytestmark = pytest.mark.slow

TABLE = "readings"
STORED = {"pk": {"N": "100"}, "sk": {"N": "-0.5"}}
SPELLINGS = [
    {"pk": {"N": "1E+2"}, "sk": {"N": "-5e-1"}},
    {"pk": {"N": "100.0"}, "sk": {"N": "-00.50"}},
    {"pk": {"N": "+1.00E2"}, "sk": {"N": "-.5"}},
    {"pk": {"N": "00100"}, "sk": {"N": "-5.0E-01"}},
]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def table(cloud: LocalCloud) -> Any:
    """Return a client, with a table whose keys and index keys are numbers."""
    dynamodb = cloud.client("dynamodb", SOURCE)
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "N"} for name in ("pk", "sk", "g", "h")
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by_g",
                "KeySchema": [
                    {"AttributeName": "g", "KeyType": "HASH"},
                    {"AttributeName": "h", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    return dynamodb


@pytest.fixture
def item(table: Any) -> dict[str, Any]:
    """Return the only item of the table, stored under the shortest spelling of its key."""
    for found in table.scan(TableName=TABLE)["Items"]:
        table.delete_item(TableName=TABLE, Key={name: found[name] for name in ("pk", "sk")})
    stored = {
        **STORED,
        "g": {"N": "7"},
        "h": {"N": "20"},
        "set": {"NS": ["1", "100"]},
        "was": {"S": "here"},
    }
    table.put_item(TableName=TABLE, Item=stored)
    return stored


def only_item(table: Any) -> Any:
    [found] = table.scan(TableName=TABLE)["Items"]
    return found


UPDATE = {
    "UpdateExpression": "SET updated = :yes",
    "ExpressionAttributeValues": {":yes": {"BOOL": True}},
}
IF_EQUAL = {
    "ConditionExpression": "pk = :pk AND sk = :sk AND attribute_exists(was)",
}


def equal_to(key: dict[str, Any]) -> dict[str, Any]:
    values = {":pk": key["pk"], ":sk": key["sk"]}
    return {**IF_EQUAL, "ExpressionAttributeValues": values}


def transact(table: Any, *actions: dict[str, Any]) -> Any:
    return table.transact_write_items(TransactItems=list(actions))


def batch(table: Any, *requests: dict[str, Any]) -> Any:
    return table.batch_write_item(RequestItems={TABLE: list(requests)})


UPDATED = {"updated": {"BOOL": True}}

Write = Callable[[Any, dict[str, Any]], Any]
REPLACING: dict[str, Write] = {
    "PutItem": lambda t, key: t.put_item(TableName=TABLE, Item={**key, **UPDATED}),
    "PutItem on condition": lambda t, key: t.put_item(
        TableName=TABLE, Item={**key, **UPDATED}, **equal_to(key)
    ),
    "UpdateItem": lambda t, key: t.update_item(TableName=TABLE, Key=key, **UPDATE),
    "UpdateItem, legacy": lambda t, key: t.update_item(
        TableName=TABLE,
        Key=key,
        AttributeUpdates={"updated": {"Value": {"BOOL": True}, "Action": "PUT"}},
        Expected={"pk": {"Value": key["pk"]}},
    ),
    "BatchWriteItem": lambda t, key: batch(t, {"PutRequest": {"Item": {**key, **UPDATED}}}),
    "TransactWriteItems, put": lambda t, key: transact(
        t, {"Put": {"TableName": TABLE, "Item": {**key, **UPDATED}, **equal_to(key)}}
    ),
    "TransactWriteItems, update": lambda t, key: transact(
        t, {"Update": {"TableName": TABLE, "Key": key, **UPDATE}}
    ),
    "PartiQL": lambda t, key: t.execute_statement(
        Statement=f'UPDATE "{TABLE}" SET updated = ? WHERE pk = ? AND sk = ?',
        Parameters=[{"BOOL": True}, key["pk"], key["sk"]],
    ),
}
DELETING: dict[str, Write] = {
    "DeleteItem": lambda t, key: t.delete_item(TableName=TABLE, Key=key),
    "DeleteItem on condition": lambda t, key: t.delete_item(
        TableName=TABLE, Key=key, **equal_to(key)
    ),
    "BatchWriteItem": lambda t, key: batch(t, {"DeleteRequest": {"Key": key}}),
    "TransactWriteItems": lambda t, key: transact(
        t, {"Delete": {"TableName": TABLE, "Key": key, **equal_to(key)}}
    ),
    "PartiQL": lambda t, key: t.execute_statement(
        Statement=f'DELETE FROM "{TABLE}" WHERE pk = ? AND sk = ?',
        Parameters=[key["pk"], key["sk"]],
    ),
}
READING: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "GetItem": lambda t, key: [t.get_item(TableName=TABLE, Key=key).get("Item")],
    "BatchGetItem": lambda t, key: t.batch_get_item(RequestItems={TABLE: {"Keys": [key]}})[
        "Responses"
    ][TABLE],
    "TransactGetItems": lambda t, key: [
        found.get("Item")
        for found in t.transact_get_items(
            TransactItems=[{"Get": {"TableName": TABLE, "Key": key}}]
        )["Responses"]
    ],
    "Query": lambda t, key: t.query(
        TableName=TABLE,
        KeyConditionExpression="pk = :pk AND sk = :sk",
        ExpressionAttributeValues={":pk": key["pk"], ":sk": key["sk"]},
    )["Items"],
    "Query, legacy": lambda t, key: t.query(
        TableName=TABLE,
        KeyConditions={
            name: {"AttributeValueList": [key[name]], "ComparisonOperator": "EQ"} for name in key
        },
    )["Items"],
    "Scan": lambda t, key: t.scan(
        TableName=TABLE,
        FilterExpression="pk = :pk AND sk IN (:sk)",
        ExpressionAttributeValues={":pk": key["pk"], ":sk": key["sk"]},
    )["Items"],
    "PartiQL": lambda t, key: t.execute_statement(
        Statement=f'SELECT * FROM "{TABLE}" WHERE pk = ? AND sk = ?',
        Parameters=[key["pk"], key["sk"]],
    )["Items"],
}


@pytest.mark.parametrize("key", SPELLINGS)
@pytest.mark.parametrize("operation", REPLACING)
def test_a_write_meets_the_item_however_its_key_is_written(
    table: Any, item: dict[str, Any], operation: str, key: dict[str, Any]
) -> None:
    REPLACING[operation](table, key)
    found = only_item(table)
    assert found["updated"] == {"BOOL": True}
    assert {name: found[name] for name in STORED} == STORED


@pytest.mark.parametrize("key", SPELLINGS)
@pytest.mark.parametrize("operation", DELETING)
def test_a_delete_meets_the_item_however_its_key_is_written(
    table: Any, item: dict[str, Any], operation: str, key: dict[str, Any]
) -> None:
    DELETING[operation](table, key)
    assert table.scan(TableName=TABLE)["Items"] == []


@pytest.mark.parametrize("key", SPELLINGS)
@pytest.mark.parametrize("operation", READING)
def test_a_read_finds_the_item_however_its_key_is_written(
    table: Any, item: dict[str, Any], operation: str, key: dict[str, Any]
) -> None:
    assert READING[operation](table, key) == [item]


def test_an_update_that_creates_an_item_stores_the_shortest_spelling(table: Any, item: Any) -> None:
    table.delete_item(TableName=TABLE, Key=STORED)
    table.update_item(TableName=TABLE, Key=SPELLINGS[0], **UPDATE)
    assert only_item(table) == {**STORED, **UPDATED}


def test_an_index_is_read_by_the_value_of_its_keys(table: Any, item: dict[str, Any]) -> None:
    table.update_item(
        TableName=TABLE,
        Key=STORED,
        UpdateExpression="SET g = :g, h = :h",
        ExpressionAttributeValues={":g": {"N": "0.70E1"}, ":h": {"N": "2E1"}},
    )
    found = table.query(
        TableName=TABLE,
        IndexName="by_g",
        KeyConditionExpression="g = :g AND h BETWEEN :low AND :high",
        ExpressionAttributeValues={
            ":g": {"N": "7.000"},
            ":low": {"N": "20.0"},
            ":high": {"N": "2.0e+1"},
        },
    )["Items"]
    assert found == [item]


def test_a_page_begins_after_the_key_by_value(table: Any, item: dict[str, Any]) -> None:
    table.put_item(TableName=TABLE, Item={**STORED, "sk": {"N": "3"}})
    pages = table.query(
        TableName=TABLE,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"N": "1e2"}},
        ExclusiveStartKey=SPELLINGS[1],
    )["Items"]
    assert [found["sk"] for found in pages] == [{"N": "3"}]


def test_a_member_of_a_set_is_found_and_removed_by_value(table: Any, item: dict[str, Any]) -> None:
    table.update_item(
        TableName=TABLE,
        Key=STORED,
        UpdateExpression="DELETE #s :gone",
        ConditionExpression="contains(#s, :one) AND #s = :whole",
        ExpressionAttributeNames={"#s": "set"},
        ExpressionAttributeValues={
            ":gone": {"NS": ["1E+2"]},
            ":one": {"N": "1.0"},
            ":whole": {"NS": ["100.0", "1e0"]},
        },
    )
    assert only_item(table)["set"] == {"NS": ["1"]}
    table.update_item(
        TableName=TABLE,
        Key=STORED,
        UpdateExpression="ADD #s :same",
        ExpressionAttributeNames={"#s": "set"},
        ExpressionAttributeValues={":same": {"NS": ["1.00"]}},
    )
    assert only_item(table)["set"] == {"NS": ["1"]}


def test_a_set_with_one_member_twice_is_refused(table: Any, item: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="duplicates"):
        table.put_item(TableName=TABLE, Item={**STORED, "set": {"NS": ["1E+2", "100"]}})


@pytest.mark.parametrize(
    "twice",
    [
        lambda t: batch(
            t, {"DeleteRequest": {"Key": STORED}}, {"DeleteRequest": {"Key": SPELLINGS[0]}}
        ),
        lambda t: transact(
            t,
            {"Delete": {"TableName": TABLE, "Key": STORED}},
            {"Delete": {"TableName": TABLE, "Key": SPELLINGS[0]}},
        ),
        lambda t: t.batch_get_item(RequestItems={TABLE: {"Keys": [STORED, SPELLINGS[0]]}}),
    ],
    ids=["BatchWriteItem", "TransactWriteItems", "BatchGetItem"],
)
def test_one_key_in_two_spellings_is_one_key_twice(
    table: Any, item: dict[str, Any], twice: Callable[[Any], Any]
) -> None:
    with pytest.raises(ClientError, match=r"duplicates|multiple operations on one item"):
        twice(table)


def test_a_number_that_is_none_is_still_refused(table: Any, item: dict[str, Any]) -> None:
    for text in ("", "1_000", "one", "1E+126"):
        with pytest.raises(ClientError) as caught:
            table.get_item(TableName=TABLE, Key={**STORED, "pk": {"N": text}})
        assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_change_records_of_one_key_name_it_in_one_spelling(cloud: LocalCloud) -> None:
    dynamodb, kinesis = cloud.client("dynamodb", SOURCE), cloud.client("kinesis", SOURCE)
    dynamodb.create_table(
        TableName="spelled",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "N"}],
    )
    arn = make_stream(kinesis, "spelled", shards=4)
    capture(cloud, "spelled", arn)
    dynamodb.update_item(TableName="spelled", Key={"pk": {"N": "1E+2"}}, **UPDATE)
    batched = {"DeleteRequest": {"Key": {"pk": {"N": "1.00e2"}}}}
    dynamodb.batch_write_item(RequestItems={"spelled": [batched]})
    until(lambda: len(changes(kinesis, arn)) == 2, "two records")
    records = changes(kinesis, arn)
    assert [record["eventName"] for record in records] == ["INSERT", "REMOVE"]
    assert [record["dynamodb"]["Keys"] for record in records] == [{"pk": {"N": "100"}}] * 2
