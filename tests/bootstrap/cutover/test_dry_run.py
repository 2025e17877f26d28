"""`switch --dry-run`: what it shows on day one and on the day, and that it changes nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from bootstrap.core.errors import Side, UsageError
from bootstrap.core.facts import ScaledCapacity, TtlStatus
from bootstrap.cutover.context import SwitchOptions
from bootstrap.cutover.plan.actions import SwitchPart
from bootstrap.cutover.plan.application import application_needs
from bootstrap.cutover.plan.dry_run import SwitchPlan, plan_switch
from bootstrap.cutover.plan.json_members import as_json
from bootstrap.cutover.plan.page import page
from bootstrap.journal.switch_records import SwitchMode, TargetDeny
from bootstrap.status.health import Health
from replicator.watchdog.readings import Probed
from tests.support.bootstrap.fake_aws import (
    COMMAND,
    SOURCE_ARN,
    STREAM_ARN,
    TARGET_ARN,
    FakeAws,
    outputs,
    switch_outputs,
)
from tests.support.bootstrap.killed_process import Process, journal_verified, replicated
from tests.support.bootstrap.plans import local_index
from tests.support.bootstrap.status import NOW, healthy
from tests.support.bootstrap.switch_conditions import NONCE, deny_document, looking, verified

pytestmark = [pytest.mark.promise("C9"), pytest.mark.promise("C10")]

COMMANDS = {"orders": COMMAND}
READS = {
    *("GetItem", "GetResourcePolicy", "describe_source", "describe_target", "destinations"),
    *("source_expiry", "source_tags", "surroundings", "scaled_capacity"),
    *("target_backups", "target_expiry", "target_tags"),
}


@pytest.fixture(scope="module")
def replica() -> FakeAws:
    """A replica that is ready to be switched."""
    world = replicated()
    with_deny(world)
    return world


def with_deny(world: FakeAws) -> None:
    """The target's Deny stands for a day, and a verification has come after it."""
    process = Process(world, pid=96)
    with world.unwatched():
        process.lease.acquire(take_over=True)
        journal = process.run.journal
        journal.refresh()
        journal.put(TargetDeny(NONCE, world.clock()), "the target's Deny")
        process.lease.release()
    world.clock.sleep(86_400)
    world.policies.set(TARGET_ARN, deny_document())
    journal_verified(world, verified(world.clock() - 3_600))


def planned(world: FakeAws, options: SwitchOptions | None = None, **table: Any) -> SwitchPlan:
    return plan_switch([looking(world, options, switch_outputs(**table))])


def open_conditions(plan: SwitchPlan) -> set[str]:
    return {each.name for each in plan.tables[0].checks if each.fulfilled is not True}


def test_table_that_is_ready_has_no_open_condition(replica: FakeAws) -> None:
    plan = planned(replica.copied())

    assert open_conditions(plan) == set()
    assert plan.ready
    assert "nothing is known that would stop it" in page(plan, COMMANDS)


@pytest.mark.parametrize("mode", list(SwitchMode))
def test_dry_run_only_reads(replica: FakeAws, mode: SwitchMode) -> None:
    world = replica.copied()
    before = world.copied()
    first = len(world.seen)

    plan = planned(world, SwitchOptions(mode))
    page(plan, COMMANDS)

    made = {each.name for each in world.seen[first:]}
    assert made
    assert made <= READS
    assert world.dynamodb.tables == before.dynamodb.tables
    assert world.target == before.target


def test_on_day_one_it_says_what_must_be_true_days_before() -> None:
    shown = planned(FakeAws())

    assert [each.done for each in shown.tables[0].preparations] == [True, False, False, None, None]
    text = page(shown, COMMANDS)
    assert "it would not begin" in text
    assert "Try: python -m bootstrap run --stack local" in text
    assert "does not exist yet" in text
    assert as_json(shown, COMMANDS)["settings"] == {}


def test_verification_of_before_the_deny_does_not_count(replica: FakeAws) -> None:
    world = replica.copied()
    journal_verified(world, verified(world.clock() - 86_400))

    assert open_conditions(planned(world)) == {"verified-since-deny"}
    assert planned(world).tables[0].preparations[2].done is False


def test_json_and_page_have_the_same_conditions_and_actions(replica: FakeAws) -> None:
    plan = planned(replica.copied(), SwitchOptions(SwitchMode.FENCE, check_command="./check"))
    value, text = as_json(plan, COMMANDS), page(plan, COMMANDS)

    json.dumps(value)
    (table,) = value["tables"]
    assert [each["name"] for each in table["checks"]] == [
        each.name for each in plan.tables[0].checks
    ]
    for each in table["actions"]:
        assert each["call"] is None or f"{each['call']} on {each['resource']}" in text
    assert "--check-cmd: ./check" in text


