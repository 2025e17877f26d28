"""The cost of a replication."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from bootstrap.plan import cost_model
from bootstrap.plan.cost_model import EXAMPLE, PRICES
from replicator import names
from tests.support.infra.recording_engine import CONFIG, record
from tests.support.replicator.watchdog_harness import steady


def test_the_bill_counts_the_alarms_and_metrics_that_a_table_has(tmp_path: Path) -> None:
    assert len(record(CONFIG, tmp_path / "archive").of("MetricAlarm")) == cost_model.ALARMS
    by_consumer = {
        *(
            names.CHANGES_RECEIVED,
            names.CHANGES_APPLIED,
            names.CHANGES_SUPERSEDED,
            names.CHANGES_QUARANTINED,
        ),
        *(
            names.CHANGES_RETRIED,
            names.REPLICATION_LAG,
            names.TARGET_THROTTLES,
            names.QUARANTINE_REFUSED,
            names.CHANGES_FOREIGN,
        ),
    }
    by_watchdog = set(steady().after())
    assert len(by_consumer | by_watchdog) == cost_model.METRICS


@pytest.mark.parametrize(("size", "units"), [(1, 4), (1024, 4), (1025, 6), (400 * 1024, 802)])
def test_a_change_costs_two_write_units_for_each_kilobyte_and_two_for_the_ledger(
    size: int, units: int
) -> None:
    assert cost_model.ledger_write_units(size) == units


def test_retention_costs_only_after_the_first_day_and_less_after_the_seventh() -> None:
    daily = cost_model.stream_gb_per_day(EXAMPLE)
    for days, extended, long_term in ((1, 0, 0), (7, 6, 0), (8, 6, 1), (365, 6, 358)):
        load = dataclasses.replace(EXAMPLE, retention_days=days)
        assert cost_model.retained_gb(load) == pytest.approx((extended * daily, long_term * daily))


def test_a_record_is_no_larger_than_the_rule_says_that_sizes_the_stream() -> None:
    """The shape that DynamoDB writes, for an item of twenty strings: both images of an update."""
    image = {f"attribute{n:02}": {"S": "x" * 40} for n in range(20)}
    size = sum(len(name) + len(value["S"]) for name, value in image.items())
    change = {"Keys": {}, "OldImage": image, "NewImage": image}
    envelope = 600
    record = len(json.dumps(change, separators=(",", ":"))) + envelope
    assert 2 * size < record < cost_model.record_bytes(size, update_share=1)


def test_another_price_changes_the_bill() -> None:
    cheaper = dataclasses.replace(PRICES, long_term_gb_month=0.0)
    bills = [
        sum(line.monthly or 0 for line in cost_model.bill(EXAMPLE, each))
        for each in (PRICES, cheaper)
    ]
    assert bills[0] - bills[1] == pytest.approx(cost_model.retained_gb(EXAMPLE)[1] * 0.023)
