"""The detector of another table's records: named with the command that ends them, for a while."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.foreign_rows import ForeignRow, index_item
from replicator.names import FOREIGN_RECORDS
from replicator.watchdog.detectors import FOREIGN, Level
from replicator.watchdog.finding import Finding
from replicator.watchdog.judge import judge
from replicator.watchdog.readings import Readings
from tests.support.replicator.watchdog_harness import CONFIG, WatchdogHarness


@pytest.fixture
def world() -> WatchdogHarness:
    return WatchdogHarness()


def met(world: WatchdogHarness, *tables: str, ago: float = 0.0) -> None:
    """Write the rows as the consumer does."""
    at = int((world.clock() - ago) * 1e6)
    for table in tables:
        row = ForeignRow(table, 7, at, "shardId-000000000003", "4711")
        world.target.put_item(TableName="ledger", Item=row.to_item())
    world.target.put_item(TableName="ledger", Item=index_item(frozenset(tables)))


def finding(world: WatchdogHarness) -> Finding:
    readings: Readings = world.watchdog.round(lambda: 240.0)
    [found] = [each for each in judge(readings, CONFIG.expected) if each.detector is FOREIGN]
    return found


def test_without_records_of_another_table_the_detector_is_fine(world: WatchdogHarness) -> None:
    assert world.round()[FOREIGN_RECORDS] == 0.0
    assert finding(world).level is Level.FINE


def test_another_table_is_a_loss_finding_that_names_table_place_and_command(
    world: WatchdogHarness,
) -> None:
    met(world, "invoices")
    assert world.round()[FOREIGN_RECORDS] == 1.0
    found = finding(world)
    assert found.level is Level.LOSS
    assert "about 7 from table invoices" in found.detail
    assert "shardId-000000000003 (4711)" in found.detail
    assert (
        "aws dynamodb disable-kinesis-streaming-destination --table-name invoices "
        f"--stream-arn {CONFIG.stream_arn}"
    ) in found.first
    assert any("invoices" in line for line in world.logger.lines)


def test_each_other_table_is_named(world: WatchdogHarness) -> None:
    met(world, "invoices", "audit")
    assert world.round()[FOREIGN_RECORDS] == 2.0
    assert "invoices" in finding(world).first and "audit" in finding(world).first


def test_the_finding_holds_until_fifteen_minutes_without_a_record(world: WatchdogHarness) -> None:
    met(world, "invoices", ago=899)
    assert finding(world).level is Level.LOSS
    met(world, "invoices", ago=901)
    assert finding(world).level is Level.FINE


def test_more_tables_than_one_read_takes_are_all_named(world: WatchdogHarness) -> None:
    met(world, *(f"table-{n:03d}" for n in range(230)))
    assert world.round()[FOREIGN_RECORDS] == 230.0


def test_a_name_whose_row_has_expired_is_no_finding(world: WatchdogHarness) -> None:
    world.target.put_item(TableName="ledger", Item=index_item(frozenset({"invoices"})))
    assert finding(world).level is Level.FINE


@pytest.mark.parametrize("operation", ["GetItem", "BatchGetItem"])
def test_rows_that_cannot_be_read_are_unknown(world: WatchdogHarness, operation: str) -> None:
    met(world, "invoices")
    world.broken.add(operation)
    assert FOREIGN_RECORDS not in world.round()
    assert finding(world).level is Level.UNKNOWN


def test_rows_that_cannot_be_understood_are_unknown(world: WatchdogHarness) -> None:
    met(world, "invoices")
    world.target.put_item(TableName="ledger", Item={"k": {"B": b"foreign:invoices"}})
    assert finding(world).level is Level.UNKNOWN


def test_foreign_records_of_an_adopted_stream_are_no_finding() -> None:
    world = WatchdogHarness(config=replace(CONFIG, adopted_stream=True))
    met(world, "invoices")
    assert world.round()[FOREIGN_RECORDS] == 0.0
    [found] = [
        each
        for each in judge(world.watchdog.round(lambda: 240.0), world.config.expected)
        if each.detector is FOREIGN
    ]
    assert found.level is Level.FINE
    assert "adopted" in found.detail
