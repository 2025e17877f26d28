"""A table that AWS says cannot be used is a finding named after its state, on both sides (C7)."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from replicator.watchdog.aws_states import KEY_INACCESSIBLE, TableState, table_in
from replicator.watchdog.detectors import SOURCE, TARGET, Detector, Level
from replicator.watchdog.finding import Finding
from replicator.watchdog.readings import Identity, Intent, Unread
from replicator.watchdog.resource_findings import judge_table
from tests.support.replicator.watchdog_harness import WatchdogHarness, set_destination, steady

pytestmark = pytest.mark.promise("C7", "C10")

LOST = datetime.datetime(2026, 11, 20, 8, 30, tzinfo=datetime.UTC)
ARCHIVED = datetime.datetime(2026, 11, 27, 9, 0, tzinfo=datetime.UTC)
KEY_GONE: dict[str, Any] = {
    "TableStatus": KEY_INACCESSIBLE,
    "SSEDescription": {"Status": "ENABLED", "InaccessibleEncryptionDateTime": LOST},
}
ARCHIVE: dict[str, Any] = {
    "TableStatus": "ARCHIVED",
    "ArchivalSummary": {"ArchivalDateTime": ARCHIVED, "ArchivalReason": KEY_INACCESSIBLE},
}


CONSUMING = Intent(consuming=True)


def judged(
    detector: Detector = SOURCE,
    *,
    first: str | None = "1",
    intent: Intent | Unread = CONSUMING,
    **state: Any,
) -> Finding:
    table = table_in({"Table": {"TableId": "1", **state}})
    return judge_table(detector, Identity(table, first), intent)


@pytest.mark.parametrize("detector", [SOURCE, TARGET])
def test_a_table_whose_key_is_gone_is_a_loss_that_names_the_seven_days(detector: Detector) -> None:
    found = judged(detector, **KEY_GONE)
    assert (found.level, found.value) == (Level.LOSS, 1.0)
    assert KEY_INACCESSIBLE in found.detail
    assert "since 2026-11-20T08:30:00+00:00" in found.detail
    assert "after seven days, at 2026-11-27T08:30:00+00:00" in found.detail
    assert "aws kms enable-key" in found.first


def test_a_key_that_is_gone_counts_before_the_table_has_changed_its_state() -> None:
    found = judged(**{**KEY_GONE, "TableStatus": "ACTIVE"})
    assert found.level is Level.LOSS
    assert "KMS key" in found.detail


def test_a_key_that_is_gone_counts_without_its_date() -> None:
    found = judged(TableStatus=KEY_INACCESSIBLE)
    assert found.level is Level.LOSS
    assert "seven days" in found.detail


@pytest.mark.parametrize("status", ["ARCHIVING", "ARCHIVED"])
@pytest.mark.parametrize("first", ["1", None])
def test_an_archived_table_is_a_loss(status: str, first: str | None) -> None:
    found = judged(first=first, **{**ARCHIVE, "TableStatus": status})
    assert (found.level, found.value) == (Level.LOSS, 1.0)
    assert f"{status} since 2026-11-27T09:00:00+00:00 ({KEY_INACCESSIBLE})" in found.detail
    assert "another table" in found.first


@pytest.mark.parametrize(
    "status", ["CREATING", "DELETING", "REPLICATION_NOT_AUTHORIZED", "A_STATE_OF_NEXT_YEAR"]
)
def test_every_other_state_is_named_and_never_fine(status: str) -> None:
    found = judged(TableStatus=status)
    assert found.level in (Level.LOSS, Level.WARNING)
    assert (found.value, found.detail) == (1.0, status)
    assert found.first


def test_an_answer_without_a_state_is_not_taken_for_healthy() -> None:
    assert judged().level is not Level.FINE


def test_a_table_works_while_its_settings_change_or_the_import_makes_it() -> None:
    updating = judged(TableStatus="UPDATING")
    assert (updating.level, updating.detail) == (Level.FINE, "1, UPDATING")
    making = judged(TARGET, first=None, intent=Intent(), TableStatus="CREATING")
    assert making.level is Level.FINE
    for detector, intent in ((SOURCE, Intent()), (TARGET, CONSUMING)):
        assert judged(detector, first=None, intent=intent, TableStatus="CREATING").value == 1.0


@pytest.mark.parametrize(
    ("detector", "intent"),
    [
        (SOURCE, Intent()),
        (SOURCE, CONSUMING),
        (TARGET, CONSUMING),
        (TARGET, Intent(replicating=True)),
        (TARGET, Unread("AccessDeniedException")),
    ],
)
def test_no_table_is_a_loss_where_one_has_to_be_even_if_nobody_has_seen_its_id(
    detector: Detector, intent: Intent | Unread
) -> None:
    found = judge_table(detector, Identity(None, None), intent)
    assert (found.level, found.value, found.detail) == (Level.LOSS, 1.0, "no such table")


@pytest.mark.parametrize("intent", [Intent(), Intent(consuming=True, paused=True)])
def test_a_target_is_not_missed_before_its_import_or_once_an_abandoned_run_has_dropped_it(
    intent: Intent,
) -> None:
    assert judge_table(TARGET, Identity(None, None), intent).level is Level.FINE


def test_what_aws_says_of_a_destination_that_failed_is_shown() -> None:
    world = steady()
    why = "The stream's key is disabled."
    set_destination(DestinationStatus="ENABLE_FAILED", DestinationStatusDescription=why)(world)
    assert world.after()["DestinationActive"] == 0.0
    line = next(line for line in world.logger.lines if line.startswith("DestinationActive"))
    assert "ENABLE_FAILED (The stream's key is disabled.)" in line


def test_another_table_is_a_loss_in_every_state() -> None:
    for status in ("ACTIVE", "CREATING", "A_STATE_OF_NEXT_YEAR"):
        found = judge_table(SOURCE, Identity(TableState("2", status), "1"), CONSUMING)
        assert (found.level, found.first) == (Level.LOSS, SOURCE.first)
        assert found.detail.startswith("2")


def test_a_source_without_its_key_fires_the_gauge_until_the_key_is_back() -> None:
    world = steady()
    world.source_state = KEY_GONE
    assert world.after()["SourceTableChanged"] == 1.0
    assert any("seven days" in line for line in world.logger.lines)
    world.source_state = {"TableStatus": "ACTIVE"}
    assert world.after()["SourceTableChanged"] == 0.0


def test_a_target_without_its_key_fires_its_gauge() -> None:
    world: WatchdogHarness = steady()
    world.target.tables["orders-replica"].description.update(KEY_GONE)
    gauges = world.after()
    assert gauges["TargetTableChanged"] == 1.0
    assert gauges["SourceTableChanged"] == 0.0
