"""`verify` and `--repair` on a cloud that duplicates, delays, reorders, kills and throttles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.verify.stack import Stack, order, replicating, writing

pytestmark = [pytest.mark.slow, pytest.mark.promise("C1", "C2", "C5")]

ITEMS = 200
AS_IT_IS: dict[str, Any] = {
    "b": {"B": b"\x00\x01"},
    "m": {"M": {"a": {"N": "1"}}},
    "s": {"S": ""},
    "v": {"SS": ["a", "b"]},
}
LARGE = {"S": "x" * 300_000}
SPOILT: dict[str, dict[str, Any]] = {
    "binary": AS_IT_IS | {"b": {"B": b"\x00\x03"}},
    "nested": AS_IT_IS | {"m": {"M": {"a": {"S": "1"}}}},
    "empty": {name: value for name, value in AS_IT_IS.items() if name != "s"},
    "large": AS_IT_IS | {"l": {"S": "x" * 299_999 + "y"}},
    "extra": {},
}
EQUAL: dict[str, dict[str, Any]] = {
    "scale": AS_IT_IS | {"m": {"M": {"a": {"N": "1.0"}}}},
    "order": AS_IT_IS | {"v": {"SS": ["b", "a"]}},
}
MISSING = "missing"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One cloud for all runs."""
    with replicating(tmp_path_factory.mktemp("chaos"), ITEMS, chaos="on,seed=6") as stack:
        yield stack


def plant(stack: Stack, seed: int) -> set[str]:
    """Writes what is through already, then spoils some of it in the target; returns their keys."""
    table = stack.lane["targetTable"]
    kinds = [kind for kind in (*SPOILT, MISSING) for _ in range(Random(seed).randint(1, 2))]
    names = {f"{seed}-{n}-{kind}": kind for n, kind in enumerate(kinds)}
    alike = {f"{seed}-{kind}": item for kind, item in EQUAL.items()}
    for name, kind in names.items():
        if kind != "extra":
            stack.put(order(name, **AS_IT_IS, **({"l": LARGE} if kind == "large" else {})))
    for name in alike:
        stack.put(order(name, **AS_IT_IS))
    stack.arrived([*(name for name, kind in names.items() if kind != "extra"), *alike])
    for name, kind in names.items():
        if kind == MISSING:
            stack.target.delete_item(TableName=table, Key={"pk": {"S": name}})
        else:
            stack.target.put_item(TableName=table, Item=order(name, **SPOILT[kind]))
    for name, item in alike.items():
        stack.target.put_item(TableName=table, Item=order(name, **item))
    return set(names)


@pytest.mark.matrix
@pytest.mark.parametrize("seed", range(10))
def test_in_a_seeded_run_all_that_was_planted_is_found_and_nothing_else_and_is_mended(
    stack: Stack, seed: int
) -> None:
    """C1, C2, C5. Each run finds its own alone: so what was planted before it is repaired."""
    with writing(stack, pause=0.1):
        planted = plant(stack, seed)
        found = stack.verify("--read-source", "--repair", code=0)
    lines = Path(found["report"]).read_text().splitlines()
    assert {json.loads(line)["key"]["pk"]["S"] for line in lines} == planted
    assert found["judged"] >= 0.95
    assert found["counts"]["repaired"] == len(planted)
    assert stack.verify()["equal"] is True
