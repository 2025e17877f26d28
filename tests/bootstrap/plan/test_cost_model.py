"""The cost of a replication."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

import pytest

from bootstrap.plan import cost_model, render
from bootstrap.plan.cost_inputs import (
    EXAMPLE,
    CostInputs,
    ledger_write_units,
    record_bytes,
    retained_gb,
    stream_gb_per_day,
)
from bootstrap.plan.estimate import cost_inputs_of
from bootstrap.plan.prices import PRICES, Prices
from infra.stack_config import StackConfig
from infra.table_config import TableConfig
from infra.watchdog import INTERVAL_MINUTES
from replicator import names
from replicator.consumer.metrics import EmfEmitter, InvocationStats
from replicator.probes import LANES_PROBED
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.plans import observed, planned
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
    assert ledger_write_units(size) == units


def test_retention_costs_only_after_the_first_day_and_less_after_the_seventh() -> None:
    daily = stream_gb_per_day(EXAMPLE)
    for days, extended, long_term in ((1, 0, 0), (7, 6, 0), (8, 6, 1), (365, 6, 358)):
        inputs = dataclasses.replace(EXAMPLE, retention_days=days)
        assert retained_gb(inputs) == pytest.approx((extended * daily, long_term * daily))


def test_a_record_is_no_larger_than_the_rule_says_that_sizes_the_stream() -> None:
    """The shape that DynamoDB writes, for an item of twenty strings: both images of an update."""
    image = {f"attribute{n:02}": {"S": "x" * 40} for n in range(20)}
    size = sum(len(name) + len(value["S"]) for name, value in image.items())
    change = {"Keys": {}, "OldImage": image, "NewImage": image}
    envelope = 600
    record = len(json.dumps(change, separators=(",", ":"))) + envelope
    assert 2 * size < record < record_bytes(size, update_share=1)


def test_another_price_changes_the_bill() -> None:
    cheaper = dataclasses.replace(PRICES, long_term_gb_month=0.0)
    bills = [
        sum(line.monthly or 0 for line in cost_model.bill(EXAMPLE, each))
        for each in (PRICES, cheaper)
    ]
    assert bills[0] - bills[1] == pytest.approx(retained_gb(EXAMPLE)[1] * 0.023)


def line(inputs: CostInputs, resource: str) -> float | None:
    (found,) = (each for each in cost_model.bill(inputs) if each.resource == resource)
    return found.monthly


def once(inputs: CostInputs, resource: str, prices: Prices = PRICES) -> float:
    (found,) = (each for each in cost_model.bill(inputs, prices) if each.resource == resource)
    return found.once


def total(inputs: CostInputs) -> float:
    return sum(each.monthly or 0.0 for each in cost_model.bill(inputs))


def test_writes_to_indexes_cost_what_the_sources_do() -> None:
    assert line(EXAMPLE, "Index writes") is None
    inputs = dataclasses.replace(EXAMPLE, index_units_per_second=1_000)
    # A thousand units a second for a month of 730 hours, at $0.625 a million.
    assert line(inputs, "Index writes") == pytest.approx(730 * 3600 * 1_000 / 1e6 * 0.625)


def test_the_table_class_changes_the_price_of_writes_and_of_storage_but_not_the_ledgers() -> None:
    inputs = dataclasses.replace(EXAMPLE, infrequent_access=True, index_units_per_second=100)
    standard = dataclasses.replace(inputs, infrequent_access=False)
    share = (2 * 0.78 + 2 * 0.625) / (4 * 0.625)
    for resource, factor in (
        ("Target and ledger writes", share),
        ("Index writes", 0.78 / 0.625),
        ("Target table", 0.10 / 0.25),
    ):
        was = line(standard, resource)
        assert was
        assert line(inputs, resource) == pytest.approx(was * factor), resource


def test_indexes_are_stored_too() -> None:
    inputs = dataclasses.replace(EXAMPLE, index_gb=50)
    assert line(inputs, "Target table") == pytest.approx(150 * 0.25)


def test_a_provisioned_stream_costs_by_shard_and_put() -> None:
    inputs = dataclasses.replace(EXAMPLE, provisioned=True, shards=6)
    millions = 1_000 * 730 * 3600 / 1e6
    assert line(inputs, "Stream, in and out") == pytest.approx(6 * 730 * 0.015 + millions * 0.014)
    # A record of over 25 KB takes a second unit.
    large = dataclasses.replace(inputs, item_bytes=6_100)
    assert line(large, "Stream, in and out") == pytest.approx(
        6 * 730 * 0.015 + 2 * millions * 0.014
    )
    daily = stream_gb_per_day(inputs)
    kept = 6 * 730 * 0.02 + 358 * daily * 0.023
    assert line(inputs, "Stream, retention") == pytest.approx(kept)
    short = dataclasses.replace(inputs, retention_days=1)
    assert line(short, "Stream, retention") == 0


def test_probes_of_a_shard_that_is_read_in_parallel_cost_128_times_as_much() -> None:
    one = line(EXAMPLE, "Probes")
    assert one
    inputs = dataclasses.replace(EXAMPLE, parallelization_factor=2)
    assert line(inputs, "Probes") == pytest.approx(128 * one)


def test_deletions_by_time_to_live_cost_what_other_changes_cost() -> None:
    half = dataclasses.replace(EXAMPLE, changes_per_second=500)
    expiring = dataclasses.replace(half, expired_per_second=500)
    deletions = line(expiring, "Deletions by time to live")
    assert deletions
    assert total(expiring) == pytest.approx(total(EXAMPLE))
    assert stream_gb_per_day(expiring) == stream_gb_per_day(EXAMPLE)
    assert retained_gb(expiring) == retained_gb(EXAMPLE)
    assert line(half, "Deletions by time to live") is None


def test_bytes_to_another_region_have_a_line_only_where_there_is_one() -> None:
    assert line(EXAMPLE, "To another Region") is None
    inputs = dataclasses.replace(EXAMPLE, other_region=True)
    assert line(inputs, "To another Region") == pytest.approx(1.024e-3 * 730 * 3600 * 0.02)


@pytest.mark.parametrize("changes", [1, 100, 500])
def test_an_invocation_logs_no_more_than_the_bill_assumes(
    changes: int, capsys: pytest.CaptureFixture[str]
) -> None:
    stats = InvocationStats(logging.getLogger("test"))
    stats.counts.update({names.CHANGES_RECEIVED: changes, names.CHANGES_APPLIED: changes})
    stats.lags = [float(12_345 + n) for n in range(changes)]
    dimensions = names.dimensions(
        "production",
        "customer_orders_production",
        "111111111111",
        "replicate-customer-orders-production-consumer-0a1b2c3",
    )
    EmfEmitter(dimensions).emit(stats)
    of_lambda = 600  # its own lines about start and end, as JSON
    logged = len(capsys.readouterr().out) + of_lambda
    most = cost_model.LOG_BYTES_PER_INVOCATION + changes * cost_model.LOG_BYTES_PER_CHANGE
    assert 0.5 * most < logged <= most


def test_the_bill_assumes_what_the_stack_and_the_watchdog_do() -> None:
    assert StackConfig.log_retention_days == cost_model.LOG_DAYS
    assert cost_model.ROUNDS_A_DAY == 24 * 60 / INTERVAL_MINUTES
    assert cost_model.PROBES_PER_PARALLEL_SHARD == LANES_PROBED
    assert TableConfig.batch_size == cost_model.CHANGES_PER_INVOCATION


def test_a_plan_bills_what_it_sees_of_the_source_and_of_the_stack() -> None:
    world = FakeAws()
    world.stream_mode = "PROVISIONED"
    index = {"IndexName": "by-day", "KeySchema": [], "IndexSizeBytes": 5 * 10**9}
    world.source = dataclasses.replace(
        world.source,
        items=10**6,
        size_bytes=10**9,
        global_indexes=[index],
        table_class="STANDARD_INFREQUENT_ACCESS",
    )
    world.writes = lambda begin: 60 * 50.0
    world.expired = lambda begin: 60 * 7.0
    world.index_writes["by-day"] = lambda begin: 60 * 20.0
    inputs = cost_inputs_of(*observed(world, parallelizationFactor=3))
    assert (inputs.changes_per_second, inputs.expired_per_second) == pytest.approx((50, 7))
    assert inputs.index_units_per_second == pytest.approx(20)
    assert (inputs.item_bytes, inputs.table_gb, inputs.index_gb) == (1_000, 1.0, 5.0)
    assert (inputs.infrequent_access, inputs.provisioned, inputs.other_region) == (
        True,
        True,
        False,
    )
    assert (inputs.shards, inputs.parallelization_factor) == (2, 3)
    made = planned(world)
    shown = render.page(made)
    for resource in ("Index writes", "Deletions by time to live", "Logs", "Probes"):
        assert resource in shown
    lines = render.as_json(made)["estimate"]["bill"]
    assert sum(each["monthlyUsd"] or 0 for each in lines) == pytest.approx(
        render.as_json(made)["estimate"]["monthlyUsd"]["365"], abs=0.1
    )


def test_local_indexes_count_in_the_export_the_recovery_and_the_storage() -> None:
    inputs = dataclasses.replace(EXAMPLE, local_index_gb=50)
    assert line(inputs, "Target table") == pytest.approx(150 * 0.25)
    assert line(inputs, "Point-in-time recovery") == pytest.approx(2 * 150 * 0.20)
    bulk = dataclasses.replace(inputs, bulk=True)
    # The bucket has the items alone.
    assert line(bulk, "Snapshot") == line(EXAMPLE, "Snapshot")
    assert once(bulk, "Snapshot") == pytest.approx(150 * 0.10)
    assert once(EXAMPLE, "Snapshot") == pytest.approx(100 * (0.10 + 0.15))


def test_a_bulk_put_is_in_the_bill_once_its_price_is_known_and_is_named_before() -> None:
    bulk = dataclasses.replace(EXAMPLE, bulk=True, local_index_gb=20, index_gb=30)
    assert once(bulk, "Bulk put") == 0
    assert "bulk_put_gb" in "".join(cost_model.unpriced(bulk))
    priced = dataclasses.replace(PRICES, bulk_put_gb=0.2)
    assert once(bulk, "Bulk put", priced) == pytest.approx((100 + 20 + 30) * 0.2)
    assert cost_model.unpriced(bulk, priced) == ()
    assert cost_model.unpriced(EXAMPLE) == ()
    assert not any(each.resource == "Bulk put" for each in cost_model.bill(EXAMPLE))
