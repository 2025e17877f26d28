"""`plan` for a bulk load: what blocks it, what is noted, and what the run will do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from bootstrap.core.errors import AccessDeniedError, Side
from bootstrap.plan import plan, render
from bootstrap.plan.setting import Setting, When
from bootstrap.plan.settings_diff import ADOPTED
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.plans import (
    ADOPT,
    BULK,
    BULK_BLOCKED,
    OTHER,
    RUNNING,
    adoptable,
    both,
    having,
    local_index,
    observed,
    planned,
    source,
    writes,
)


@pytest.mark.parametrize("name", BULK_BLOCKED)
def test_what_blocks_a_bulk_load_is_named_with_what_removes_it(name: str) -> None:
    members, provoke, what, fix = BULK_BLOCKED[name]
    world = FakeAws()
    provoke(world)
    blocked = planned(world, **members).blockers
    (found,) = (each for each in blocked if what in each.what)
    assert fix in found.fix
    assert [each.what for each in blocked] == [found.what]


def test_a_bulk_load_blocks_nothing_that_only_an_import_cannot() -> None:
    for provoke in (
        having(),
        source(local_indexes=[local_index()]),
        source(warm_writes=50_001_000),
        having(running_imports=50),
    ):
        world = FakeAws()
        provoke(world)
        assert planned(world, **BULK).blockers == ()


def test_an_empty_table_with_the_sources_key_can_be_adopted() -> None:
    world = FakeAws()
    adoptable()(world)
    assert planned(world, **ADOPT).blockers == ()


@pytest.mark.parametrize("what", ["stream", "destination"])
def test_a_confirmed_reader_of_an_adopted_table_does_not_block(what: str) -> None:
    world = FakeAws()
    BULK_BLOCKED[what][1](world)
    assert plan.make(*observed(world, **ADOPT)).blockers
    assert plan.make(*observed(world, **ADOPT), stream_accepted=True).blockers == ()


@pytest.mark.promise("C2")
def test_a_bulk_put_that_runs_blocks_an_adopted_table_and_is_named() -> None:
    world = FakeAws()
    adoptable()(world)
    over = dataclasses.replace(RUNNING, arn="over", status="COMPLETED")
    assert plan.make(*observed(world, [over], **ADOPT)).blockers == ()
    (found,) = plan.make(*observed(world, [over, RUNNING], **ADOPT)).blockers
    assert RUNNING.arn in found.what
    assert f"describe-bulk-operation --bulk-operation-arn {RUNNING.arn}" in found.fix


def test_what_could_not_be_asked_of_an_adopted_table_is_said_and_does_not_pass_as_known() -> None:
    world = FakeAws()
    adoptable()(world)

    def refuse(number: int, name: str, after: bool) -> None:
        if name == "scan_target" and not after:
            raise AccessDeniedError(Side.TARGET, "denied", fix="-", code="AccessDenied")

    world.on_call = refuse
    made = planned(world, **ADOPT)
    assert any("unknown whether orders-replica is empty" in note for note in made.notes)
    world.on_call = lambda number, name, after: None
    assert not any("unknown whether" in note for note in planned(world, **ADOPT).notes)


NOTES: list[tuple[dict[str, Any], Callable[[FakeAws], None], str]] = [
    (BULK, having(), "one partition's range"),
    (BULK, source(local_indexes=[local_index()]), "may hold 10 GB together"),
    ({**BULK, "performanceTier": "ACCELERATED"}, having(), "not offered in every Region"),
    (BULK, source(warm_writes=50_001_000), "50,001 objects or more"),
    (BULK, writes(2_000), "Before the load, the warm throughput"),
    (ADOPT, adoptable(), "Table orders-replica is yours"),
    (ADOPT, adoptable(local_indexes=[local_index()]), "it has local index latest"),
    (ADOPT, adoptable(encryption="KMS", key_arn=OTHER), "encrypted with the KMS key"),
    (
        ADOPT,
        adoptable(billing_mode="PROVISIONED", write_capacity=5),
        "is provisioned for 5 writes a second",
    ),
    (ADOPT, adoptable(max_writes=5), "may take at most 5 writes a second"),
    (
        ADOPT,
        both(writes(50), adoptable(max_writes=60)),
        "cost 110 in the target: more than orders-replica takes",
    ),
]


@pytest.mark.parametrize(("members", "change", "words"), NOTES)
def test_a_note_about_a_bulk_load_does_not_block(
    members: dict[str, Any], change: Callable[[FakeAws], None], words: str
) -> None:
    plain = FakeAws()
    world = FakeAws()
    change(world)
    made = planned(world, **members)
    assert made.blockers == ()
    assert sum(words in note for note in made.notes) == 1, made.notes
    # Said of a bulk load alone.
    assert not any(words in note for note in planned(plain).notes)


def test_vector_indexes_are_noted_for_every_load() -> None:
    world = FakeAws()
    source(vector_indexes=["similar"])(world)
    for members in ({}, BULK):
        (found,) = (note for note in planned(world, **members).notes if "vector" in note)
        assert "(similar)" in found


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({}, "import it into a new table orders-replica"),
        (BULK, "make the table orders-replica, with all indexes of the source; put its items"),
        (ADOPT, "check that your table orders-replica is empty; put its items"),
        ({**BULK, "maxWriteRequestUnits": 2_000}, "at most 2,000 write units a second"),
        ({**BULK, "performanceTier": "ACCELERATED"}, "(ACCELERATED)"),
    ],
)
def test_the_actions_say_how_the_items_get_into_the_target(
    members: dict[str, Any], says: str
) -> None:
    world = FakeAws()
    if members.get("adopt"):
        adoptable()(world)
    made = planned(world, **members)
    (load,) = (each for each in made.actions if each.step in ("import", "load"))
    assert (load.step, says in load.what) == ("load" if members else "import", True)
    assert says in render.page(made)
    assert load.what in [each["what"] for each in render.as_json(made)["actions"]]


ADOPTED_SETTINGS = {
    *("billing mode", "table class", "tags", "capacity", "index throughput"),
    *("on-demand maximums", "deletion protection", "point-in-time recovery", "encryption"),
}


def test_the_owners_settings_of_an_adopted_table_are_shown_and_never_drift() -> None:
    world = FakeAws()
    world.source_tags = {"team": "shop"}
    adoptable(table_class="STANDARD_INFREQUENT_ACCESS", max_writes=9)(world)
    found: dict[str, Setting] = {each.name: each for each in planned(world, **ADOPT).settings}
    assert {name for name in ADOPTED_SETTINGS if found[name].drifted} == set()
    assert {name for name, each in found.items() if each.why == ADOPTED} == (ADOPTED_SETTINGS)
    assert found["table class"].target == "STANDARD_INFREQUENT_ACCESS"
    assert found["on-demand maximums"].target == "9 writes"
    assert found["keys"].when is When.ADOPTED


def test_an_adopted_table_keeps_its_class_and_gets_no_tags() -> None:
    world = FakeAws()
    world.source_tags = {"team": "shop"}
    adoptable(table_class="STANDARD_INFREQUENT_ACCESS")(world)
    wants = planned(world, **ADOPT).wanted
    assert (wants.table_class, wants.tags) == ("STANDARD_INFREQUENT_ACCESS", "{}")


def test_an_adopted_table_whose_indexes_differ_has_drifted() -> None:
    world = FakeAws()
    source(local_indexes=[local_index()])(world)
    adoptable(local_indexes=[])(world)
    made = planned(world, **ADOPT)
    assert {each.name for each in made.settings if each.drifted} == {"local secondary indexes"}


def test_a_table_made_for_a_bulk_load_gets_everything_with_the_load() -> None:
    found = {each.name: each.when for each in planned(FakeAws(), **BULK).settings}
    of_load = {name for name, when in found.items() if when is When.LOAD}
    assert of_load >= {"keys", "local secondary indexes", "encryption", "table class"}
