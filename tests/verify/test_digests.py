"""Every route from a line to its digests ends where the consumer's own code does."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootstrap.verify.digests import Digester
from bootstrap.verify.shapes import Shape
from replicator.canonical import digest, key_digest
from tests.replicator.test_canonical import digits, images, numbers, small_numbers

KEY = ("pk",)


def in_file(value: Any) -> Any:
    """An image as a file of an export holds it: binary is base64, once."""
    if isinstance(value, dict):
        return {name: in_file(held) for name, held in value.items()}
    if isinstance(value, list):
        return [in_file(each) for each in value]
    return b64encode(value).decode() if isinstance(value, bytes) else value


def line(item: Any, *, ascii_only: bool = False, spaced: bool = False) -> bytes:
    separators = (", ", ": ") if spaced else (",", ":")
    text = json.dumps({"Item": in_file(item)}, ensure_ascii=ascii_only, separators=separators)
    return text.encode("utf-8", "surrogatepass")


def expected(item: Any) -> bytes:
    return key_digest({name: item[name] for name in KEY}) + digest(item)


# Texts that JSON, regular expressions, templates and UTF-8 each trip over.
awkward = st.sampled_from(
    ["", '"', "\\", '\\"', '","', "%", "%b", "\n", "\x00", "\x1f", "\x7f", "\u2028", "é", "😀",
     "\ud800", "\\u0041", "{", "}]", ".*", "/", "\\/", "N", "\ufeff"]
)  # fmt: skip
texts = st.one_of(awkward, st.lists(awkward, max_size=4).map("".join), st.text(max_size=12))
blobs = st.binary(max_size=9)
whole_numbers = st.one_of(numbers, small_numbers, digits, st.sampled_from(["1" + "0" * 60, "٣"]))
scalars: Any = st.one_of(
    texts.map(lambda v: {"S": v}),
    whole_numbers.map(lambda v: {"N": v}),
    blobs.map(lambda v: {"B": v}),
    st.booleans().map(lambda v: {"BOOL": v}),
    st.just({"NULL": True}),
    st.lists(texts, min_size=1, max_size=4).map(lambda v: {"SS": v}),
    st.lists(whole_numbers, min_size=1, max_size=4).map(lambda v: {"NS": v}),
    st.lists(blobs, min_size=1, max_size=4).map(lambda v: {"BS": v}),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda v: {"L": v}),
        st.dictionaries(texts, inner, max_size=3).map(lambda v: {"M": v}),
    ),
    max_leaves=6,
)
keys = st.one_of(
    texts.map(lambda v: {"S": v}),
    whole_numbers.map(lambda v: {"N": v}),
    blobs.map(lambda v: {"B": v}),
)
items = st.builds(
    lambda key, rest: {"pk": key, **rest}, keys, st.dictionaries(texts, values, max_size=4)
)


@settings(max_examples=250, deadline=None)
@given(items, st.booleans(), st.booleans())
def test_any_line_has_the_digests_of_the_consumer(
    item: Any, ascii_only: bool, spaced: bool
) -> None:
    text = line(item, ascii_only=ascii_only, spaced=spaced)
    assert Digester(KEY)(text) == expected(item)


@settings(max_examples=250, deadline=None)
@given(items, st.randoms(use_true_random=False), st.booleans())
def test_a_line_of_a_known_shape_has_the_digests_of_the_consumer(
    item: Any, chance: Any, ascii_only: bool
) -> None:
    """The digester learns from one item, and then meets others with the same names and types."""
    digester = Digester(KEY)
    for _ in range(3):
        digester(line(item))
    alike = [redrawn(item, chance) for _ in range(4)]
    for other in (item, *alike):
        assert digester(line(other, ascii_only=ascii_only)) == expected(other)


POOL: dict[str, list[Any]] = {
    "S": ["", "plain", '"', "\\", '","', "%b", "\n", "\x01", "\u2028", "é", "\ud800", "a" * 50],
    "N": [
        "0",
        "-0",
        "1",
        "1.0",
        "-7",
        "12.5",
        "1E3",
        "0.10",
        "10",
        "007",
        "9" * 38,
        "1" + "0" * 50,
    ],
    "B": [b"", b"\x00", b"\xff\xfe", b"abc", bytes(40)],
}


def redrawn(value: Any, chance: Any) -> Any:
    """The same shape with other contents."""
    drawn: dict[str, Any] = {}
    for name, typed in value.items():
        ((tag, held),) = typed.items()
        drawn[name] = {tag: _redrawn(tag, held, chance)}
    return drawn


def _redrawn(tag: str, held: Any, chance: Any) -> Any:
    if tag == "M":
        return redrawn(held, chance)
    if tag == "L":
        return [redrawn({"": each}, chance)[""] for each in held]
    if tag in ("SS", "NS", "BS"):
        return chance.sample(POOL[tag[0]], chance.randrange(1, 5))
    if tag in POOL:
        return chance.choice(POOL[tag])
    return chance.random() < 0.5 if tag == "BOOL" else held


@given(images)
def test_the_images_that_test_the_canonical_form_pass_through_files_unchanged(image: Any) -> None:
    item = {**image, "pk": {"S": "k"}}
    assert Digester(KEY)(line(item)) == expected(item)


def test_lines_of_a_known_shape_are_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    digester = Digester(KEY)
    item = {"pk": {"S": "1"}, "b": {"B": b"12"}, "a": {"M": {"z": {"N": "1"}, "y": {"L": []}}},
            "s": {"SS": ["b", "a"]}, "t": {"NULL": True}, "u": {"NS": ["2", "10"]}}  # fmt: skip
    for _ in range(2):
        digester(line(item))
    monkeypatch.setattr(digester, "_parse", lambda line: pytest.fail("parsed"))
    other = redrawn(item, _First()) | {"pk": {"S": 'é"\n'.strip('"\n')}}
    assert digester(line(other)) == expected(other)


class _First:
    """A chance that always takes what comes first."""

    def choice(self, options: list[Any]) -> Any:
        return options[0]

    def sample(self, options: list[Any], count: int) -> list[Any]:
        return options[:1]

    def randrange(self, *bounds: int) -> int:
        return bounds[0]

    def random(self) -> float:
        return 0.0


def test_a_known_shape_with_escapes_is_read_by_its_canonical_escapes_alone() -> None:
    shape = Shape({"pk": {"S": "x"}}, KEY)
    for text, taken in ((r"\n", True), (r"\"", True), (r"\/", False), (r"\u0041", False)):
        found = shape.match(b'{"Item":{"pk":{"S":"' + text.encode() + b'"}}}', True)
        assert (found is not None) is taken


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
    digester = Digester(KEY)
    for _ in range(3):
        digester(line({"pk": {"S": "a"}}))
        digester(line({"pk": {"S": "a"}, "x": {"BOOL": True}}))
    with pytest.raises(ValueError):
        digester(text)


def test_binary_is_decoded_once_and_compared_by_its_bytes() -> None:
    blob = b64encode(b"not text")  # bytes that look like base64 themselves
    assert Digester(KEY)(line({"pk": {"B": blob}})) == expected({"pk": {"B": blob}})
    # The same byte, with other unused bits at the end of its base64.
    assert b64decode("AA==") == b64decode("AB==")
    for _ in range(3):
        assert Digester(KEY)(b'{"Item":{"pk":{"B":"AB=="}}}') == expected({"pk": {"B": b"\0"}})
    learnt = Digester(KEY)
    for _ in range(3):
        learnt(line({"pk": {"B": b"\1"}}))
    assert learnt(b'{"Item":{"pk":{"B":"AB=="}}}') == expected({"pk": {"B": b"\0"}})


def test_a_sample_is_the_same_keys_whatever_the_rest_of_the_item() -> None:
    chosen: list[set[int]] = []
    for revision in ("1", "2"):
        digester = Digester(KEY, sample=0.25)
        lines = (line({"pk": {"S": str(n)}, "rev": {"N": revision}}) for n in range(2000))
        chosen.append({n for n, each in enumerate(lines) if digester(each)})
    assert chosen[0] == chosen[1]
    assert 400 < len(chosen[0]) < 600


def test_shapes_are_given_up_where_no_two_items_are_alike() -> None:
    digester = Digester(KEY)
    for n in range(12_000):
        item = {"pk": {"S": str(n)}, f"a{n % 3000}": {"S": "x"}}
        assert digester(line(item)) == expected(item)
    assert len(digester._shapes) == 0
