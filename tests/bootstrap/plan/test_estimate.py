"""The estimate of a plan: times, costs, and the prices of a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap.core.errors import UsageError
from bootstrap.plan import plan, price_list, render
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.plans import (
    ADOPT,
    BULK,
    GB,
    TB,
    adoptable,
    having,
    local_index,
    observed,
    planned,
    source,
    writes,
)


def test_the_estimate_grows_with_the_table_the_changes_and_the_retention() -> None:
    small, large = FakeAws(), FakeAws()
    source(items=10**6, size_bytes=GB)(small)
    source(items=10**9, size_bytes=TB)(large)
    writes(100)(large)
    first, second = planned(small).estimate, planned(large).estimate
    assert second.export.least > first.export.least
    assert second.load.most > first.load.most
    assert (first.catch_up is None, second.catch_up is None) == (False, False)
    assert second.once == pytest.approx(1_000 * first.once)
    assert [days for days, _ in second.monthly] == [365, 30, 7]
    costs = [cost for _, cost in second.monthly]
    assert costs == sorted(costs, reverse=True)
    assert second.changes_per_second == pytest.approx(100, rel=0.01)


def test_a_backlog_is_read_at_twice_the_pace_that_a_shard_fills_at() -> None:
    world = FakeAws()
    source(items=10**6, size_bytes=GB)(world)
    writes(235)(world)  # 4.25 KB of record for each KB of item: half a shard's filling, in each
    made = planned(world).estimate
    behind = made.export + made.load
    assert made.catch_up is not None
    assert made.catch_up.least == pytest.approx(60 + behind.least / 3, rel=0.05)


@pytest.mark.parametrize(
    ("members", "change", "pace", "says"),
    [
        (BULK, having(), (4_000, 40_000), "at 4,000 a second (a new table's) to 40,000"),
        (BULK, writes(2_000), (8_800, 40_000), "at 8,800 a second (as it is warmed)"),
        (
            {**BULK, "maxWriteRequestUnits": 2_000},
            having(),
            (2_000, 2_000),
            "at 2,000 a second, the limit",
        ),
        (
            {**BULK, "maxWriteRequestUnits": 5_000},
            having(),
            (4_000, 5_000),
            "at 4,000 a second (a new table's) to 5,000 (the limit)",
        ),
        (
            ADOPT,
            adoptable(billing_mode="PROVISIONED", write_capacity=50),
            (50, 40_000),
            "at 50 a second (as it is provisioned)",
        ),
        (ADOPT, adoptable(max_writes=60), (60, 40_000), "at 60 a second (its on-demand maximum)"),
        (ADOPT, adoptable(warm_writes=9_000), (9_000, 40_000), "9,000 a second (its warm"),
    ],
)
def test_the_time_of_a_bulk_put_follows_from_its_write_units_and_says_from_which(
    members: dict[str, Any],
    change: Callable[[FakeAws], None],
    pace: tuple[int, int],
    says: str,
) -> None:
    world = FakeAws()
    # 2 KB each, and an index entry of 1 KB.
    index = local_index(ItemCount=10**9, IndexSizeBytes=10**9 * 100)
    source(items=10**9, size_bytes=10**9 * 1_500, local_indexes=[index])(world)
    change(world)
    made = planned(world, **members)
    slow, fast = pace
    assert made.estimate.load.least == pytest.approx(300 + 3 * 10**9 / fast)
    assert made.estimate.load.most == pytest.approx(1_800 + 3 * 10**9 / slow)
    assert made.estimate.load_evidence.startswith("3,000,000,000 write units at")
    assert says in made.estimate.load_evidence
    assert f"({made.estimate.load_evidence})" in render.page(made)
    assert render.as_json(made)["estimate"]["loadEvidence"] == made.estimate.load_evidence


def test_an_unknown_price_is_said_with_the_name_under_which_it_is_given(tmp_path: Path) -> None:
    world = FakeAws()
    source(items=10**6, size_bytes=GB)(world)
    made = planned(world, **BULK)
    assert "DynamoDB's price for bulk puts is not in the price list" in render.page(made)
    assert render.as_json(made)["estimate"]["unpriced"] == list(made.estimate.unpriced)
    assert made.estimate.once == pytest.approx(0.10)
    path = tmp_path / "prices.yaml"
    path.write_text("bulk_put_gb: 0.5\n")
    priced = plan.make(*observed(world, **BULK), price_list.read(path))
    assert not priced.estimate.unpriced
    assert priced.estimate.once == pytest.approx(0.60)


def test_the_estimate_goes_by_the_prices_of_a_file(tmp_path: Path) -> None:
    world = FakeAws()
    source(items=10**6, size_bytes=GB)(world)
    path = tmp_path / "prices.yaml"
    path.write_text("export_gb: 1.10\nimport_gb: 0\n")
    made = plan.make(*observed(world), price_list.read(path))
    assert made.estimate.once == pytest.approx(1.10)
    assert f"(2 prices of {path}, the others list prices" in render.page(made)
    assert "(list prices of us-east-1 as of" in render.page(planned(world))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "holds no prices"),
        ("{", "cannot be read"),
        ("exports: 1", "values that are no prices: exports"),
        ("export_gb: much", "values that are no prices: export_gb"),
        ("export_gb: -1", "values that are no prices: export_gb"),
        ("export_gb: true", "values that are no prices: export_gb"),
        ("export_gb: .nan", "values that are no prices: export_gb"),
    ],
)
def test_a_price_file_without_prices_is_refused_with_the_names(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"Try: .*long_term_gb_month") as caught:
        price_list.read(path)
    assert words in caught.value.what
