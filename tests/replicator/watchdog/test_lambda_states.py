"""What Lambda itself says of the consumer is shown, and is a finding after two rounds (C7, C10)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from replicator.watchdog.detectors import FAILURES, FUNCTION, MAPPING, QUARANTINE, Level
from replicator.watchdog.finding import Finding
from replicator.watchdog.judge import judge
from replicator.watchdog.lambda_states import FunctionState, function_in, mapping_in
from replicator.watchdog.probe_rounds import WatchdogState
from tests.support.replicator.watchdog_harness import CONFIG, WatchdogHarness, steady
from tests.support.replicator.watchdog_harness import MAPPING as HEALTHY

pytestmark = pytest.mark.promise("C7", "C10")

NO_ACCESS = "PROBLEM: Lambda cannot read the stream"


def finding(world: WatchdogHarness, detector: Any) -> Finding:
    """Judge the round after a healthy interval."""
    world.clock.advance(1)
    world.consume()
    world.clock.advance(299)
    found = judge(world.watchdog.round(lambda: 240.0), CONFIG.expected)
    return next(each for each in found if each.detector is detector)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"LastProcessingResult": NO_ACCESS}, NO_ACCESS),
        ({"LastProcessingResult": "PROBLEM: Function call failed"}, "Function call failed"),
        ({"LastProcessingResult": "A NEW WORD"}, "A NEW WORD"),
        ({"StateTransitionReason": "Lambda lacks a permission"}, "Lambda lacks a permission"),
    ],
)
def test_two_rounds_of_a_problem_are_a_finding_and_one_is_shown(
    said: dict[str, str], words: str
) -> None:
    world = steady()
    world.mapping_settings |= said
    once = finding(world, FUNCTION)
    assert (once.level, once.value) == (Level.FINE, 1.0)
    assert words in once.detail
    twice = finding(world, FUNCTION)
    assert (twice.level, twice.value) == (Level.WARNING, 0.0)
    assert words in twice.detail
    assert any(line.startswith("FunctionHealthy") and words in line for line in world.logger.lines)
    world.mapping_settings = dict(HEALTHY)
    assert finding(world, FUNCTION).level is Level.FINE
    world.mapping_settings |= said
    assert finding(world, FUNCTION).level is Level.FINE, "the count begins again"


@pytest.mark.parametrize("result", ["OK", "No records processed", None])
@pytest.mark.parametrize("reason", ["User action", "USER_INITIATED", None])
def test_a_mapping_that_works_reports_nothing(result: str | None, reason: str | None) -> None:
    said = {"State": "Enabled", "LastProcessingResult": result, "StateTransitionReason": reason}
    assert mapping_in(said).reports == ""


def test_what_lambda_said_before_a_pause_is_no_finding() -> None:
    world = steady()
    world.mapping_settings["LastProcessingResult"] = NO_ACCESS
    world.settle(expire=True, paused=True)
    world.mapping = "Disabled"
    for _ in range(3):
        assert finding(world, FUNCTION).level is Level.FINE


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"State": "Pending", "StateReasonCode": "Creating"}, "Pending (Creating)"),
        ({"State": "Inactive"}, "its state is Inactive"),
        ({"State": "Failed", "StateReason": "The key is disabled"}, "Failed (The key is disabled)"),
        ({"State": "A_NEW_STATE"}, "A_NEW_STATE"),
        ({"LastUpdateStatus": "Failed", "LastUpdateStatusReason": "No subnet"}, "Failed (No"),
        ({"LastUpdateStatus": "A_NEW_STATUS"}, "A_NEW_STATUS"),
        ({"State": None}, "unknown"),
    ],
)
def test_every_other_state_of_the_function_is_named(changes: dict[str, Any], words: str) -> None:
    world = steady()
    assert world.function is not None
    world.function = {**world.function, **changes}
    found = finding(world, FUNCTION)
    assert (found.level, found.value) == (Level.WARNING, 0.0)
    assert words in found.detail


def test_a_function_may_rest_while_the_consumer_is_paused() -> None:
    world = steady()
    world.settle(expire=True, paused=True)
    world.mapping = "Disabled"
    world.function = {"State": "Inactive", "LastUpdateStatus": "Successful"}
    assert finding(world, FUNCTION).level is Level.FINE


@pytest.mark.parametrize(
    ("state", "level"),
    [("Deleting", Level.WARNING), ("A_NEW_STATE", Level.UNKNOWN)],
)
@pytest.mark.parametrize("paused", [True, False])
def test_a_state_of_the_mapping_that_is_neither_on_nor_off_is_never_fine(
    state: str, level: Level, paused: bool
) -> None:
    world = steady()
    world.settle(expire=True, paused=paused)
    world.mapping = state
    found = finding(world, MAPPING)
    assert (found.level, found.value) == (level, 0.0)
    assert found.detail.startswith(state)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"MaximumRetryAttempts": 3}, "gives a batch up after 3 retries"),
        ({"MaximumRecordAgeInSeconds": 600}, "gives a record up after 600 s"),
        ({"FunctionResponseTypes": []}, "ignores which records"),
        ({"FunctionResponseTypes": None}, "ignores which records"),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{}"}]}}, "filters records out"),
        ({"DestinationConfig": {}}, "gives up nowhere, not into on-failure"),
        ({"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::x"}}}, "arn:aws:s3:::x"),
    ],
)
def test_a_setting_by_which_lambda_gives_changes_up_is_a_loss(
    changes: dict[str, Any], words: str
) -> None:
    world = steady()
    assert finding(world, MAPPING).level is Level.FINE
    world.mapping_settings |= changes
    found = finding(world, MAPPING)
    assert (found.level, found.value) == (Level.LOSS, 0.0)
    assert words in found.detail
    assert "pulumi up --refresh" in found.first


@pytest.mark.parametrize(
    ("bucket", "detector"), [("on-failure", FAILURES), ("quarantine", QUARANTINE)]
)
def test_a_bucket_that_is_gone_is_a_loss_and_not_a_matter_of_credentials(
    bucket: str, detector: Any
) -> None:
    world = steady()
    del world.s3.buckets[bucket]
    found = finding(world, detector)
    assert (found.level, found.value, found.detail) == (Level.LOSS, None, "there is no such bucket")
    assert "pulumi up --refresh" in found.first
    assert "credentials" not in found.first


def test_the_function_and_the_count_survive_as_text() -> None:
    state = WatchdogState().saw_report(True).saw_function(FunctionState("Active", "Failed"), 5.0)
    assert WatchdogState.from_text(state.as_text()) == state
    gone = dataclasses.replace(state).saw_function(None, 6.0)
    assert WatchdogState.from_text(gone.as_text()) == gone
    more = state.as_text().replace('"state_reason"', '"of_a_newer_watchdog": "x", "state_reason"')
    assert WatchdogState.from_text(more) == state


def test_a_reason_is_read_by_its_code_where_there_is_no_text() -> None:
    assert function_in({"State": "Failed", "StateReasonCode": "Idle"}).state_reason == "Idle"
