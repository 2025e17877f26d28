"""The target's settings as the primary: read, written as JSON, validated, and applied in order."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from bootstrap.core.errors import UsageError
from bootstrap.core.facts import ON_DEMAND, Capacity, CapacityUnits, TtlStatus
from bootstrap.core.journal_rows import Row
from bootstrap.core.outcome import Acted, Done, Outcome, Pending
from bootstrap.core.stack_outputs import LoadSettings
from bootstrap.cutover.context import SwitchContext, SwitchOptions
from bootstrap.cutover.settings import (
    PrimarySettings,
    as_text,
    of_target,
    of_text,
    settings_member,
)
from bootstrap.cutover.settings_changes import apply_after, apply_slow, choose_settings
from bootstrap.cutover.settings_diff import setting_changes
from bootstrap.journal.switch_records import SwitchMode
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.killed_process import replicated
from tests.support.bootstrap.switch_conditions import looking

INDEX = {"IndexName": "by-day", "KeySchema": [], "IndexStatus": "ACTIVE"}
CHANGES = ("protect", "enable_target_backups", "tag", "set_class", "set_stream")


@pytest.fixture(scope="module")
def replica() -> FakeAws:
    return replicated()


@pytest.fixture
def world(replica: FakeAws) -> FakeAws:
    """A replica of a source with every setting that a target does not get before."""
    world = replica.copied()
    assert world.target is not None
    world.source = dataclasses.replace(
        world.source,
        billing_mode="PROVISIONED",
        read_capacity=50,
        write_capacity=20,
        stream_view="NEW_IMAGE",
        stream_arn=f"{world.source.arn}/stream/1",
        table_class="STANDARD_INFREQUENT_ACCESS",
        global_indexes=[
            {**INDEX, "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}}
        ],
    )
    world.target = dataclasses.replace(
        world.target, global_indexes=[INDEX], deletion_protection=False
    )
    world.target_recovery = False
    world.source_tags = {"team": "shop"}
    world.source_expiry = TtlStatus(True, "expires")
    return world


def switching(world: FakeAws, settings: str | Path = "source") -> SwitchContext:
    return looking(world, SwitchOptions(SwitchMode.FENCE, settings=settings))


def advanced(advance: Any, world: FakeAws, context: SwitchContext, wanted: Any) -> list[str]:
    """Call until it is done; return the changes, of which each call may make one."""
    made: list[str] = []
    for _ in range(20):
        first = len(world.seen)
        outcome: Outcome = advance(context, wanted)
        names = [each.name for each in world.seen[first:]]
        changes = [name for name in names if name in (*CHANGES, "set_capacity", "set_expiry")]
        assert len(changes) <= 1
        made += changes
        if isinstance(outcome, Done):
            return made
        assert isinstance(outcome, Acted)
    raise AssertionError("it is never done")


def test_target_gets_the_stacks_tags_over_the_sources(world: FakeAws) -> None:
    context = switching(world)
    stack = dataclasses.replace(context.steps.outputs, tags={"Team": "payments", "stack": "prod"})
    context = dataclasses.replace(context, steps=dataclasses.replace(context.steps, outputs=stack))
    wanted = choose_settings(context, Row())
    assert wanted is not None
    assert wanted.tags == {"Team": "payments", "stack": "prod"}


def test_target_gets_the_sources_settings_slow_ones_before_anything_is_closed(
    world: FakeAws,
) -> None:
    context = switching(world)
    wanted = choose_settings(context, Row())

    assert advanced(apply_slow, world, context, wanted) == list(CHANGES)
    assert world.target is not None
    assert world.target.billing_mode == ON_DEMAND
    assert not world.expiries.get("orders-replica", TtlStatus(False)).enabled
    assert world.target.stream_view == "NEW_IMAGE"
    assert world.target_tags == {"team": "shop"}

    assert advanced(apply_after, world, context, wanted) == ["set_capacity", "set_expiry"]
    assert world.target.billing_mode == "PROVISIONED"
    assert (world.target.read_capacity, world.target.write_capacity) == (50, 20)
    assert world.expiries["orders-replica"] == TtlStatus(True, "expires")


def test_what_is_so_already_is_not_changed_again(world: FakeAws) -> None:
    context = switching(world)
    wanted = choose_settings(context, Row())
    advanced(apply_slow, world, context, wanted)

    assert advanced(apply_slow, world, context, wanted) == []


def test_with_keep_the_target_keeps_what_it_has(world: FakeAws) -> None:
    context = switching(world, "keep")
    wanted = choose_settings(context, Row())

    assert wanted is None
    assert advanced(apply_slow, world, context, wanted) == []
    assert advanced(apply_after, world, context, wanted) == []


def test_an_adopted_target_keeps_its_owners_settings_and_expires_items_from_the_switch_on(
    world: FakeAws,
) -> None:
    context = switching(world)
    load = LoadSettings(mode="bulk", adopt=True)
    steps = context.steps
    table = dataclasses.replace(steps.table, load=load)
    context = dataclasses.replace(context, steps=dataclasses.replace(steps, table=table))
    before = of_target(steps.target, "orders-replica")
    wanted = choose_settings(context, Row())

    assert wanted is not None
    assert advanced(apply_slow, world, context, wanted) == []
    assert advanced(apply_after, world, context, wanted) == ["set_expiry"]
    after = of_target(steps.target, "orders-replica")
    assert after == dataclasses.replace(before, ttl="expires")


def test_stream_that_is_on_in_the_target_keeps_its_readers(world: FakeAws) -> None:
    assert world.target is not None
    world.target = dataclasses.replace(world.target, stream_view="KEYS_ONLY")
    context = switching(world)
    wanted = choose_settings(context, Row())

    assert wanted is not None
    assert wanted.stream == "KEYS_ONLY"
    assert "set_stream" not in advanced(apply_slow, world, context, wanted)


def test_target_that_is_being_changed_is_waited_for(world: FakeAws) -> None:
    assert world.target is not None
    context = switching(world)
    wanted = choose_settings(context, Row())
    world.target = dataclasses.replace(world.target, status="UPDATING")

    assert isinstance(apply_slow(context, wanted), Pending)
    assert isinstance(apply_after(context, wanted), Pending)


def test_second_change_of_time_to_live_waits_for_its_hour(world: FakeAws) -> None:
    context = switching(world)
    wanted = choose_settings(context, Row())
    assert wanted is not None
    advanced(apply_after, world, context, dataclasses.replace(wanted, ttl="old"))

    first = apply_after(context, wanted)
    assert isinstance(first, Pending)
    assert first.outlasts
    world.clock.sleep(3_600)
    assert isinstance(apply_after(context, wanted), Acted)
    assert not world.expiries["orders-replica"].enabled


def test_changes_are_those_that_are_made(world: FakeAws) -> None:
    context = switching(world)
    wanted = choose_settings(context, Row())
    assert wanted is not None
    listed = setting_changes(of_target(context.steps.target, "orders-replica"), wanted)

    slow = advanced(apply_slow, world, context, wanted)
    after = advanced(apply_after, world, context, wanted)
    assert len([each for each in listed if not each.after_commit]) == len(slow)
    assert len([each for each in listed if each.after_commit]) == len(after)
    there = of_target(context.steps.target, "orders-replica")
    assert setting_changes(there, dataclasses.replace(wanted, capacity=there.capacity)) == ()


def test_settings_survive_the_journal() -> None:
    units = CapacityUnits(None, 9)
    settings = PrimarySettings(
        Capacity(ON_DEMAND, units, {"by-day": CapacityUnits(1, None)}),
        {"a": "b"},
        False,
        True,
        "STANDARD",
        None,
        "expires",
    )

    assert of_text(as_text(settings)) == settings
    assert of_text(as_text(None)) is None


# -- the file -------------------------------------------------------------------------------------


def member(world: FakeAws) -> dict[str, Any]:
    wanted = choose_settings(switching(world), Row())
    assert wanted is not None
    return settings_member(wanted)


def test_member_of_the_plan_edited_is_what_the_file_takes(world: FakeAws, tmp_path: Path) -> None:
    path, value = tmp_path / "settings.json", member(world)
    value["tags"] = {"team": "warehouse"}
    value["billing"] = {
        "mode": ON_DEMAND,
        "maxReads": None,
        "maxWrites": 4_000,
        "indexes": {"by-day": {"maxReads": None, "maxWrites": 900}},
    }

    for whole in ({"orders": value}, {"ready": True, "settings": {"orders": value}}):
        path.write_text(json.dumps(whole))
        found = choose_settings(switching(world, path), Row())
        assert found is not None
        assert found.tags == {"team": "warehouse"}
        assert found.capacity.table == CapacityUnits(None, 4_000)
        assert found.capacity.indexes == {"by-day": CapacityUnits(None, 900)}


def test_file_of_several_tables_gives_each_its_own(world: FakeAws, tmp_path: Path) -> None:
    path, value = tmp_path / "settings.json", member(world)
    path.write_text(json.dumps({"customers": {**value, "ttl": "old"}, "orders": value}))
    context = switching(world, path)
    outputs, (table,) = context.steps.outputs, context.steps.outputs.tables
    both = (table, dataclasses.replace(table, source_table="customers"))
    steps = dataclasses.replace(context.steps, outputs=dataclasses.replace(outputs, tables=both))

    for each, expected in zip(both, ("expires", "old"), strict=True):
        of_table = dataclasses.replace(steps, table=each)
        found = choose_settings(dataclasses.replace(context, steps=of_table), Row())
        assert found is not None
        assert found.ttl == expected


def edited(path: str, value: Any) -> Any:
    """Return an edit of the member: at a path, to a value; None removes it."""

    def edit(found: dict[str, Any]) -> None:
        *folders, last = path.split(".")
        for folder in folders:
            found = found[folder]
        if value is REMOVED:
            del found[last]
        else:
            found[last] = value

    return edit


REMOVED = object()
MISTAKES: list[tuple[str, Any, str]] = [
    ("tags", ["a"], "orders.tags: is not an object of strings"),
    ("tags", {"aws:x": "y"}, "orders.tags: has the tag 'aws:x'"),
    ("tags", {"k" * 129: "y"}, "orders.tags: has a tag of a length"),
    ("deletionProtection", "yes", 'orders.deletionProtection: is "yes", expected true or false'),
    ("tableClass", "CHEAP", 'orders.tableClass: is "CHEAP", expected STANDARD or'),
    ("stream", "ALL", 'orders.stream: is "ALL", expected KEYS_ONLY or'),
    ("ttl", "", 'orders.ttl: is "", expected the name of an attribute or null'),
    ("ttl", REMOVED, "orders.ttl: is missing"),
    ("ttl2", "x", "orders.ttl2: is not known; known: tags,"),
    ("billing.mode", "FREE", 'orders.billing.mode: is "FREE"'),
    ("billing.reads", 0, "orders.billing.reads: is 0, expected a whole number above 0"),
    ("billing.reads", True, "orders.billing.reads: is true"),
    ("billing.writes", REMOVED, "orders.billing.writes: is missing"),
    ("billing.maxReads", 5, "orders.billing.maxReads: is not known"),
    ("billing.indexes.by-day.reads", None, "orders.billing.indexes.by-day.reads: is null"),
    ("billing.indexes.by-day", REMOVED, "orders.billing.indexes.by-day: is missing"),
    ("billing.indexes.other", {}, "orders.billing.indexes.other: is no index of the target"),
    ("billing", 5, "orders.billing: is not an object"),
]


@pytest.mark.parametrize(("at", "value", "expected"), MISTAKES, ids=[m[2][:40] for m in MISTAKES])
def test_mistake_in_the_file_is_named_with_its_path(
    world: FakeAws, tmp_path: Path, at: str, value: Any, expected: str
) -> None:
    path, found = tmp_path / "settings.json", member(world)
    edited(at, value)(found)
    path.write_text(json.dumps({"orders": found}))

    with pytest.raises(UsageError) as refused:
        choose_settings(switching(world, path), Row())
    assert expected in refused.value.what
    assert str(refused.value).count("\n  ") == 1
    assert "switch --dry-run --json" in refused.value.fix


def test_every_mistake_is_reported_at_once(world: FakeAws, tmp_path: Path) -> None:
    path, found = tmp_path / "settings.json", member(world)
    found |= {"ttl": 5, "stream": 5, "billing": {}}
    path.write_text(json.dumps({"orders": found, "invoices": {}}))

    with pytest.raises(UsageError) as refused:
        choose_settings(switching(world, path), Row())
    for expected in ("invoices: is no table", "orders.ttl", "orders.stream", "orders.billing.mode"):
        assert expected in refused.value.what


def test_protection_that_is_on_is_not_taken_away(world: FakeAws, tmp_path: Path) -> None:
    path, found = tmp_path / "settings.json", member(world)
    found["deletionProtection"] = False
    path.write_text(json.dumps({"orders": found}))

    assert choose_settings(switching(world, path), Row()) is not None
    assert world.target is not None
    world.target = dataclasses.replace(world.target, deletion_protection=True)
    with pytest.raises(UsageError, match="takes no protection away"):
        choose_settings(switching(world, path), Row())


@pytest.mark.parametrize("text", ["{", "[]", '{"orders": 1}', "\ufeff{}"])
def test_file_that_is_no_settings_is_refused(world: FakeAws, tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)

    with pytest.raises(UsageError):
        choose_settings(switching(world, path), Row())


def test_file_that_is_missing_is_refused(world: FakeAws, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        choose_settings(switching(world, tmp_path / "none.json"), Row())
