"""Lines of exports with the digests that the consumer's own code gives them."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from hypothesis import strategies as st

from bootstrap.verify.exports.digests import Digester
from bootstrap.verify.exports.lines import parse_item
from replicator.canonical import digest, key_digest
from tests.support.strategies import digits, numbers, small_numbers

KEY = ("pk",)


longs = st.sampled_from([0, 10**6])


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
    ["", "M", "S", "L",
     '"', "\\", '\\"', '","', "%", "%b", "\n", "\x00", "\x1f", "\x7f", "\u2028", "é", "😀",
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


def learnt(*seen: Any, long: int | None = None) -> Digester:
    """A digester that has made its shape of these items. `long` 0: for it every text is long."""
    digester = Digester(KEY)
    if long is not None:
        digester._inference.long = long
    digester._next = len(seen)
    for item in seen:
        digester(line(item))
    return digester


def exactly(text: bytes) -> bytes | None:
    """By the consumer's code alone; None for what is no item."""
    try:
        return expected(parse_item(text))
    except (ValueError, KeyError, RecursionError):
        return None


def by(digester: Digester, text: bytes) -> bytes | None:
    try:
        return digester(text)
    except ValueError:
        return None


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
    for name in chance.sample(list(value), len(value)):
        if name not in KEY and chance.random() < 0.1:
            continue
        ((tag, held),) = value[name].items()
        drawn[name] = {tag: _redrawn(tag, held, chance)}
    return drawn


def _redrawn(tag: str, held: Any, chance: Any) -> Any:
    if tag == "M":
        return redrawn(held, chance)
    if tag == "L":
        return [redrawn({"pk": each}, chance)["pk"] for each in held]
    if tag in ("SS", "NS", "BS"):
        return chance.sample(POOL[tag[0]], chance.randrange(1, 5))
    if tag in POOL:
        return chance.choice(POOL[tag])
    return chance.random() < 0.5 if tag == "BOOL" else held
