"""The conformance suite, continued: transactions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.cases import BAD_ITEMS, EMPTY_KEYS, KB, codes, entry, guarded, key, refusal


def test_a_transaction_writes_everything(dynamodb: Any, ledger: str, orders: str) -> None:
    dynamodb.put_item(TableName=orders, Item=key("old"))

    dynamodb.transact_write_items(
        TransactItems=[
            guarded(ledger, entry(b"a", 1), "attribute_not_exists(k)"),
            {"Put": {"TableName": orders, "Item": key("new")}},
            {"Delete": {"TableName": orders, "Key": key("old")}},
            {
                "Update": {
                    "TableName": orders,
                    "Key": key("up"),
                    "UpdateExpression": "SET v = :v",
                    "ExpressionAttributeValues": {":v": {"N": "1"}},
                }
            },
        ]
    )

    assert dynamodb.scan(TableName=ledger)["Items"] == [entry(b"a", 1)]
    found = {item["pk"]["S"] for item in dynamodb.scan(TableName=orders)["Items"]}
    assert found == {"new", "up"}


def test_a_refused_transaction_writes_nothing_and_names_each_reason(
    dynamodb: Any, ledger: str, orders: str
) -> None:
    dynamodb.put_item(TableName=ledger, Item=entry(b"a", 5))

    code, response = refusal(
        lambda: dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": orders, "Item": key("new")}},
                guarded(ledger, entry(b"b", 1), "attribute_not_exists(k)"),
                guarded(ledger, entry(b"a", 4), "attribute_not_exists(k) OR t < :t", t={"N": "4"}),
            ]
        )
    )

    assert code == "TransactionCanceledException"
    assert codes(response) == ["None", "None", "ConditionalCheckFailed"]
    assert response["CancellationReasons"][2]["Item"] == entry(b"a", 5)
    assert "Item" not in response["CancellationReasons"][0]
    assert dynamodb.scan(TableName=orders)["Items"] == []
    assert dynamodb.scan(TableName=ledger)["Items"] == [entry(b"a", 5)]


def test_every_refusing_action_of_a_transaction_is_named(dynamodb: Any, ledger: str) -> None:
    for name in (b"a", b"c"):
        dynamodb.put_item(TableName=ledger, Item=entry(name, 5))

    _, response = refusal(
        lambda: dynamodb.transact_write_items(
            TransactItems=[
                guarded(ledger, entry(name, 1), "attribute_not_exists(k)")
                for name in (b"a", b"b", b"c")
            ]
        )
    )

    assert codes(response) == ["ConditionalCheckFailed", "None", "ConditionalCheckFailed"]


@pytest.mark.parametrize("bad", list(BAD_ITEMS))
def test_an_item_of_a_wrong_type_cancels_the_transaction_and_is_named(
    dynamodb: Any, orders: str, bad: str
) -> None:
    code, response = refusal(
        lambda: dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": orders, "Item": key("good")}},
                {"Put": {"TableName": orders, "Item": BAD_ITEMS[bad]}},
            ]
        )
    )

    assert code == "TransactionCanceledException"
    assert codes(response) == ["None", "ValidationError"]
    assert dynamodb.scan(TableName=orders)["Items"] == []


@pytest.mark.parametrize("bad", list(EMPTY_KEYS))
def test_an_empty_key_refuses_the_whole_transaction(dynamodb: Any, orders: str, bad: str) -> None:
    code, _ = refusal(
        lambda: dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": orders, "Item": key("good")}},
                {"Put": {"TableName": orders, "Item": EMPTY_KEYS[bad]}},
            ]
        )
    )

    assert code == "ValidationException"
    assert dynamodb.scan(TableName=orders)["Items"] == []


def test_one_item_twice_in_a_transaction_is_refused(dynamodb: Any, orders: str) -> None:
    code, _ = refusal(
        lambda: dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": orders, "Item": key("a", "1")}},
                {"Delete": {"TableName": orders, "Key": key("a", "1.0")}},
            ]
        )
    )

    assert code == "ValidationException"


def test_a_transaction_takes_100_actions_and_no_more(dynamodb: Any, orders: str) -> None:
    def puts(count: int) -> list[dict[str, Any]]:
        return [
            {"Put": {"TableName": orders, "Item": key("many", str(number))}}
            for number in range(count)
        ]

    dynamodb.transact_write_items(TransactItems=puts(100))
    code, _ = refusal(lambda: dynamodb.transact_write_items(TransactItems=puts(101)))

    assert code == "ValidationException"


def test_a_transaction_takes_4_mb_and_no_more(dynamodb: Any, orders: str) -> None:
    def puts(count: int) -> list[dict[str, Any]]:
        filling = {"S": "x" * (380 * KB)}
        return [
            {"Put": {"TableName": orders, "Item": {**key("big", str(number)), "d": filling}}}
            for number in range(count)
        ]

    dynamodb.transact_write_items(TransactItems=puts(10))
    code, _ = refusal(lambda: dynamodb.transact_write_items(TransactItems=puts(11)))

    assert code == "ValidationException"


def test_a_repeated_token_does_the_work_once(dynamodb: Any, orders: str) -> None:
    def add(amount: str) -> Any:
        return dynamodb.transact_write_items(
            ClientRequestToken=f"{orders}-token",
            TransactItems=[
                {
                    "Update": {
                        "TableName": orders,
                        "Key": key(),
                        "UpdateExpression": "ADD n :one",
                        "ExpressionAttributeValues": {":one": {"N": amount}},
                    }
                }
            ],
        )

    add("1")
    add("1")
    assert dynamodb.get_item(TableName=orders, Key=key())["Item"]["n"] == {"N": "1"}
    code, _ = refusal(lambda: add("2"))
    assert code == "IdempotentParameterMismatchException"


def test_a_repeated_token_does_the_work_once_however_its_numbers_are_written(
    dynamodb: Any, orders: str
) -> None:
    def add() -> None:
        dynamodb.transact_write_items(
            ClientRequestToken=f"{orders}-numbers",
            TransactItems=[
                {"Put": {"TableName": orders, "Item": {**key(), "price": {"N": "1.50"}}}},
                {
                    "Update": {
                        "TableName": orders,
                        "Key": key("other"),
                        "UpdateExpression": "ADD n :one SET prices = :prices",
                        "ExpressionAttributeValues": {
                            ":one": {"N": "1.0"},
                            ":prices": {"L": [{"N": "1.50"}]},
                        },
                    }
                },
            ],
        )

    add()
    add()

    assert dynamodb.get_item(TableName=orders, Key=key("other"))["Item"]["n"] == {"N": "1"}


def test_a_refused_transaction_can_be_tried_again_with_its_token(
    dynamodb: Any, orders: str
) -> None:
    def put() -> Any:
        return dynamodb.transact_write_items(
            ClientRequestToken=f"{orders}-again",
            TransactItems=[
                guarded(orders, {**key(), "v": {"N": "1"}}, "attribute_not_exists(pk)"),
            ],
        )

    dynamodb.put_item(TableName=orders, Item=key())
    code, _ = refusal(put)
    assert code == "TransactionCanceledException"
    dynamodb.delete_item(TableName=orders, Key=key())
    put()
    assert dynamodb.get_item(TableName=orders, Key=key())["Item"]["v"] == {"N": "1"}


def test_a_transaction_on_a_missing_table_is_not_found(dynamodb: Any, orders: str) -> None:
    code, _ = refusal(
        lambda: dynamodb.transact_write_items(
            TransactItems=[{"Put": {"TableName": "no-such-table", "Item": key()}}]
        )
    )

    assert code == "ResourceNotFoundException"
