"""One suite for the fake DynamoDB and for the local cloud's: what the replicator relies on.

A test that holds for both may be believed of the simulation, which runs on the fake.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.cases import BAD_ITEMS, EMPTY_KEYS, KB, entry, holds, key, refusal

ITEM: dict[str, Any] = {
    **key(),
    "n": {"N": "10"},
    "big": {"N": "12345678901234567890123456789012345678"},
    "s": {"S": "b"},
    "b": {"B": b"\x80"},
    "m": {"M": {"x": {"N": "1.0"}}},
    "l": {"N": "3"},
    "ns": {"NS": ["1", "2"]},
    "yes": {"BOOL": True},
    "at": {"N": "7"},
}


@pytest.mark.parametrize(
    ("condition", "values", "expected"),
    [
        ("attribute_exists(n)", {}, True),
        ("attribute_exists(nothing)", {}, False),
        ("attribute_not_exists(nothing)", {}, True),
        ("attribute_not_exists(n)", {}, False),
        ("n = :v", {"v": {"N": "10.00"}}, True),
        ("n = :v", {"v": {"N": "1e1"}}, True),
        ("n < :v", {"v": {"N": "9"}}, False),
        ("n > :v", {"v": {"N": "9"}}, True),
        ("n <= :v", {"v": {"N": "10"}}, True),
        ("n >= :v", {"v": {"N": "10.1"}}, False),
        ("n <> :v", {"v": {"N": "11"}}, True),
        ("n <> :v", {"v": {"N": "10"}}, False),
        ("big = :v", {"v": {"N": "12345678901234567890123456789012345679"}}, False),
        ("big < :v", {"v": {"N": "12345678901234567890123456789012345679"}}, True),
        ("big = :v", {"v": {"N": "12345678901234567890123456789012345678"}}, True),
        ("n = :v", {"v": {"S": "10"}}, False),
        ("n <> :v", {"v": {"S": "10"}}, True),
        ("n < :v", {"v": {"S": "99"}}, False),
        ("nothing < :v", {"v": {"N": "1"}}, False),
        ("nothing = :v", {"v": {"N": "1"}}, False),
        ("NOT nothing < :v", {"v": {"N": "1"}}, True),
        ("s < :v", {"v": {"S": "é"}}, True),
        ("b > :v", {"v": {"B": b"\x7f\xff"}}, True),
        ("b = :v", {"v": {"B": b"\x80"}}, True),
        ("b = :v", {"v": {"B": b"\x80\x00"}}, False),
        ("m = :v", {"v": {"M": {"x": {"N": "1"}}}}, True),
        ("m.x = :v", {"v": {"N": "1"}}, True),
        ("ns = :v", {"v": {"NS": ["2", "1.0"]}}, True),
        ("yes = :v", {"v": {"BOOL": True}}, True),
        ("n BETWEEN :u AND :v", {"u": {"N": "9"}, "v": {"N": "10"}}, True),
        ("n BETWEEN :u AND :v", {"u": {"N": "10.5"}, "v": {"N": "11"}}, False),
        ("n IN (:u, :v)", {"u": {"N": "9"}, "v": {"N": "10"}}, True),
        ("begins_with(s, :v)", {"v": {"S": "b"}}, True),
        ("contains(ns, :v)", {"v": {"N": "2"}}, True),
        ("size(b) = :v", {"v": {"N": "1"}}, True),
        ("attribute_type(b, :v)", {"v": {"S": "B"}}, True),
        # AND binds tighter than OR, NOT tighter than AND.
        ("n = :v OR n = :v AND n = :u", {"v": {"N": "10"}, "u": {"N": "0"}}, True),
        ("(n = :v OR n = :v) AND n = :u", {"v": {"N": "10"}, "u": {"N": "0"}}, False),
        ("NOT n = :u AND n = :v", {"v": {"N": "10"}, "u": {"N": "0"}}, True),
        ("NOT (n = :u OR n = :v)", {"v": {"N": "10"}, "u": {"N": "0"}}, False),
        ("attribute_not_exists(n) OR n < :v or n = :v", {"v": {"N": "10"}}, True),
    ],
)
def test_a_condition_is_judged_as_dynamodb_documents_it(
    dynamodb: Any, orders: str, condition: str, values: dict[str, Any], expected: bool
) -> None:
    dynamodb.put_item(TableName=orders, Item=ITEM)

    assert holds(dynamodb, orders, condition, **values) is expected


def test_no_condition_but_absence_holds_for_an_absent_item(dynamodb: Any, orders: str) -> None:
    assert holds(dynamodb, orders, "attribute_not_exists(pk)")
    assert not holds(dynamodb, orders, "attribute_exists(pk)")
    assert not holds(dynamodb, orders, "n < :v", v={"N": "1"})
    assert holds(dynamodb, orders, "NOT n < :v", v={"N": "1"})


def test_a_reserved_word_needs_a_placeholder(dynamodb: Any, orders: str) -> None:
    dynamodb.put_item(TableName=orders, Item=ITEM)

    assert holds(dynamodb, orders, "#at = :v", {"#at": "at"}, v={"N": "7"})
    code, _ = refusal(lambda: holds_raw(dynamodb, orders, "at = :v", {":v": {"N": "7"}}))
    assert code == "ValidationException"


def holds_raw(dynamodb: Any, table: str, condition: str, values: dict[str, Any]) -> Any:
    return dynamodb.put_item(
        TableName=table,
        Item=key(),
        ConditionExpression=condition,
        ExpressionAttributeValues=values,
    )


@pytest.mark.parametrize(
    ("condition", "values"),
    [
        ("n = :v", {":v": {"N": "1"}, ":unused": {"N": "1"}}),
        ("n = :undefined", {":v": {"N": "1"}}),
        ("n = = :v", {":v": {"N": "1"}}),
        ("n = :v AND", {":v": {"N": "1"}}),
        ("n = :v)", {":v": {"N": "1"}}),
        ("no_function(n, :v)", {":v": {"N": "1"}}),
    ],
)
def test_a_broken_expression_is_refused(
    dynamodb: Any, orders: str, condition: str, values: dict[str, Any]
) -> None:
    code, _ = refusal(lambda: holds_raw(dynamodb, orders, condition, values))

    assert code == "ValidationException"


def test_a_refused_put_shows_what_stands_there(dynamodb: Any, orders: str) -> None:
    dynamodb.put_item(TableName=orders, Item=ITEM)

    def put(**more: Any) -> Any:
        return dynamodb.put_item(
            TableName=orders, Item=key(), ConditionExpression="attribute_not_exists(pk)", **more
        )

    code, response = refusal(lambda: put(ReturnValuesOnConditionCheckFailure="ALL_OLD"))
    assert code == "ConditionalCheckFailedException"
    assert response["Item"]["b"] == {"B": b"\x80"}
    assert response["Item"]["m"] == {"M": {"x": {"N": "1"}}}
    _, silent = refusal(put)
    assert "Item" not in silent


def test_a_refused_delete_and_update_show_what_stands_there(dynamodb: Any, orders: str) -> None:
    dynamodb.put_item(TableName=orders, Item=ITEM)
    asked: dict[str, Any] = {
        "TableName": orders,
        "Key": key(),
        "ConditionExpression": "n < :v",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    one = {":v": {"N": "1"}}

    _, deleted = refusal(lambda: dynamodb.delete_item(ExpressionAttributeValues=one, **asked))
    _, updated = refusal(
        lambda: dynamodb.update_item(
            UpdateExpression="SET n = :v", ExpressionAttributeValues=one, **asked
        )
    )
    assert deleted["Item"]["n"] == updated["Item"]["n"] == {"N": "10"}


def test_an_update_changes_what_it_names_and_nothing_else(dynamodb: Any, orders: str) -> None:
    dynamodb.put_item(TableName=orders, Item={**key(), "a": {"N": "1"}, "z": {"S": "gone"}})

    answer = dynamodb.update_item(
        TableName=orders,
        Key=key(),
        UpdateExpression="SET a = a + :one, b = if_not_exists(b, :one) REMOVE z "
        "ADD c :one, parks :new",
        ExpressionAttributeValues={":one": {"N": "1"}, ":new": {"SS": ["x"]}},
        ReturnValues="ALL_NEW",
    )

    assert answer["Attributes"] == {
        **key(),
        "a": {"N": "2"},
        "b": {"N": "1"},
        "c": {"N": "1"},
        "parks": {"SS": ["x"]},
    }


def test_deleting_the_last_member_of_a_set_removes_the_attribute(
    dynamodb: Any, orders: str
) -> None:
    dynamodb.put_item(TableName=orders, Item={**key(), "parks": {"SS": ["x"]}})

    dynamodb.update_item(
        TableName=orders,
        Key=key(),
        UpdateExpression="DELETE parks :x",
        ExpressionAttributeValues={":x": {"SS": ["x"]}},
    )

    assert dynamodb.get_item(TableName=orders, Key=key())["Item"] == key()


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("-0001.2300", "-1.23"),
        ("1E+3", "1000"),
        ("0.0", "0"),
        ("-0", "0"),
        ("00.10", "0.1"),
        ("1" * 38, "1" * 38),
        (".5", "0.5"),
    ],
)
def test_a_number_comes_back_without_its_zeroes(
    dynamodb: Any, orders: str, written: str, kept: str
) -> None:
    dynamodb.put_item(TableName=orders, Item={**key(), "n": {"N": written}})

    assert dynamodb.get_item(TableName=orders, Key=key())["Item"]["n"] == {"N": kept}


@pytest.mark.parametrize(
    "value",
    [
        {"N": "1" * 39},
        {"N": "1e126"},
        {"N": "abc"},
        {"N": ""},
        {"SS": []},
        {"SS": ["a", "a"]},
        {"NS": ["1", "1.0"]},
        {"BS": [b"a", b"a"]},
        {"NULL": False},
    ],
    ids=str,
)
def test_a_value_that_no_attribute_can_have_is_refused(
    dynamodb: Any, orders: str, value: dict[str, Any]
) -> None:
    code, _ = refusal(lambda: dynamodb.put_item(TableName=orders, Item={**key(), "v": value}))

    assert code == "ValidationException"


def test_empty_strings_and_binaries_are_values(dynamodb: Any, orders: str) -> None:
    item = {**key(), "s": {"S": ""}, "b": {"B": b""}, "l2": {"L": []}, "m": {"M": {}}}

    dynamodb.put_item(TableName=orders, Item=item)

    assert dynamodb.get_item(TableName=orders, Key=key())["Item"] == item


def test_equal_numbers_are_one_key(dynamodb: Any, orders: str) -> None:
    dynamodb.put_item(TableName=orders, Item=key("a", "1"))
    dynamodb.put_item(TableName=orders, Item={**key("a", "1.0"), "v": {"S": "second"}})

    assert dynamodb.scan(TableName=orders)["Items"] == [{**key(), "v": {"S": "second"}}]


@pytest.mark.parametrize("bad", [*BAD_ITEMS, *EMPTY_KEYS])
def test_an_item_that_does_not_fit_the_table_is_refused(
    dynamodb: Any, orders: str, bad: str
) -> None:
    item = {**BAD_ITEMS, **EMPTY_KEYS}[bad]

    code, _ = refusal(lambda: dynamodb.put_item(TableName=orders, Item=item))

    assert code == "ValidationException"


def test_an_item_without_index_keys_is_kept(dynamodb: Any, orders: str) -> None:
    dynamodb.put_item(TableName=orders, Item=key())

    assert dynamodb.get_item(TableName=orders, Key=key())["Item"] == key()


@pytest.mark.parametrize(
    "wrong",
    [{"pk": {"S": "a"}}, {**key(), "z": {"S": "z"}}, {"pk": {"S": "a"}, "sk": {"S": "1"}}],
    ids=["too few", "too many", "wrong type"],
)
def test_a_key_that_is_not_the_tables_is_refused(
    dynamodb: Any, orders: str, wrong: dict[str, Any]
) -> None:
    code, _ = refusal(lambda: dynamodb.get_item(TableName=orders, Key=wrong))

    assert code == "ValidationException"


def test_400_kb_is_the_largest_item(dynamodb: Any, orders: str) -> None:
    # Names pk, sk, d: 5 bytes; values a and 1: 3 bytes.
    dynamodb.put_item(TableName=orders, Item={**key(), "d": {"S": "x" * (400 * KB - 8)}})

    code, _ = refusal(
        lambda: dynamodb.put_item(
            TableName=orders, Item={**key(), "d": {"S": "x" * (400 * KB - 7)}}
        )
    )
    assert code == "ValidationException"


def test_a_batch_read_gives_what_there_is(dynamodb: Any, ledger: str) -> None:
    for name in (b"a", b"b"):
        dynamodb.put_item(TableName=ledger, Item=entry(name, 1))

    answer = dynamodb.batch_get_item(
        RequestItems={
            ledger: {
                "Keys": [{"k": {"B": name * 16}} for name in (b"a", b"b", b"c")],
                "ConsistentRead": True,
            }
        }
    )

    found = sorted(answer["Responses"][ledger], key=lambda item: item["k"]["B"])
    assert found == [entry(b"a", 1), entry(b"b", 1)]
    assert answer["UnprocessedKeys"] == {}


@pytest.mark.parametrize(
    "names", [[b"a", b"a"], [bytes([number]) for number in range(101)]], ids=["twice", "101"]
)
def test_a_batch_read_takes_no_key_twice_and_at_most_100(
    dynamodb: Any, ledger: str, names: list[bytes]
) -> None:
    keys = [{"k": {"B": name * 16}} for name in names]

    code, _ = refusal(lambda: dynamodb.batch_get_item(RequestItems={ledger: {"Keys": keys}}))

    assert code == "ValidationException"


def test_a_query_gives_the_items_of_a_key_in_order(dynamodb: Any, orders: str) -> None:
    for number in ("10", "9", "-1", "0.5"):
        dynamodb.put_item(TableName=orders, Item=key("a", number))
    dynamodb.put_item(TableName=orders, Item=key("b", "1"))

    answer = dynamodb.query(
        TableName=orders,
        KeyConditionExpression="pk = :p AND sk > :s",
        ExpressionAttributeValues={":p": {"S": "a"}, ":s": {"N": "-1"}},
    )

    assert [item["sk"]["N"] for item in answer["Items"]] == ["0.5", "9", "10"]


def test_pages_of_a_scan_cover_the_table_once(dynamodb: Any, orders: str) -> None:
    for number in range(5):
        dynamodb.put_item(TableName=orders, Item=key(str(number)))

    pages = dynamodb.get_paginator("scan").paginate(TableName=orders, Limit=2)
    found = [item["pk"]["S"] for page in pages for item in page["Items"]]

    assert sorted(found) == ["0", "1", "2", "3", "4"]