def test_settings_member_of_the_json_is_what_the_file_takes(
    replica: FakeAws, tmp_path: Path
) -> None:
    world = replica.copied()
    world.source_tags = {"team": "shop"}
    first = planned(world)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(as_json(first, COMMANDS)))

    again = planned(world, SwitchOptions(SwitchMode.FENCE, settings=path))

    assert again.tables[0].settings == first.tables[0].settings
    assert again.tables[0].changes == first.tables[0].changes
    assert [each.setting for each in first.tables[0].changes] == ["tags"]


def test_invalid_settings_file_is_refused(replica: FakeAws, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"orders": {}}')

    with pytest.raises(UsageError, match=r"orders\.tags: is missing"):
        planned(replica.copied(), SwitchOptions(SwitchMode.FENCE, settings=path))


# -- how long writers are refused -----------------------------------------------------------------


def test_writers_are_refused_for_the_fixed_waits_and_the_measured_rounds(replica: FakeAws) -> None:
    refused = planned(replica.copied()).refused

    fixed = [part.seconds for part in refused.parts if not part.measured]
    assert fixed == [60, 180, 60], "the five minutes of the design"
    assert refused.seconds == 300 + 2 * 2.5
    assert refused.spread == 300


def test_unknown_lag_makes_the_time_unknown(replica: FakeAws) -> None:
    context = looking(replica.copied())
    blind = dataclasses.replace(context, read_health=lambda row, at: Health())

    plan = plan_switch([blind])
    assert plan.refused.seconds is None
    assert "more than 5 min" in page(plan, COMMANDS)
    assert not plan.ready


def test_check_command_makes_the_time_unknown(replica: FakeAws) -> None:
    options = SwitchOptions(SwitchMode.FENCE, check_command="x")

    assert planned(replica.copied(), options).refused.seconds is None


def test_tables_of_a_set_share_the_waits_and_the_slowest_one_counts(replica: FakeAws) -> None:
    world = replica.copied()
    slow = Health(healthy(probed=Probed(NOW - 60, None, 9.0)))
    first = looking(world)
    second = dataclasses.replace(first, read_health=lambda row, at: slow)

    plan = plan_switch([first, second])

    assert plan.refused.seconds == 300 + 2 * 9.0
    assert "the slowest of 2 tables" in page(plan, COMMANDS)
    assert len(as_json(plan, COMMANDS)["tables"]) == 2


# -- readers of both tables -----------------------------------------------------------------------


def found(plan: SwitchPlan) -> dict[tuple[Side, str], bool | None]:
    return {(each.side, each.kind): each.found for each in plan.tables[0].readers}


def test_every_reader_is_named_or_the_command_that_shows_it(replica: FakeAws) -> None:
    world = replica.copied()
    world.source = dataclasses.replace(
        world.source, stream_view="NEW_IMAGE", stream_arn=f"{SOURCE_ARN}/stream/1"
    )
    world.destinations = [
        *world.destinations,
        dataclasses.replace(world.destinations[0], stream_arn="arn:other", status="ACTIVE"),
    ]
    plan = planned(world)

    seen = found(plan)
    assert seen[Side.SOURCE, "dynamodb-stream"] is True
    assert seen[Side.SOURCE, "kinesis-destinations"] is True
    assert seen[Side.SOURCE, "lambda-triggers"] is None
    assert seen[Side.SOURCE, "autoscaling"] is False
    assert seen[Side.TARGET, "kinesis-destinations"] is None
    assert all(
        each.look.startswith("aws ") for each in plan.tables[0].readers if each.found is None
    )
    text = page(plan, COMMANDS)
    assert (
        f"aws lambda list-event-source-mappings --event-source-arn {SOURCE_ARN}/stream/1 "
        "--region eu-west-1" in text
    )
    assert "arn:other (ACTIVE)" in text
    assert STREAM_ARN not in str([each.detail for each in plan.tables[0].readers])


# -- what the application needs -------------------------------------------------------------------


def needs(plan: SwitchPlan) -> dict[str, Any]:
    return {each.name: each for each in plan.tables[0].needs}


