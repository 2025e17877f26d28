"""The canonical form: the same for equal images, different for different ones."""

from __future__ import annotations

import json
from base64 import b64encode
from decimal import Context
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.canonical import canonical, digest, key_digest, measure, normal_number
from tests.support.fakes.values import item_size
from tests.support.strategies import images, numbers

pytestmark = pytest.mark.promise("C1")

exact = Context(prec=400, Emin=-100_000, Emax=100_000)


def number_by_value(text: str) -> str:
    """The value of a number, by another road: exact decimals."""
    value = exact.create_decimal(text)
    return "0" if value == 0 else str(value.normalize(exact).as_tuple())


def slow(value: Any) -> Any:
    """A reference for the canonical form of an attribute value: plain, and sharing no code."""
    ((tag, held),) = value.items()
    if tag == "N":
        return [tag, number_by_value(held)]
    if tag == "B":
        return [tag, held.hex()]
    if tag == "NS":
        return [tag, sorted({number_by_value(each) for each in held})]
    if tag == "BS":
        return [tag, sorted({each.hex() for each in held})]
    if tag == "SS":
        return [tag, sorted(set(held))]
    if tag == "L":
        return [tag, [slow(each) for each in held]]
    if tag == "M":
        return [tag, slow_image(held)]
    return [tag, held]


def slow_image(image: Any) -> Any:
    return sorted((name, slow(value)) for name, value in image.items())


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(images, images)
def test_images_have_one_digest_exactly_when_a_slow_reference_calls_them_equal(
    one: Any, other: Any
) -> None:
    assert (digest(one) == digest(other)) == (slow_image(one) == slow_image(other))


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(images, st.randoms(use_true_random=False))
def test_another_way_of_writing_the_same_image_has_the_same_digest(image: Any, chance: Any) -> None:
    def rewritten(value: Any) -> Any:
        ((tag, held),) = value.items()
        if tag == "N":
            return {tag: respelled(held)}
        if tag in ("SS", "BS"):
            return {tag: shuffled(held)}
        if tag == "NS":
            return {tag: [respelled(each) for each in shuffled(held)]}
        if tag == "L":
            return {tag: [rewritten(each) for each in held]}
        if tag == "M":
            return {tag: {name: rewritten(held[name]) for name in shuffled(held)}}
        return value

    def shuffled(values: Any) -> Any:
        listed = list(values)
        chance.shuffle(listed)
        return listed

    def respelled(text: str) -> str:
        sign, number = (text[0], text[1:]) if text[0] in "+-" else ("", text)
        mantissa, _, power = number.partition("E") if "E" in number else number.partition("e")
        if "." not in mantissa:
            mantissa += "."
        return f"{sign}00{mantissa}00" + (f"E{power}" if power else "")

    again = {name: rewritten(image[name]) for name in shuffled(image)}
    assert digest(again) == digest(image)


@given(numbers)
def test_a_number_is_normalised_by_value_at_any_number_of_digits(text: str) -> None:
    normal = normal_number(text)
    assert number_by_value(normal) == number_by_value(text)
    assert normal_number(normal) == normal


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("1", "1E0"),
        ("1", "+1"),
        ("-0", "0"),
        ("0.00", "0"),
        ("0E9", "0"),
        ("100", "1E2"),
        ("1E+125", "1" + "0" * 125),
        ("0.001", "1e-3"),
        ("12345678901234567890123456789012345678", "1.2345678901234567890123456789012345678E37"),
        ("-.5", "-0.50"),
    ],
)
def test_equal_numbers_are_spelled_alike(one: str, other: str) -> None:
    assert normal_number(one) == normal_number(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345679"),
        ("1", "-1"),
        ("1E125", "1E124"),
        ("0.1", "0.10000000000000000000000000000000000001"),
    ],
)
def test_numbers_that_differ_in_the_last_of_38_digits_differ(one: str, other: str) -> None:
    assert normal_number(one) != normal_number(other)


@pytest.mark.parametrize("text", ["", "-", ".", "e5", "1e", "NaN", "Infinity", "1_000", "١", " 1"])
def test_what_is_no_number_is_left_alone(text: str) -> None:
    assert normal_number(text) == text


def test_a_type_is_part_of_the_image() -> None:
    forms = [{"S": "MQ=="}, {"B": b"1"}, {"SS": ["1"]}, {"NS": ["1"]}, {"N": "1"}, {"BS": [b"1"]}]
    assert len({digest({"a": form}) for form in forms}) == len(forms)


def test_absence_is_not_an_empty_image() -> None:
    assert digest(None) != digest({})
    assert canonical(None) == b""


def test_a_digest_has_16_bytes_and_never_changes_between_releases() -> None:
    image = {
        "pk": {"S": "é\n"},
        "n": {"N": "1.50"},
        "b": {"B": b"\x00\xff"},
        "s": {"NS": ["2", "1"]},
    }
    assert (
        canonical(image)
        == '{"b":{"B":"AP8="},"n":{"N":"1.5"},"pk":{"S":"é\\n"},"s":{"NS":["1","2"]}}'.encode()
    )
    assert digest(image).hex() == "bc9c1a4c8f2054f739af100f9015fea7"
    assert len(digest(None)) == 16


def test_the_input_is_not_changed() -> None:
    image = {"a": {"L": [{"N": "1.0"}, {"M": {"b": {"SS": ["b", "a"]}}}]}}
    before = json.dumps(image)
    digest(image)
    assert json.dumps(image) == before


def test_keys_are_digested_by_value() -> None:
    assert key_digest({"pk": {"N": "1"}}) == key_digest({"pk": {"N": "1.0"}})
    assert key_digest({"pk": {"B": b"1"}}) != key_digest({"pk": {"S": b64encode(b"1").decode()}})


@settings(max_examples=200, deadline=None)
@given(images)
def test_the_measured_size_is_never_less_than_what_dynamodb_counts(image: Any) -> None:
    legal = {name: value for name, value in image.items() if _fits(name, value)}
    assert measure(legal)[1] >= item_size(legal)


def _fits(name: str, value: Any) -> bool:
    try:
        item_size({name: value})
    except Exception:
        return False
    return True
