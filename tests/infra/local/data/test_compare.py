"""The demo's comparison: it finds every difference and reports none between equal items."""

from __future__ import annotations

from typing import Any

import pytest

from infra.local.data.compare import compare, describe, fingerprint, same
from infra.local.data.items import KeyAttribute, KeySchema

KEYS = KeySchema(KeyAttribute("pk", "S"))


def item(**attributes: Any) -> dict[str, Any]:
    return {"pk": {"S": "a"}, **attributes}


EQUAL = [
    ({"N": "1"}, {"N": "1.0"}),
    ({"N": "100"}, {"N": "1E2"}),
    ({"N": "-0"}, {"N": "0.00"}),
    ({"N": "1E-130"}, {"N": "0." + "0" * 129 + "1"}),
    ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}),
    ({"NS": ["1", "20"]}, {"NS": ["2E1", "1.0"]}),
    ({"BS": [b"\x00", b"\xff"]}, {"BS": [b"\xff", b"\x00"]}),
    ({"L": [{"M": {"x": {"N": "1.10"}, "y": {"S": ""}}}]},
     {"L": [{"M": {"y": {"S": ""}, "x": {"N": "1.1"}}}]}),
]  # fmt: skip

BIG = bytes(300 * 1024)
FLIPPED = BIG[:-1] + b"\x01"

DIFFERENT = [
    ({"B": b"\x00\x01"}, {"B": b"\x00\x00"}),
    ({"B": BIG}, {"B": FLIPPED}),
    ({"B": b"QUJD"}, {"B": b"ABC"}),
    ({"B": b"abc"}, {"S": "abc"}),
    ({"N": "1"}, {"S": "1"}),
    ({"N": "1"}, {"N": "-1"}),
    ({"N": "12345678901234567890123456789012345678"},
     {"N": "12345678901234567890123456789012345679"}),
    ({"N": "12345678901234567890123456789012345678"},
     {"N": "12345678901234567000000000000000000000"}),
    ({"N": "0.1"}, {"N": "0.1000000000000000055511151231257827"}),
    ({"N": "1E-130"}, {"N": "0"}),
    ({"S": "é"}, {"S": "e\u0301"}),
    ({"S": ""}, {"S": " "}),
    ({"S": ""}, {"NULL": True}),
    ({"BOOL": True}, {"BOOL": False}),
    ({"BOOL": True}, {"NULL": True}),
    ({"L": [{"S": "a"}, {"S": "b"}]}, {"L": [{"S": "b"}, {"S": "a"}]}),
    ({"L": []}, {"M": {}}),
    ({"SS": ["a"]}, {"L": [{"S": "a"}]}),
    ({"SS": ["a"]}, {"SS": ["a", "b"]}),
    ({"SS": ["1"]}, {"NS": ["1"]}),
    ({"M": {"x": {"S": ""}}}, {"M": {}}),
    ({"M": {"x": {"B": b"a"}}}, {"M": {"x": {"B": b"b"}}}),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_values_that_dynamodb_calls_equal_are_equal(one: Any, other: Any) -> None:
    assert same(item(x=one), item(x=other))
    assert fingerprint(item(x=one)) == fingerprint(item(x=other))
    assert describe(item(x=one), item(x=other)) == ()


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_values_that_differ_are_found_and_named_without_their_content(one: Any, other: Any) -> None:
    assert not same(item(x=one), item(x=other))
    found = compare([item(x=one)], [item(x=other)], KEYS).differences
    assert [each.kind for each in found] == ["different"]
    words = describe(item(x=one), item(x=other))
    assert words
    assert all(each.startswith("x") and "123456" not in each for each in words)


def test_an_empty_string_is_not_a_missing_attribute() -> None:
    assert not same(item(x={"S": ""}), item())
    assert describe(item(x={"S": ""}), item()) == ("x is missing",)
    assert describe(item(), item(x={"S": ""})) == ("x should not be there",)


def test_missing_and_extra_items_are_told_apart() -> None:
    one, two, three = ({"pk": {"S": name}} for name in ("one", "two", "three"))

    found = compare([one, two], [two, three], KEYS)

    kinds = {each.kind: each.key["pk"]["S"] for each in found.differences}
    assert kinds == {"missing": "one", "extra": "three"}
    assert (found.source_items, found.target_items) == (2, 2)


def test_an_item_that_the_target_shows_twice_is_a_difference() -> None:
    assert len(compare([item()], [item(), item()], KEYS).differences) == 1


def test_keys_are_compared_by_value() -> None:
    keys = KeySchema(KeyAttribute("pk", "N"))

    found = compare([{"pk": {"N": "1.0"}}], [{"pk": {"N": "1"}}], keys)

    assert found.differences == ()


def test_the_place_of_a_difference_is_told() -> None:
    one = item(x={"L": [{"M": {"y": {"B": b"abc"}}}]})
    other = item(x={"L": [{"M": {"y": {"B": b"abd"}}}]})

    assert describe(one, other) == ("x[0].y (B) differs at position 2 of 3",)


def test_a_difference_names_its_key_by_digest_only() -> None:
    (difference,) = compare([{"pk": {"S": "customer-77"}}], [], KEYS).differences

    assert "customer" not in str(difference)
    assert len(difference.key_digest) == 16
