"""Bulk operations beside the consumer, and a bulk load that runs, as `status` shows them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bootstrap.core.bulk_facts import BulkFacts
from bootstrap.core.errors import AccountError, Side
from bootstrap.core.journal_rows import Row, to_json
from bootstrap.core.state import State
from bootstrap.journal.load_records import BulkLoad, LoadTarget
from bootstrap.journal.records import Enabled, Imported
from bootstrap.journal.verification_records import Verified
from bootstrap.status.bulk_operations import BULK_OPERATION_ON_TARGET, judge_operations
from bootstrap.status.health import state_now
from bootstrap.status.json_members import as_json
from replicator.watchdog.detectors import Level
from tests.support.bootstrap.fake_aws import TARGET_ARN, FakeAws, outputs
from tests.support.bootstrap.killed_process import Process
from tests.support.bootstrap.status import look

IMPORTED, ENABLED = Imported(done=True, table_id="target-1", ended=1_000), Enabled(1_100)
ROW = Row(
    run_id="20261130T000000Z-abc",
    state=State.REPLICATING,
    records={each.key: to_json(each) for each in (IMPORTED, ENABLED)},
)
THEIRS = BulkFacts(f"{TARGET_ARN}/bulk-operation/9", "IN_PROGRESS", token="theirs", started=2_000)


def verified(until: float) -> Verified:
    return Verified("round", until, until, until, 1.0, 3, 3, 3, 0, 0, 0, 0, 0, 0, until)


@pytest.mark.promise("C7")
@pytest.mark.parametrize("status", ["IN_PROGRESS", "CANCELLING", "A_NEW_STATE"])
def test_an_operation_that_is_not_terminal_makes_the_replica_degraded(status: str) -> None:
    running = BulkFacts(THEIRS.arn, status, token="theirs")
    (found,) = judge_operations(ROW, lambda since: [running], None)
    assert (found.detector, found.level) == (BULK_OPERATION_ON_TARGET, Level.LOSS)
    assert THEIRS.arn in found.detail
    assert state_now(State.REPLICATING, [found]) is State.DEGRADED


@pytest.mark.promise("C7")
def test_what_an_ended_operation_wrote_stays_a_loss_until_a_later_verification() -> None:
    ended = BulkFacts(
        THEIRS.arn, "COMPLETED", token="theirs", started=2_000, ended=3_000, processed_items=1
    )
    for known, level in (
        (None, Level.LOSS),
        (verified(2_500), Level.LOSS),
        (verified(3_001), Level.FINE),
    ):
        (found,) = judge_operations(ROW, lambda since: [ended], known)
        assert found.level is level


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED", "COMPLETED"])
@pytest.mark.parametrize(
    ("more", "level"),
    [
        ({}, Level.FINE),
        ({"processed_items": 1}, Level.LOSS),
        ({"counted": False}, Level.LOSS),
        ({"status": "IN_PROGRESS"}, Level.LOSS),
    ],
    ids=["nothing", "an item", "not counted", "still running"],
)
def test_an_ended_operation_that_has_put_nothing_is_no_loss(
    status: str, more: dict[str, Any], level: Level
) -> None:
    ended = BulkFacts(THEIRS.arn, status, token="theirs", started=2_000, ended=3_000)
    (found,) = judge_operations(ROW, lambda since: [dataclasses.replace(ended, **more)], None)
    assert found.level is level


@pytest.mark.promise("C7")
def test_what_another_operation_put_beside_the_load_is_a_loss_whenever_it_began() -> None:
    made = LoadTarget(intended_at=400, table_id="target-1")
    row = dataclasses.replace(ROW, records={**ROW.records, made.key: to_json(made)})
    beside = BulkFacts(
        THEIRS.arn,
        "COMPLETED",
        TARGET_ARN,
        "target-1",
        "theirs",
        started=300,
        ended=900,
        processed_items=3,
    )
    elsewhere = dataclasses.replace(beside, table_id="a-table-before")
    asked: list[float] = []

    def read(since: float) -> list[BulkFacts]:
        asked.append(since)
        return [beside, elsewhere]

    (found,) = judge_operations(row, read, None)
    assert (asked, found.level, found.value) == ([400], Level.LOSS, 1)
    (found,) = judge_operations(row, read, verified(901))
    assert found.level is Level.FINE


def test_after_an_import_later_operations_are_asked_for_and_this_runs_own_is_none() -> None:
    asked: list[float] = []
    own = BulkFacts(THEIRS.arn, "COMPLETED", token=f"{ROW.run_id}-load-1", ended=1_000)

    def read(since: float) -> list[BulkFacts]:
        asked.append(since)
        return [own]

    (found,) = judge_operations(ROW, read, None)
    assert (asked, found.level) == ([1_000], Level.FINE)


@pytest.mark.promise("C10")
def test_a_list_that_cannot_be_read_is_unknown_and_not_fine() -> None:
    def refuse(since: float) -> list[BulkFacts]:
        raise AccountError(Side.TARGET, "denied", fix="-", code="AccessDeniedException")

    (found,) = judge_operations(ROW, refuse, None)
    assert found.level is Level.UNKNOWN
    assert state_now(State.REPLICATING, [found]) is State.UNKNOWN


def test_before_the_consumer_is_enabled_and_without_bulk_loads_nothing_is_asked() -> None:
    def fail(since: float) -> list[BulkFacts]:
        raise AssertionError

    assert judge_operations(Row(run_id="r"), fail, None) == ()
    assert judge_operations(ROW, None, None) == ()


def test_status_measures_a_running_load_by_its_bytes_and_names_its_operation() -> None:
    world = FakeAws()
    bulk = outputs(load="bulk")
    process = Process(world, 1, chosen=bulk)
    process.start()

    def begun() -> bool:
        load = process.run.journal.get(BulkLoad)
        return load is not None and bool(load.arn)

    process.until(begun)
    shown = as_json(look(world, chosen=bulk))
    assert (shown["progress"]["bytes"], shown["progress"]["ofBytes"]) == (100, 300)
    assert shown["bulkLoad"] == {
        "adopted": False,
        "tableId": "created-1",
        "operationArn": f"{TARGET_ARN}/bulk-operation/0001",
        "part": 1,
        "parts": 1,
    }
