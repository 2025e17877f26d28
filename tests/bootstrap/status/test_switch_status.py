"""`status` during a switch and after it: what is open, what is closed, and the next command."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from bootstrap.core.state import State
from bootstrap.core.write_deny import WriteDeny, with_deny
from bootstrap.cutover.switch import after_commit
from bootstrap.journal.switch_records import AfterSwitch, GateGap, SwitchMode, SwitchStep
from bootstrap.status.json_members import as_json
from bootstrap.status.page import page
from bootstrap.status.switch_view import EXEC, REQUIRED
from bootstrap.status.writer_access import judge_policy
from tests.support.bootstrap.fake_aws import COMMAND, SOURCE_ARN, FakeAws
from tests.support.bootstrap.killed_process import replicated
from tests.support.bootstrap.status import FixedHealth, look, verify_as_of
from tests.support.bootstrap.switch_states import (
    NONCE,
    promoted,
    record,
    switched,
    switching,
)

pytestmark = pytest.mark.promise("C9", "C10")

SWITCH = COMMAND.format("switch")
TARGET_ARN = "arn:aws:dynamodb:eu-west-1:222222222222:table/orders-replica"


@pytest.fixture(scope="module")
def replica() -> FakeAws:
    return replicated()


@pytest.fixture
def world(replica: FakeAws) -> FakeAws:
    return replica.copied()


def shown(world: FakeAws) -> dict[str, Any]:
    found: dict[str, Any] = as_json(look(world))
    return found


def rows(world: FakeAws) -> dict[str, str]:
    """The page's rows by name, the last of each."""
    lines = [line.split(None, 1) for line in page(look(world)).splitlines()]
    return {words[0]: words[1] for words in lines if len(words) == 2}


def deny(arn: str, **conditions: Any) -> str:
    return with_deny(None, WriteDeny(NONCE, arn, **conditions))


def test_while_a_process_switches_the_page_says_the_step_and_counts_the_refused_seconds(
    world: FakeAws,
) -> None:
    attempt = switching(world, SwitchStep.DRAIN, holds=True)
    world.clock.advance(7)
    found = shown(world)
    assert (found["state"], found["switch"]["step"]) == ("SWITCHING", "drain")
    assert found["switch"]["writersRefusedSeconds"] == pytest.approx(
        world.clock() - attempt.closes, abs=1.5
    )
    assert found["next"] == COMMAND.format("status")
    assert found["decision"] is None
    assert rows(world)["state"].startswith("SWITCHING (drain) since")
    assert "the source opens by itself at" in rows(world)["writers"]


def test_of_a_dead_attempt_both_ways_are_named_with_what_each_opens(world: FakeAws) -> None:
    switching(world, SwitchStep.GATE)
    found = shown(world)
    assert found["next"] is None
    assert "Both tables refuse writers until you choose" in found["decision"]
    assert f"`{SWITCH} --cancel` opens the source" in found["decision"]
    assert f"`{SWITCH} --fence`" in found["decision"]
    assert "ends with the target open" in found["decision"]
    assert rows(world)["next"].startswith("your decision: no process works on the switch")


def test_before_the_seal_it_says_when_the_source_opens_by_itself(world: FakeAws) -> None:
    attempt = switching(world, SwitchStep.DRAIN)
    world.policies.set(SOURCE_ARN, deny(SOURCE_ARN, begins=attempt.closes, ends=attempt.reopens))
    found = shown(world)
    assert "the source opens by itself at" in found["decision"]
    assert found["switch"]["source"]["open"] is False
    world.clock.advance(attempt.reopens - world.clock() + 1)
    found = shown(world)
    assert "The source has been open again since" in found["decision"]
    assert found["switch"]["source"]["open"] is True


def test_a_seal_that_the_journal_only_intends_counts_by_what_the_policy_says(
    world: FakeAws,
) -> None:
    attempt = switching(world, SwitchStep.SEAL, sealed_at=0)
    world.policies.set(SOURCE_ARN, deny(SOURCE_ARN, begins=attempt.closes, ends=attempt.reopens))
    assert "opens by itself at" in shown(world)["decision"]
    world.policies.set(SOURCE_ARN, deny(SOURCE_ARN, begins=attempt.closes))
    assert "until you choose" in shown(world)["decision"]


def test_a_cancellation_that_died_half_way_is_completed(world: FakeAws) -> None:
    switching(world, SwitchStep.GATE, cancelled_at=world.clock(), reason="late writes")
    found = shown(world)
    assert found["next"] == f"{SWITCH} --cancel"
    assert found["decision"] is None
    assert found["switch"]["step"] == "cancelling"


def test_with_writes_stopped_it_says_that_only_the_operator_keeps_writers_off(
    world: FakeAws,
) -> None:
    switching(world, SwitchStep.DRAIN, mode=SwitchMode.WRITES_STOPPED, reopens=0)
    found = shown(world)
    assert "unless you keep them off" in found["decision"]
    assert f"`{SWITCH} --writes-stopped`" in found["decision"]
    assert rows(world)["writers"].startswith("kept off by you for")


def test_several_tables_of_one_switch_are_named_again(world: FakeAws) -> None:
    switching(world, SwitchStep.DRAIN, tables=("orders", "customers"))
    again = f"`{SWITCH} --table orders --table customers --fence`"
    assert again in shown(world)["decision"]


def test_what_is_open_after_the_commit_is_continued_by_the_same_command(world: FakeAws) -> None:
    done = tuple(name for name in REQUIRED if name != "mapping")
    switched(world, AfterSwitch(done=done, failed=("mapping: throttled",), opened_at=world.clock()))
    found = shown(world)
    assert found["switch"]["open"] == ["mapping: throttled"]
    assert found["next"] == f"{SWITCH} --fence"