def test_statements_of_the_sources_policy_are_shown_as_the_target_needs_them(
    replica: FakeAws,
) -> None:
    world = replica.copied()
    theirs = {
        "Sid": "Readers",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::333333333333:root"},
        "Action": "dynamodb:Query",
        "Resource": [SOURCE_ARN, f"{SOURCE_ARN}/index/by-day"],
    }
    world.policies.set(SOURCE_ARN, json.dumps({"Statement": theirs}))

    need = needs(planned(world))["principals"]

    assert "Readers" in need.source
    (statement,) = need.statements
    assert statement == {**theirs, "Resource": [TARGET_ARN, f"{TARGET_ARN}/index/by-day"]}
    assert f"{TARGET_ARN}/index/by-day" in page(planned(world), COMMANDS)


def test_commands_scale_the_target_as_the_source(replica: FakeAws) -> None:
    world = replica.copied()
    world.scaled = [
        ScaledCapacity("table/orders", "dynamodb:table:ReadCapacityUnits", 5, 50),
        ScaledCapacity("table/orders/index/by-day", "dynamodb:index:WriteCapacityUnits", 1, 9),
    ]

    first, second = needs(planned(world))["autoscaling"].commands
    assert "--resource-id table/orders-replica " in first
    assert "--min-capacity 5 --max-capacity 50 --region eu-west-1" in first
    assert "--resource-id table/orders-replica/index/by-day " in second


def test_only_what_differs_is_to_be_changed(replica: FakeAws) -> None:
    found = needs(planned(replica.copied()))

    assert set(found) == {"account", "table", "arn", "principals", "key", "autoscaling"}
    assert found["arn"].target == TARGET_ARN


def test_the_application_needs_the_key_that_the_target_has_and_not_the_one_that_is_wanted() -> None:
    stack, world = outputs(), FakeAws()
    wanted, kept = (f"arn:aws:kms:eu-west-1:222222222222:key/{each}" for each in ("wanted", "kept"))
    table = dataclasses.replace(stack.tables[0], target_key_arn=wanted)
    for has, begins in ((wanted, f"{wanted}: each role needs"), (kept, f"{kept}, which the table")):
        target = dataclasses.replace(world.source, encryption="KMS", key_arn=has)
        found = application_needs(stack, table, world.source, target, None, ())
        (need,) = [each for each in found if each.name == "key"]
        assert need.target.startswith(begins)
        assert wanted in need.target


def test_indexes_that_the_target_lacks_are_named_and_do_not_stop_a_switch(
    replica: FakeAws,
) -> None:
    world = replica.copied()
    ready = {check.name: check.fulfilled for check in planned(world).tables[0].checks}
    assert world.source is not None
    world.source = dataclasses.replace(
        world.source, local_indexes=[local_index()], vector_indexes=["similar"]
    )

    plan = planned(world)
    found = needs(plan)["indexes"]
    assert "it lacks local index latest" in found.target
    assert "it lacks vector index similar" in found.target
    assert "--table-name orders-replica" in found.commands[0]
    assert "it lacks vector index similar" in page(plan, COMMANDS)
    assert {check.name: check.fulfilled for check in plan.tables[0].checks} == ready


# -- actions --------------------------------------------------------------------------------------


def actions(plan: SwitchPlan) -> list[tuple[str, str]]:
    return [(each.part, each.call) for each in plan.tables[0].actions if each.call]


def test_after_the_commit_nothing_leads_back(replica: FakeAws) -> None:
    plan = planned(replica.copied())
    shown = plan.tables[0].actions
    commit = [each.part for each in shown].index(SwitchPart.COMMIT)

    assert all("--cancel" in each.back for each in shown[:commit] if "Deny" in each.what)
    assert all(each.back for each in shown[:commit])
    assert shown[commit].back == ""


def test_writes_stopped_by_the_operator_change_nothing_in_the_source(replica: FakeAws) -> None:
    world = replica.copied()
    stopped = planned(world, SwitchOptions(SwitchMode.WRITES_STOPPED))
    before = [each for each in stopped.tables[0].actions if each.part not in ("after", "finish")]

    assert [each for each in before if each.resource == SOURCE_ARN] == []
    assert "you are the fence" in page(stopped, COMMANDS).replace("\n", " ")


def test_expiry_moves_from_the_source_to_the_target(replica: FakeAws) -> None:
    world = replica.copied()
    world.source_expiry = TtlStatus(True, "expires")

    shown = [each for each in planned(world).tables[0].actions if each.call == "UpdateTimeToLive"]
    assert [each.resource for each in shown] == [TARGET_ARN, SOURCE_ARN]
    assert {each.part for each in shown} == {"after"}
