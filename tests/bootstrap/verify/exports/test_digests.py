"""Every route from a line to its digests ends where the consumer's own code does."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootstrap.verify.exports.digests import Digester
from bootstrap.verify.exports.schema_inference import ObservedShape
from tests.support.strategies import images
from tests.support.verify.digest_cases import (
    KEY,
    by,
    exactly,
    expected,
    in_file,
    items,
    learnt,
    line,
    longs,
    redrawn,
    scalars,
)

pytestmark = pytest.mark.promise("C1")


@settings(max_examples=250, deadline=None)
@given(items, st.booleans(), st.booleans())
def test_any_line_has_the_digests_of_the_consumer(
    item: Any, ascii_only: bool, spaced: bool
) -> None:
    text = line(item, ascii_only=ascii_only, spaced=spaced)
    assert Digester(KEY)(text) == expected(item)


@pytest.mark.slow
@settings(max_examples=250, deadline=None)
@given(items, st.randoms(use_true_random=False), st.booleans(), longs)
def test_a_line_of_a_known_shape_has_the_digests_of_the_consumer(
    item: Any, chance: Any, ascii_only: bool, long: int
) -> None:
    """The digester learns from one item, and then meets others with the same names and types, in
    whatever order, and some without some of them.
    """
    digester = learnt(item, long=long)
    alike = [redrawn(item, chance) for _ in range(4)]
    for other in (item, *alike):
        assert digester(line(other, ascii_only=ascii_only)) == expected(other)


@pytest.mark.slow
@settings(max_examples=250, deadline=None)
@given(st.lists(items, min_size=2, max_size=4), items)
def test_a_line_that_no_shape_foresaw_has_the_digests_of_the_consumer(
    seen: list[Any], other: Any
) -> None:
    digester = learnt(*seen)
    for each in (*seen, other, *seen):
        assert digester(line(each)) == expected(each)


PIECES = [
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b" ", b"\n", b"\x00", b"\x7f", b"\xff",
    b"=", b"0", b"-", b".", b"e", b"null", b"true", b"1", b"{}", b"[]", b'"S"', b'"N":"1"',
    b',"S":"x"', b'"M":{}', b',"NULL":true', b"\\ud800", b"\\u0041", b'"SS":["a"]',
]  # fmt: skip


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(items, longs, st.data())
def test_of_a_damaged_line_a_known_shape_makes_what_the_consumer_makes_of_it(
    item: Any, long: int, data: Any
) -> None:
    """An error where it is an error there, and else the same digests."""
    text = line(item)
    for _ in range(data.draw(st.integers(1, 2))):
        start = data.draw(st.integers(0, len(text)))
        stop = start + data.draw(st.sampled_from([0, 0, 1, 2, 6]))
        text = text[:start] + data.draw(st.sampled_from([b"", *PIECES])) + text[stop:]
    assert by(learnt(item, long=long), text) == by(Digester(KEY), text) == exactly(text)


@settings(max_examples=250, deadline=None)
@given(items, st.data())
def test_a_value_of_no_type_or_of_two_is_an_error_wherever_it_is(item: Any, data: Any) -> None:
    held = json.loads(line(item))
    places = list(typed(held["Item"]))
    data.draw(st.sampled_from(places)).update(data.draw(scalars.map(in_file)))
    digester = learnt(item, item | {"x": {"M": {"y": {"NULL": True}}}})
    assert by(digester, json.dumps(held).encode()) == exactly(json.dumps(held).encode())
    data.draw(st.sampled_from(places)).clear()
    assert by(digester, json.dumps(held).encode()) is None


@pytest.mark.parametrize(
    ("attributes", "right"),
    [
        ({"x": {"M": {}}}, True),
        ({"x": {"L": [{"M": {}}, {"M": {}}]}}, True),
        ({"M": {"M": {}}}, True),
        ({"x": {"M": {"M": {"M": {}}}}}, True),
        ({"x": {"S": "{}"}}, True),
        ({"x": {}}, False),
        ({"M": {}}, False),
        ({"x": {"M": {"M": {}}}}, False),
        ({"x": {"M": {"M": {}, "n": {"S": ""}}}}, False),
        ({"x": {"L": [{}]}}, False),
        ({"x": {"L": [{"M": {}}, {}]}}, False),
        ({"x": {"M": {}, "S": "a"}}, False),
        ({"x": {"M": {}, "L": []}}, False),
    ],
)
def test_an_empty_map_is_told_from_a_value_without_a_type(attributes: Any, right: bool) -> None:
    item = {"pk": {"S": "k"}, **attributes}
    found = by(Digester(KEY), line(item))
    assert found == exactly(line(item))
    assert (found is not None) is right


def typed(attributes: Any) -> Any:
    """Every value of an item, those within others too."""
    for value in attributes.values():
        yield value
        yield from typed(value.get("M", {}))
        for each in value.get("L", []):
            yield from typed({"": each})


@given(images)
def test_the_images_that_test_the_canonical_form_pass_through_files_unchanged(image: Any) -> None:
    item = {**image, "pk": {"S": "k"}}
    assert Digester(KEY)(line(item)) == expected(item)


def test_lines_of_a_known_shape_take_the_fast_route_in_any_order_and_spelling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    item = {"pk": {"S": "1"}, "b": {"B": b"12"}, "a": {"M": {"z": {"N": "1"}, "y": {"L": []}}},
            "s": {"SS": ["b", "a"]}, "t": {"NULL": True}, "u": {"NS": ["2", "10"]},
            "v": {"L": [{"S": "x"}, {"N": "1"}]}, "w": {"N": "7"}}  # fmt: skip
    digester = learnt(item, {**item, "t": {"S": "not null"}})
    monkeypatch.setattr(digester, "_digest_unusual", lambda line: pytest.fail("not of the shape"))
    monkeypatch.setattr(digester, "_digest_checked", lambda *about: pytest.fail("not canonical"))
    fewer = {name: value for name, value in item.items() if name not in "abv"}
    for other in (
        dict(reversed(item.items())),
        fewer,
        {**fewer, "t": {"S": 'é"\\\n\x01😀'}, "w": {"N": "-0.25"}},
        {**item, "pk": {"S": "2"}, "a": {"M": {}}, "u": {"NS": ["10", "-2", "10"]}},
    ):
        for text in (line(other), line(other, ascii_only=True), line(other, spaced=True)):
            assert digester(text) == expected(other)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b'{"Item":{"pk":{"S":"a"}}',
        b'{"Item":{"pk":{"S":"a"}},"More":1}',
        b'{"Other":{"pk":{"S":"a"}}}',
        b'{"Item":{}}',
        b'{"Item":{"sk":{"S":"a"}}}',
        b'{"Item":{"pk":{"S":1}}}',
        b'{"Item":{"pk":{"S":"a","N":"1"}}}',
        b'{"Item":{"pk":{"X":"a"}}}',
        b'{"Item":{"pk":{"B":"a"}}}',
        b'{"Item":{"pk":{"S":"a"},"x":{"SS":[1]}}}',
        b'{"Item":{"pk":{"S":"a"},"x":{"NS":"12"}}}',
        b'{"Item":{"pk":{"S":"a"},"x":{"L":[{}]}}}',
        b'{"Item":{"pk":{"S":"a"},"x":{"BOOL":"true"}}}',
        b'{"Item":{"pk":{"S":"\xff"}}}',
        b'{"Item":{"pk":{"S":"a"},"x":' + b'{"L":[' * 5000 + b"]}" * 5000 + b"}}",
    ],
)
def test_what_is_no_item_is_an_error_even_where_its_shape_is_known(text: bytes) -> None:
    digester = learnt({"pk": {"S": "a"}}, {"pk": {"S": "a"}, "x": {"BOOL": True}})
    with pytest.raises(ValueError):
        digester(text)


def test_binary_is_decoded_once_and_compared_by_its_bytes() -> None:
    blob = b64encode(b"not text")  # bytes that look like base64 themselves
    assert Digester(KEY)(line({"pk": {"B": blob}})) == expected({"pk": {"B": blob}})
    # The same byte, with other unused bits at the end of its base64.
    assert b64decode("AA==") == b64decode("AB==")
    for _ in range(3):
        assert Digester(KEY)(b'{"Item":{"pk":{"B":"AB=="}}}') == expected({"pk": {"B": b"\0"}})
    digester = learnt({"pk": {"B": b"\1"}})
    assert digester(b'{"Item":{"pk":{"B":"AB=="}}}') == expected({"pk": {"B": b"\0"}})


def test_a_sample_is_the_same_keys_whatever_the_rest_of_the_item() -> None:
    chosen: list[set[int]] = []
    for revision in ("1", "2"):
        digester = Digester(KEY, sample=0.25)
        lines = (line({"pk": {"S": str(n)}, "rev": {"N": revision}}) for n in range(2000))
        chosen.append({n for n, each in enumerate(lines) if digester(each)})
    assert chosen[0] == chosen[1]
    assert 400 < len(chosen[0]) < 600


def test_a_shape_is_given_up_where_hardly_two_items_are_alike() -> None:
    digester = Digester(KEY)
    for n in range(12_000):
        item = {"pk": {"S": str(n)}, f"a{n % 3000}": {"S": "x"}}
        assert digester(line(item)) == expected(item)
    assert digester._usual_shape is digester._any


def test_what_is_learnt_of_lists_in_lists_does_not_double_with_each_level() -> None:
    def nested(levels: int) -> Any:
        return {"S": "x"} if levels == 0 else {"L": [nested(levels - 1)]}

    def size(seen: ObservedShape | None) -> int:
        if seen is None:
            return 0
        return 1 + size(seen.elements) + sum(map(size, seen.row or ()))

    sizes = []
    for levels in (8, 14):
        seen = ObservedShape()
        seen.add(nested(levels))
        sizes.append(size(seen))
    assert sizes[0] == sizes[1]
    item = {"pk": {"S": "a"}, "deep": nested(31)}
    assert learnt(item)(line(item)) == expected(item)