def test_what_was_never_begun_after_the_commit_is_open_too(world: FakeAws) -> None:
    switched(world)
    assert shown(world)["switch"]["open"] == list(REQUIRED)
    assert shown(world)["next"] == f"{SWITCH} --fence"


def test_status_knows_every_item_that_follows_a_commit() -> None:
    assert after_commit.ITEMS == REQUIRED
    assert after_commit.EXEC == EXEC


def test_a_failed_exec_is_the_operators_as_only_they_know_the_command(world: FakeAws) -> None:
    switched(world, AfterSwitch(done=REQUIRED, failed=("exec: exit code 3",), opened_at=1))
    found = shown(world)
    assert found["next"] is None
    assert f"`{SWITCH} --fence --exec CMD`" in found["decision"]


def test_a_day_after_the_commit_the_switch_is_finished(world: FakeAws) -> None:
    switched(world, AfterSwitch(done=REQUIRED, opened_at=world.clock()))
    assert shown(world)["next"] is None
    assert "then `switch --finish`" in rows(world)["next"]
    world.clock.advance(86_400)
    assert shown(world)["next"] == f"{SWITCH} --finish"


def test_a_finished_switch_has_no_next_command(world: FakeAws) -> None:
    switched(world, AfterSwitch(done=REQUIRED, opened_at=1, finished_at=world.clock()))
    found = shown(world)
    assert (found["next"], found["decision"]) == (None, None)
    assert rows(world)["next"] == "nothing: the target is the primary"


def test_the_refused_seconds_end_when_the_target_takes_a_write(world: FakeAws) -> None:
    attempt = switched(world, AfterSwitch(done=REQUIRED, opened_at=world.clock() + 5))
    seconds = world.clock() + 5 - attempt.closes
    world.clock.advance(1_000)
    assert shown(world)["switch"]["writersRefusedSeconds"] == pytest.approx(seconds, abs=0.1)


def test_an_open_item_of_a_promotion_is_continued_by_promote(world: FakeAws) -> None:
    promoted(world, failed=("mapping: unreachable",))
    found = shown(world)
    assert found["promotion"]["open"] == ["mapping: unreachable"]
    assert found["next"] == f"{COMMAND.format('promote')} --yes"


def test_a_promotion_shows_its_loss_window_and_asks_nothing_of_the_source(world: FakeAws) -> None:
    report = {"lossWindow": {"completeUntil": "2026-01-01T00:00:00Z", "openQuarantineObjects": 2}}
    promoted(world, report=json.dumps(report))
    world.seen.clear()
    found = shown(world)
    assert found["promotion"]["lossWindow"] == report["lossWindow"]
    assert [each.detail for each in world.seen if each.name == "GetResourcePolicy"] == [TARGET_ARN]
    text = page(look(world))
    assert "lost          complete up to 2026-01-01T00:00:00Z" in text
    assert "lost          2 objects were open in quarantine" in text
    assert "The source may still take writes" in text
    assert (found["next"], found["decision"]) == (None, None)


@pytest.mark.parametrize("enter", [switching, switched, promoted])
def test_a_switch_is_never_said_to_be_safe_in_its_own_states(world: FakeAws, enter: Any) -> None:
    enter(world)
    unsafe = look(world).unsafe
    assert any("not REPLICATING" in each for each in unsafe)


def test_a_policy_that_cannot_be_read_is_unknown_and_not_open(world: FakeAws) -> None:
    switching(world)
    world.policies.set(SOURCE_ARN, json.dumps({"Statement": "not one"}))
    source = shown(world)["switch"]["source"]
    assert source["open"] is None
    assert "could not be read" in source["because"]


def test_what_a_cancelled_switch_left_to_ttl_is_a_loss_until_a_verification_covers_it(
    world: FakeAws,
) -> None:
    world.clock.advance(3_000)
    now = world.clock()
    record(world, State.REPLICATING, GateGap(now - 900, now - 300, 2))
    found = as_json(look(world, FixedHealth()))
    assert (found["state"], found["safeToSwitch"]) == ("DEGRADED", False)
    assert any("DeletionsLeftOut: about 2" in each for each in found["notSafeBecause"])
    begin, end = (datetime.fromisoformat(found["gap"][name]) for name in ("from", "to"))
    assert begin.timestamp() <= now - 900
    assert now - 300 <= end.timestamp() <= now
    assert found["gap"]["try"].startswith(COMMAND.format("backfill") + " --from ")
    verify_as_of(world, now)
    found = as_json(look(world, FixedHealth()))
    assert (found["state"], found["gap"], found["safeToSwitch"]) == ("REPLICATING", None, True)


NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("conditions", "is_open"),
    [
        ({}, False),
        ({"begins": NOW - 1, "ends": NOW + 1}, False),
        ({"begins": NOW, "ends": NOW + 9}, True),
        ({"begins": NOW - 9, "ends": NOW}, True),
        ({"excepted": ["arn:aws:iam::1:role/consumer"]}, False),
        ({"only": ["arn:aws:iam::1:role/consumer"]}, True),
    ],
)
def test_a_table_is_open_as_its_own_deny_says(conditions: dict[str, Any], is_open: bool) -> None:
    assert judge_policy(deny(SOURCE_ARN, **conditions), NOW).open is is_open


def test_a_table_without_our_deny_is_open_and_one_with_a_new_condition_unknown() -> None:
    assert judge_policy(None, NOW).open is True
    policy = json.loads(deny(SOURCE_ARN))
    policy["Statement"][0]["Condition"] = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    assert judge_policy(json.dumps(policy), NOW).open is None
