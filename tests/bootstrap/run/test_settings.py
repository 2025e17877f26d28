"""CONFIGURING: the target is set up as the plan said, and the ledger is ready for a backlog."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from bootstrap.core.errors import AccessDeniedError, AccountError, BlockedError, Side
from bootstrap.core.facts import TtlStatus
from bootstrap.core.run_options import RunOptions, TtlPolicy
from bootstrap.journal.records import Configured, Imported, Wanted
from bootstrap.status.json_members import as_json
from tests.support.bootstrap.fake_aws import COMMAND, LEDGER, FakeAws, outputs
from tests.support.bootstrap.killed_process import Process, replicated
from tests.support.bootstrap.status import FixedHealth, look, verify_as_of
from tests.support.fakes.errors import Killed


def busy(units_a_second: float) -> FakeAws:
    world = FakeAws()
    world.writes = lambda begin: units_a_second * 60
    world.ages = lambda begin: 0.0
    return world


def test_the_target_gets_the_tags_and_the_table_class_of_the_source() -> None:
    world = FakeAws()
    world.source_tags = {"team": "shop", "cost": "42"}
    world.source = dataclasses.replace(world.source, table_class="STANDARD_INFREQUENT_ACCESS")
    replicated(world)
    assert world.target_tags == world.source_tags
    assert world.target is not None
    assert world.target.table_class == "STANDARD_INFREQUENT_ACCESS"
    assert world.target.deletion_protection
    assert world.target_recovery


def test_the_stacks_tags_win_over_the_sources_whatever_the_capital_letters() -> None:
    world = FakeAws()
    world.source_tags = {"Team": "shop", "cost": "42"}
    tags = {"team": "payments", "stack": "prod"}
    replicated(world, dataclasses.replace(outputs(), tags=tags))
    assert world.target_tags == {"cost": "42", "stack": "prod", "team": "payments"}
    assert len(world.times("tag")) == 1


def test_settings_are_made_as_planned_when_the_source_has_changed_meanwhile() -> None:
    world = FakeAws()
    world.source_tags = {"team": "shop"}
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.exports))
    world.source_tags = {"team": "other"}
    process.until(lambda: process.run.journal.get(Configured) is not None)
    assert world.target_tags == {"team": "shop"}


def test_a_tag_that_somebody_put_on_the_target_stays() -> None:
    world = FakeAws()
    world.source_tags = {"team": "shop"}
    world.target_tags = {"team": "shop", "owner": "ops"}
    replicated(world)
    assert world.target_tags == {"team": "shop", "owner": "ops"}
    assert not world.times("tag")


def test_an_adopted_table_keeps_its_owners_settings_and_is_warmed_all_the_same() -> None:
    world = busy(3_000)
    world.source_tags = {"team": "shop"}
    world.source = dataclasses.replace(world.source, table_class="STANDARD_INFREQUENT_ACCESS")
    (table,) = outputs().tables
    adopted = dataclasses.replace(table, load=dataclasses.replace(table.load, adopt=True))
    replicated(world, dataclasses.replace(outputs(), tables=(adopted,)))
    assert world.target is not None
    assert not world.target.deletion_protection
    assert world.target.table_class == "STANDARD"
    assert (world.target_tags, world.target_recovery) == ({}, False)
    assert world.warmed == {"orders-replica": 13_200, LEDGER: 13_200}


def test_target_and_ledger_are_warm_before_the_consumer_starts_where_the_source_is_busy() -> None:
    world = busy(3_000)
    replicated(world)
    # Twice for transactions and a tenth for refusals, twice to gain on the source.
    assert world.warmed == {"orders-replica": 13_200, LEDGER: 13_200}
    assert world.order("warm", "enable_mapping") == ["warm", "enable_mapping"]


def indexed(world: FakeAws, **units_a_second: float) -> FakeAws:
    """Give the source indexes, each with the units that are written to it."""
    names = {name.replace("_", "-"): units for name, units in units_a_second.items()}
    world.source = dataclasses.replace(
        world.source,
        global_indexes=[
            {"IndexName": name, "KeySchema": [], "Projection": {}, "ItemCount": 5} for name in names
        ],
    )
    world.index_writes = {name: steady(units) for name, units in names.items()}
    return world


def steady(units_a_second: float) -> Callable[[float], float]:
    return lambda begin: units_a_second * 60


def warm_writes(world: FakeAws) -> dict[str, int]:
    assert world.target is not None
    return {
        each["IndexName"]: each["WarmThroughput"]["WriteUnitsPerSecond"]
        for each in world.target.global_indexes
    }


def test_indexes_are_warm_before_the_consumer_starts_as_far_as_each_is_written() -> None:
    world = indexed(busy(3_000), by_day=3_000, by_name=1_000, rare=10)
    replicated(world)
    assert warm_writes(world) == {"by-day": 13_200, "by-name": 4_400, "rare": 4_000}
    assert world.order("warm_indexes", "enable_mapping") == ["warm_indexes", "enable_mapping"]


def test_an_index_that_is_written_more_than_its_table_is_warmed_alone() -> None:
    # An update that moves an entry writes twice.
    world = indexed(busy(800), by_day=1_600)
    replicated(world)
    assert world.warmed == {}
    assert warm_writes(world) == {"by-day": 7_040}


def test_an_index_with_items_and_without_a_metric_is_warmed_like_its_table() -> None:
    world = indexed(busy(3_000), by_day=0)
    replicated(world)
    assert warm_writes(world) == {"by-day": 13_200}
    world = indexed(busy(3_000), by_day=0)
    empty = [{**each, "ItemCount": 0} for each in world.source.global_indexes]
    world.source = dataclasses.replace(world.source, global_indexes=empty)
    replicated(world)
    assert warm_writes(world) == {"by-day": 4_000}


def test_no_other_change_is_made_while_an_index_is_being_warmed() -> None:
    world = indexed(busy(3_000), by_day=3_000)
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.times("warm_indexes")))
    assert world.target is not None
    (index,) = world.target.global_indexes
    warming = {**index["WarmThroughput"], "Status": "UPDATING"}
    world.target = dataclasses.replace(
        world.target, global_indexes=[{**index, "WarmThroughput": warming}]
    )
    for _ in range(5):
        process.run.tick()
    assert process.run.journal.get(Configured) is None
    world.target = dataclasses.replace(world.target, global_indexes=[index])
    process.until(lambda: process.run.journal.get(Configured) is not None)
    assert len(world.times("warm_indexes")) == 1


def test_nothing_is_warmed_that_a_new_table_takes_anyway() -> None:
    world = busy(500)
    replicated(world)
    assert world.warmed == {}


def test_warm_throughput_stays_within_what_a_table_of_the_account_may_take() -> None:
    world = busy(3_000)
    world.table_writes = 8_000
    replicated(world)
    assert set(world.warmed.values()) == {8_000}


def test_a_source_that_writes_more_than_a_table_of_the_target_account_takes_blocks() -> None:
    world = busy(20_000)
    with pytest.raises(BlockedError, match="cost 44000 in the target"):
        Process(world).go()
    assert not world.exports


@pytest.mark.parametrize(
    ("policy", "on"), [(None, False), ("at-switch", False), ("never", False), ("now", True)]
)
def test_the_target_expires_items_only_where_the_operator_wants_it_before_the_switch(
    policy: str | None, on: bool
) -> None:
    world = FakeAws()
    world.source_expiry = TtlStatus(True, "until")
    Process(world, options=RunOptions(ttl=TtlPolicy(policy) if policy else None)).go()
    assert world.expiries.get("orders-replica", TtlStatus(False)).enabled is on
    if on:
        assert world.expiries["orders-replica"].attribute == "until"


def test_now_means_nothing_where_the_source_expires_nothing() -> None:
    world = FakeAws()
    Process(world, options=RunOptions(ttl=TtlPolicy.NOW)).go()
    assert "orders-replica" not in world.expiries


def test_time_to_live_can_be_taken_back_and_is_remembered_by_the_next_run() -> None:
    world = FakeAws()
    world.source_expiry = TtlStatus(True, "until")
    Process(world, options=RunOptions(ttl=TtlPolicy.NOW)).go()
    again = Process(world, pid=2)
    again.go()
    assert world.expiries["orders-replica"].enabled
    world.clock.advance(3_600)  # AWS takes one such change of a table an hour
    Process(world, pid=3, options=RunOptions(ttl=TtlPolicy.NEVER)).go()
    assert not world.expiries["orders-replica"].enabled


HOUR = 3_600.0


def follower(source: TtlStatus, then: TtlStatus, minutes: float = 120) -> FakeAws:
    """A replica that expires items as its source, whose time to live has changed since."""
    world = FakeAws()
    world.source_expiry = source
    Process(world, options=RunOptions(ttl=TtlPolicy.NOW)).go()
    world.clock.advance(60 * minutes)
    world.source_expiry = then
    return world


def follow(world: FakeAws, pid: int, **options: Any) -> str:
    """Run again; return what the run says that the replica lacks, if it says so."""
    try:
        Process(world, pid=pid, options=RunOptions(**options)).go()
    except AccountError as error:
        return error.what
    return ""


BY_OLD, BY_NEW, OFF = TtlStatus(True, "until"), TtlStatus(True, "expires"), TtlStatus(False)


@pytest.mark.promise("C1", "C7")
@pytest.mark.parametrize(
    ("source", "then"),
    [(BY_OLD, BY_NEW), (BY_OLD, OFF), (OFF, BY_NEW), (BY_OLD, TtlStatus(False, "until"))],
)
def test_the_next_run_follows_the_sources_time_to_live_of_today(
    source: TtlStatus, then: TtlStatus
) -> None:
    world = follower(source, then)
    follow(world, 2)
    there = world.expiries.get("orders-replica", OFF)
    assert there.enabled is then.enabled
    assert not there.enabled or there.attribute == then.attribute


@pytest.mark.promise("C7")
def test_an_attribute_changes_by_switching_off_waiting_and_switching_on() -> None:
    world = follower(BY_OLD, BY_NEW)
    world.seen.clear()
    began = world.clock()
    follow(world, 2)
    made = [each.detail for each in world.seen if each.name == "set_expiry"]
    assert made[0] == ("orders-replica", False)
    assert set(made[1:]) == {("orders-replica", True)}
    assert world.clock() - began >= HOUR
    assert world.mapping_enabled_at is not None


@pytest.mark.promise("C6")
@pytest.mark.parametrize("after", [False, True])
def test_a_run_killed_between_the_two_changes_leaves_the_rest_to_the_next(after: bool) -> None:
    world = follower(BY_OLD, BY_NEW)

    def kill(number: int, name: str, done: bool) -> None:
        if name == "set_expiry" and done is after:
            raise Killed(name)

    world.on_call = kill
    with pytest.raises(Killed):
        Process(world, pid=2).go()
    world.on_call = lambda number, name, done: None
    follow(world, 3)
    assert world.expiries["orders-replica"] == BY_NEW


@pytest.mark.promise("C7")
def test_a_run_without_that_policy_leaves_the_targets_time_to_live_alone() -> None:
    world = FakeAws()
    world.source_expiry = BY_OLD
    replicated(world)
    world.expiries["orders-replica"] = TtlStatus(True, "by-hand")
    world.source_expiry = BY_NEW
    Process(world, pid=2).go()
    assert world.expiries["orders-replica"] == TtlStatus(True, "by-hand")


@pytest.mark.promise("C7", "C10")
def test_until_then_status_has_a_finding() -> None:
    world = follower(BY_OLD, BY_NEW)
    shown = as_json(look(world, FixedHealth()))
    (found,) = [each for each in shown["detectors"] if each["metric"] == "TargetExpiry"]
    assert (found["level"], shown["state"], shown["safeToSwitch"]) == ("loss", "DEGRADED", False)
    assert (
        found["detail"]
        == "the target expires by attribute until, and the source by attribute expires"
    )
    assert COMMAND.format("run") in found["try"]
    assert "verify --repair" in found["try"].replace("--stack local ", "")
    follow(world, 2)
    assert expiry_shown(world)["detail"].startswith("the target expires by attribute expires, as")


def expiry_shown(world: FakeAws) -> Any:
    detectors = as_json(look(world, FixedHealth()))["detectors"]
    return next(each for each in detectors if each["metric"] == "TargetExpiry")


@pytest.mark.promise("C7", "C10")
@pytest.mark.parametrize("then", [BY_NEW, OFF])
@pytest.mark.parametrize("policy", [None, TtlPolicy.AT_SWITCH])
def test_what_the_target_has_deleted_is_missing_until_a_whole_verification_of_afterwards(
    then: TtlStatus, policy: TtlPolicy | None
) -> None:
    world = follower(BY_OLD, then)
    assert "expired items by another attribute" in follow(world, 2, ttl=policy)
    shown = as_json(look(world, FixedHealth()))
    assert (shown["state"], shown["safeToSwitch"]) == ("DEGRADED", False)
    assert any("verify --stack local --repair" in each for each in shown["warnings"])
    found = expiry_shown(world)
    assert (found["level"], "may be missing" in found["detail"]) == ("loss", True)
    verify_as_of(world, world.clock() - 60)
    assert as_json(look(world, FixedHealth()))["state"] == "DEGRADED"
    world.clock.advance(HOUR + 60)
    verify_as_of(world, world.clock())
    Process(world, pid=3).go()
    assert as_json(look(world, FixedHealth()))["state"] == "REPLICATING"


@pytest.mark.promise("C10")
@pytest.mark.parametrize(("source", "then"), [(OFF, BY_NEW), (BY_OLD, BY_OLD)])
def test_a_target_that_deleted_nothing_else_lacks_nothing(
    source: TtlStatus, then: TtlStatus
) -> None:
    world = follower(source, then)
    assert follow(world, 2) == ""
    assert as_json(look(world, FixedHealth()))["state"] == "REPLICATING"


@pytest.mark.promise("C7")
@pytest.mark.parametrize("policy", [TtlPolicy.AT_SWITCH, TtlPolicy.NEVER])
@pytest.mark.parametrize("now", [BY_NEW, OFF])
def test_a_target_that_was_made_to_expire_otherwise_than_the_source_is_a_loss(
    policy: TtlPolicy, now: TtlStatus
) -> None:
    world = FakeAws()
    world.source_expiry = now
    Process(world, options=RunOptions(ttl=policy)).go()
    world.expiries["orders-replica"] = BY_OLD
    found = expiry_shown(world)
    assert (found["level"], "by attribute until" in found["detail"]) == ("loss", True)
    assert "Enabled=false,AttributeName=until" in found["try"]
    # As before a switch, where the target expires what the source does.
    world.source_expiry = BY_OLD
    assert as_json(look(world, FixedHealth()))["state"] == "REPLICATING"


@pytest.mark.promise("C10")
def test_a_time_to_live_that_cannot_be_read_is_unknown() -> None:
    world = follower(BY_OLD, BY_OLD)

    def refuse(number: int, name: str, after: bool) -> None:
        if name == "source_expiry":
            raise AccessDeniedError(Side.SOURCE, "may not read it", fix="-", code="X")

    world.on_call = refuse
    shown = as_json(look(world, FixedHealth()))
    (found,) = [each for each in shown["detectors"] if each["metric"] == "TargetExpiry"]
    assert (found["level"], shown["state"]) == ("unknown", "UNKNOWN")


def test_the_plan_and_both_tables_ids_are_journaled() -> None:
    world = FakeAws()
    world.source_tags = {"team": "shop"}
    process = Process(world)
    process.go()
    wanted, imported = process.run.journal.get(Wanted), process.run.journal.get(Imported)
    assert wanted is not None
    assert json.loads(wanted.tags) == {"team": "shop"}
    assert imported is not None
    assert imported.table_id == "target-1"


def test_a_setting_that_stands_already_is_not_made_again() -> None:
    world = FakeAws()
    world.source_tags = {"team": "shop"}
    seen: list[Any] = []
    process = Process(world)
    process.start()
    process.until(lambda: bool(world.times("tag")))
    process.run.stop()
    Process(world, pid=2).go()
    seen = world.times("tag")
    assert len(seen) == 1
    assert len(world.times("protect")) == 1
