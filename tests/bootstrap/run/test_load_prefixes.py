"""Prefixes for a load of more objects than an operation takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.run.load_prefixes import IndivisibleKeysError, divide

NAMES = st.text("abcd234567", min_size=6, max_size=6)
"""As an export names its objects: of one length, so that none begins another."""


@given(names=st.sets(NAMES, max_size=60), most=st.integers(1, 20))
@pytest.mark.promise("C3")
def test_prefixes_are_disjoint_cover_every_object_and_none_has_too_many(
    names: set[str], most: int
) -> None:
    keys = sorted(f"orders/run/data/{name}.json.gz" for name in names)
    prefixes = divide("orders/run/data/", keys, most)
    for key in keys:
        assert sum(key.startswith(prefix) for prefix in prefixes) == 1
    for prefix in prefixes:
        assert sum(key.startswith(prefix) for key in keys) <= most
        assert prefix.startswith("orders/run/data/")


def test_few_objects_are_loaded_by_one_operation() -> None:
    assert divide("p/data/", ["p/data/a", "p/data/b"], 2) == ("p/data/",)


def test_keys_that_no_plain_prefix_divides_are_refused() -> None:
    with pytest.raises(IndivisibleKeysError):
        divide("p/", ["p/a", "p/ab"], 1)
