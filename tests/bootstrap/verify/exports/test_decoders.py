"""What a shape's types leave unjudged is judged for many lines together, and nothing slips through:
oddly spelled numbers, values of no type or of two, long texts that are not read.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.verify.digest_cases import (
    KEY,
    by,
    exactly,
    expected,
    items,
    learnt,
    line,
    longs,
    redrawn,
)


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(items, st.randoms(use_true_random=False), st.integers(2, 70), longs)
def test_many_lines_at_once_have_the_digests_that_each_has_alone(
    item: Any, chance: Any, count: int, long: int
) -> None:
    """Numbers are looked at for many lines together; some here are spelled oddly."""
    other = item | {name: chance.choice(OTHERS) for name in item if name not in KEY}
    digester = learnt(item, other, long=long)
    many = [redrawn(chance.choice([item, other]), chance) for _ in range(count)]
    pairs: list[bytes | None] = []
    digester.extend(pairs, [line(each) for each in many])
    assert pairs == [expected(each) for each in many]


OTHERS: list[Any] = [{"NULL": True}, {"S": "x"}, {"N": "5"}, {"NS": ["5"]}, {"M": {}}]
ODD = ["1.0", "-0", "007", "+1", "1E3", "1e0", ".5", "5.", "00", "", "1" + "0" * 45, "1,1.0", ",1"]


def in_places(number: str) -> list[list[Any]]:
    """Where a number may be: values of one place; the last one is to hold an odd number."""
    n, null, text = {"N": number}, {"NULL": True}, {"S": "x"}
    names = {f"n{each}": {"N": "1"} for each in range(40)}
    return [
        [n],
        [null, n],
        [text, n],
        [null, text, n],
        [null, {"NS": ["1"]}, n],
        [{"NS": ["3", number]}],
        [null, {"NS": ["3", number]}],
        [{"L": [text, n]}],
        [{"L": [null]}, {"L": [n, n, text]}],
        [{"M": {"inner": n}}],
        [{"M": {"inner": null}}, {"M": {"inner": n}}],
        [{"M": names | {"n7": n}}],
        [{"L": [{"M": {"inner": {"L": [{"NS": ["1", number]}]}}}]}],
    ]


@pytest.mark.parametrize("place", range(len(in_places("1"))))
def test_one_odd_number_among_many_lines_is_found_wherever_it_is(
    place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = [{"pk": {"S": "k"}, "x": value} for value in in_places("1")[place]] * 40
    digester = learnt(*usual[:4])
    monkeypatch.setattr(digester, "_digest_unusual", lambda line: pytest.fail("not of the shape"))
    fast = [expected(each) for each in usual]
    for number in ODD:
        odd = {"pk": {"S": "k"}, "x": in_places(number)[place][-1]}
        for before in (0, len(usual) - 1):
            many = [*usual[:before], odd, *usual[before:]]
            digester._checked_batches = 0
            pairs: list[bytes | None] = []
            digester.extend(pairs, [line(each) for each in many])
            assert pairs == [*fast[:before], expected(odd), *fast[before:]]


def test_an_odd_number_in_the_key_is_found_among_many_lines() -> None:
    usual = [{"pk": {"N": str(n)}, "x": {"S": "y"}} for n in range(1, 100)]
    digester = learnt(*usual[:3])
    many = [*usual, {"pk": {"N": "7.0"}, "x": {"S": "y"}}]
    pairs: list[bytes | None] = []
    digester.extend(pairs, [line(each) for each in many])
    assert pairs == [expected(each) for each in many]
    assert pairs[-1] == pairs[6]


@pytest.mark.parametrize("number", ["1", "1.0"])
@pytest.mark.parametrize("before", [0, 63, 64, 70])
@pytest.mark.parametrize(
    "wrong",
    [
        b'{"Item":{"pk":{"S":"k"},"x":{}}}',
        b'{"Item":{"pk":{"S":"k"},"x":{"NULL":true,"S":"a"}}}',
        b'{"Item":{"pk":{"S":"k"},"m":{"M":{"y":{"L":[{"S":"a","NULL":false}]}}}}}',
        b'{"Item":{"pk":{"S":"k"},"m":{"M":{"y":{"L":[{"S":"a"},{}]}}}}}',
        b'{"Item":{"pk":{"S":"k"},"x":{"S":"a"}}',
        b'{"Item":{"x":{"S":"a"}}}',
        b"",
    ],
)
def test_an_error_among_many_lines_leaves_the_digests_of_those_before_it(
    wrong: bytes, before: int, number: str
) -> None:
    """Whether or not one of the others has an odd number, for which all are looked at anew."""
    kinds: list[Any] = [{"S": "a"}, {"NULL": True}] * 80
    usual: list[Any] = [
        {"pk": {"S": "k"}, "x": each, "m": {"M": {"y": {"L": [each]}}}, "n": {"N": "1"}}
        for each in kinds
    ]
    digester = learnt(*usual[:2])
    usual[3]["n"] = {"N": number}
    lines = [line(each) for each in usual]
    pairs: list[bytes | None] = []
    with pytest.raises(ValueError):
        digester.extend(pairs, [*lines[:before], wrong, *lines[before:]])
    assert pairs == [expected(each) for each in usual[:before]]


LONG = "0123456789abcdef" * 200


@pytest.mark.parametrize("place", [0, 7, 16, 1601, 3199])
@pytest.mark.parametrize(
    "held",
    [b"", b"\x7f", "é😀\u2028".encode(), b"\\u0041", b"\\n", b'\\"', b"\\/", b"\\ud800", b"\\x",
     b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b'"', b"\\", *(bytes([n]) for n in range(32))],
)  # fmt: skip
def test_a_long_text_is_digested_as_the_consumer_does_whatever_it_holds(
    held: bytes, place: int
) -> None:
    usual = {"pk": {"S": "k"}, "x": {"S": LONG}}
    digester = learnt(usual)
    text = line(usual).replace(LONG.encode(), LONG[:place].encode() + held + LONG[place:].encode())
    assert by(digester, text) == exactly(text)


def test_long_texts_are_neither_read_nor_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = {"pk": {"S": "k"}, "x": {"M": {"y": {"S": LONG}}}}
    digester = learnt(usual)
    monkeypatch.setattr(digester, "_digest_unusual", lambda line: pytest.fail("not of the shape"))
    for held in (LONG, "", "é" * 2000, "\n"):
        other = usual | {"x": {"M": {"y": {"S": held}}}}
        assert digester(line(other)) == expected(other)
    decoded = digester._usual_shape.decode(line(usual)).Item
    assert LONG not in repr(decoded)


@pytest.mark.parametrize(
    "held", [b"1", b"true", b"null", b"[]", b'["x"]', b"{}", b'{"S":"x"}', b' "x" ', b'"x" "y"']
)
def test_what_stands_in_place_of_a_long_text_is_an_error_unless_it_is_a_text(held: bytes) -> None:
    usual = {"pk": {"S": "k"}, "x": {"S": LONG}}
    text = b'{"Item":{"pk":{"S":"k"},"x":{"S":%b}}}' % held
    found = by(learnt(usual), text)
    assert found == exactly(text)
    assert (found is not None) is (held == b' "x" ')


def test_after_an_odd_number_lines_are_looked_at_one_by_one_and_later_together_again() -> None:
    usual = {"pk": {"S": "k"}, "x": {"N": "1"}}
    digester = learnt(usual)
    for _ in range(2):
        pairs: list[bytes | None] = []
        digester.extend(pairs, [line(usual | {"x": {"N": "1.0"}})])
        assert digester._checked_batches
        digester.extend(pairs, [line(usual)] * 10_000)
        assert not digester._checked_batches
        assert set(pairs) == {expected(usual)}
