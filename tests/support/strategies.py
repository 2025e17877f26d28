"""Items and numbers of every spelling, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

digits = st.text("0123456789", min_size=1, max_size=40)


numbers = st.builds(
    lambda sign, whole, fraction, power: f"{sign}{whole}{fraction}{power}",
    st.sampled_from(["", "-", "+"]),
    digits,
    st.one_of(st.just(""), st.just("."), digits.map(".{}".format)),
    st.one_of(st.just(""), st.integers(-130, 130).map("E{}".format)),
)


small_numbers = st.sampled_from(["0", "-0", "0.0", "1", "1.0", "1E0", "10", "1e1", "0.1", "1E-1"])


texts = st.one_of(st.text(max_size=8), st.sampled_from(["", "a", "b", "N", "\ud800", "é", "\x00"]))


blobs = st.binary(max_size=6)


scalars = st.one_of(
    st.fixed_dictionaries({"S": texts}),
    st.fixed_dictionaries({"N": st.one_of(numbers, small_numbers)}),
    st.fixed_dictionaries({"B": blobs}),
    st.fixed_dictionaries({"BOOL": st.booleans()}),
    st.just({"NULL": True}),
    st.fixed_dictionaries({"SS": st.lists(texts, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"NS": st.lists(small_numbers, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"BS": st.lists(blobs, min_size=1, max_size=3)}),
)


values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"L": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"M": st.dictionaries(texts, inner, max_size=3)}),
    ),
    max_leaves=8,
)


images = st.dictionaries(texts, values, max_size=4)
