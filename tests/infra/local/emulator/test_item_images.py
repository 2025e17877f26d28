"""Images in change records: equality, and binary in base64 twice."""

from __future__ import annotations

import base64

import pytest

from infra.local.emulator.item_images import Image, key_of, same_image, twice_encoded

ONCE = base64.b64encode(b"\x12\x02\x08\x7b").decode()
TWICE = "RWdJSWV3PT0="  # the same bytes in a captured record: awslabs/amazon-kinesis-client#959


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"n": {"N": "1.0"}}, {"n": {"N": "1"}}),
        ({"n": {"NS": ["1", "2.50"]}}, {"n": {"NS": ["2.5", "1"]}}),
        ({"s": {"SS": ["a", "b"]}}, {"s": {"SS": ["b", "a"]}}),
        ({"b": {"BS": ["YQ==", "Yg=="]}}, {"b": {"BS": ["Yg==", "YQ=="]}}),
        (
            {"m": {"M": {"l": {"L": [{"SS": ["x", "y"]}]}}}},
            {"m": {"M": {"l": {"L": [{"SS": ["y", "x"]}]}}}},
        ),
    ],
)
def test_numbers_and_sets_are_compared_by_value(one: Image, other: Image) -> None:
    assert same_image(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"n": {"N": "1"}}, {"n": {"S": "1"}}),
        ({"n": {"N": "1"}}, {"n": {"N": "1"}, "x": {"NULL": True}}),
        ({"l": {"L": [{"S": "a"}, {"S": "b"}]}}, {"l": {"L": [{"S": "b"}, {"S": "a"}]}}),
        ({"s": {"S": ""}}, {"s": {"S": " "}}),
        ({"b": {"BOOL": True}}, {"b": {"BOOL": False}}),
    ],
)
def test_other_values_are_another_item(one: Image, other: Image) -> None:
    assert not same_image(one, other)


def test_binary_is_encoded_twice_at_any_depth_and_in_sets() -> None:
    image: Image = {
        "b": {"B": ONCE},
        "set": {"BS": [ONCE, ONCE]},
        "deep": {"M": {"list": {"L": [{"M": {"b": {"B": ONCE}}}]}}},
        "text": {"S": ONCE},
    }
    assert twice_encoded(image) == {
        "b": {"B": TWICE},
        "set": {"BS": [TWICE, TWICE]},
        "deep": {"M": {"list": {"L": [{"M": {"b": {"B": TWICE}}}]}}},
        "text": {"S": ONCE},
    }


def test_a_key_has_the_range_key_only_where_the_table_has_one() -> None:
    image = {"pk": {"S": "a"}, "sk": {"N": "1"}, "x": {"S": "y"}}
    assert key_of({"pk_name": "pk", "sk_name": "sk"}, image) == {"pk": {"S": "a"}, "sk": {"N": "1"}}
    assert key_of({"pk_name": "pk", "sk_name": None}, image) == {"pk": {"S": "a"}}
