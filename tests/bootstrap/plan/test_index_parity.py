"""Indexes in `parity`: local ones, keys of several attributes, and vectors."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bootstrap.core.facts import TableFacts
from bootstrap.plan.indexes import index_differences
from bootstrap.plan.setting import Setting, When
from bootstrap.plan.settings_diff import settings, wanted
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.killed_process import replicated
from tests.support.bootstrap.plans import local_index, observed, source


def of_parts(*names: str) -> dict[str, Any]:
    """Return a global index whose key has several attributes."""
    half = len(names) // 2
    return {
        "IndexName": "by-parts",
        "KeySchema": [
            {"AttributeName": name, "KeyType": "HASH" if n < half else "RANGE"}
            for n, name in enumerate(names)
        ],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }


def parity_of(world: FakeAws) -> dict[str, Setting]:
    seen, replication = observed(world)
    return {each.name: each for each in settings(seen, wanted(seen, replication))}


def with_target(world: FakeAws, **changes: Any) -> None:
    assert world.target is not None
    world.target = dataclasses.replace(world.target, **changes)


@pytest.mark.parametrize(
    ("there", "drifted"),
    [
        ([local_index()], False),
        ([], True),
        ([local_index(by="state")], True),
        ([local_index(Projection={"ProjectionType": "KEYS_ONLY"})], True),
        ([local_index(), local_index("other")], True),
        ([local_index(IndexSizeBytes=9, ItemCount=9)], False),
    ],
)
def test_a_local_index_is_compared_in_all_that_it_has(there: list[Any], drifted: bool) -> None:
    world = FakeAws()
    replicated(world)
    source(local_indexes=[local_index()])(world)
    assert world.source is not None
    with_target(world, local_indexes=there, attributes=world.source.attributes)
    found = parity_of(world)["local secondary indexes"]
    assert found.drifted is drifted
    assert "no table that exists can get one" in found.why


@pytest.mark.parametrize("swapped", [False, True])
def test_the_order_of_a_keys_attributes_is_compared(swapped: bool) -> None:
    names = [f"p{n}" for n in range(8)]
    there = [*names[:6], *reversed(names[6:])] if swapped else names
    world = FakeAws()
    source(global_indexes=[of_parts(*names)])(world)
    replicated(world)
    with_target(world, global_indexes=[of_parts(*there)])
    assert parity_of(world)["global secondary indexes"].drifted is swapped


def test_vector_indexes_are_named_as_what_the_target_does_not_get() -> None:
    world = FakeAws()
    source(vector_indexes=["similar", "alike"])(world)
    replicated(world)
    found = parity_of(world)["vector indexes"]
    assert (found.source, found.target, found.drifted) == ("alike, similar", "none", False)
    assert found.when is When.NEVER
    with_target(world, vector_indexes=["similar"])
    assert parity_of(world)["vector indexes"].target == "similar"


def table(**changes: Any) -> TableFacts:
    return TableFacts("arn", "id", "ACTIVE", 1, 1, False, **changes)


def test_differences_of_indexes_say_which_table_has_what() -> None:
    ours = table(
        local_indexes=[local_index(), local_index("by-state", "state")],
        global_indexes=[of_parts("a", "b")],
        vector_indexes=["similar"],
    )
    theirs = table(
        local_indexes=[local_index(by="day"), local_index("by-name", "name")],
        global_indexes=[of_parts("a", "b")],
    )
    assert list(index_differences(ours, ours)) == []
    local = "pk HASH ?, {} RANGE ?; ALL"
    assert list(index_differences(ours, theirs)) == [
        f"it has local index by-name ({local.format('name')}), which the source has not",
        f"it lacks local index by-state ({local.format('state')})",
        f"its local index is latest ({local.format('day')}), and the source's latest "
        f"({local.format('at')})",
        "it lacks vector index similar",
    ]
