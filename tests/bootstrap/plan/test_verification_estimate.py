"""Time and money of a verification, from measured rates and the price list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bootstrap.plan.prices import PRICES
from bootstrap.plan.verification_estimate import estimate_verification

TB = 10**12


def test_the_measured_table_takes_what_was_measured() -> None:
    """3,000,000 items of 1 KB a side: 71.3 core-seconds (docs/benchmarks.md)."""
    found = estimate_verification(3_000_000, 3_000_000 * 1020, processes=1)
    assert found.process_seconds == pytest.approx(71.3, rel=0.05)


def test_ten_terabytes_take_days_on_one_machine_and_hours_on_glue() -> None:
    found = estimate_verification(10**10, 10 * TB, workers=50, dpus=50)
    assert 14 * 3600 < found.process_seconds < 20 * 3600
    least, most = found.glue_seconds
    assert 1800 < least < most < 4 * 3600
    assert "--workers N" in found.advice
    assert "verification: {engine: glue}" in found.advice


def test_no_advice_where_one_machine_takes_less_than_four_hours() -> None:
    found = estimate_verification(10**8, TB // 10)
    assert found.process_seconds < 3600
    assert found.advice == ""


def test_a_run_costs_a_minute_at_least_and_follows_the_price_file() -> None:
    small = estimate_verification(100, 10_000)
    assert small.glue_cost[0] == pytest.approx(10 / 60 * 0.44)
    dear = estimate_verification(100, 10_000, price=replace(PRICES, glue_dpu_hour=0.88))
    assert dear.glue_cost[0] == pytest.approx(2 * small.glue_cost[0])


def test_more_workers_take_less_time_for_the_same_work() -> None:
    few, many = (
        estimate_verification(10**10, 10 * TB, workers=n, dpus=n).glue_seconds[0] for n in (10, 100)
    )
    assert many < few / 8


def test_the_line_has_both_ways() -> None:
    text = estimate_verification(3_000_000, 3_000_000 * 1020).text
    assert text.startswith("18 s in 4 processes here; ")
    assert "on Glue with 10 workers" in text
