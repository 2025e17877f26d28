"""`parity`: when the target gets each setting, and what has drifted."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bootstrap.core.facts import KeyFacts, Surroundings, TtlStatus
from bootstrap.core.run_options import TtlPolicy
from bootstrap.core.stack_outputs import LoadSettings
from bootstrap.journal.records import Wanted
from bootstrap.plan import plan, render
from bootstrap.plan.key_inspection import KeyInspection
from bootstrap.plan.setting import COMPARED, SHOWN, When
from bootstrap.plan.settings_diff import settings, wanted
from bootstrap.plan.table_parameters import creation_parameters
from infra.load_names import BULK
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.killed_process import replicated
from tests.support.bootstrap.plans import (
    observed,
    planned,
    source,
    writes,
)


def parity_of(world: FakeAws) -> dict[str, Any]:
    seen, replication = observed(world)
    return {each.name: each for each in settings(seen, wanted(seen, replication))}


def test_every_setting_says_when_the_target_gets_it_or_why_not() -> None:
    world = FakeAws()
    world.source_tags = {"team": "shop"}
    world.source_expiry = TtlStatus(True, "until")
    world.surroundings = Surroundings(("dynamodb:table:WriteCapacityUnits",), True, True)
    source(
        billing_mode="PROVISIONED",
        read_capacity=5,
        write_capacity=7,
        stream_view="NEW_IMAGE",
        max_writes=100,
        global_indexes=[
            {
                "IndexName": "by-day",
                "KeySchema": [],
                "ProvisionedThroughput": {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4},
                "WarmThroughput": {"ReadUnitsPerSecond": 3, "WriteUnitsPerSecond": 40},
            },
            {
                "IndexName": "by-age",
                "KeySchema": [],
                "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
                "OnDemandThroughput": {"MaxReadRequestUnits": -1, "MaxWriteRequestUnits": 9},
            },
        ],
    )(world)
    found = parity_of(world)
    assert set(found) == {
        *("keys", "global secondary indexes", "billing mode", "encryption", "table class", "tags"),
        *("deletion protection", "point-in-time recovery", "warm throughput", "time to live"),
        "index warm throughput",
        *("capacity", "index throughput", "on-demand maximums", "autoscaling", "DynamoDB stream"),
        *("global table replicas", "contributor insights", "resource policy"),
        *("local secondary indexes", "vector indexes"),
    }
    assert (found["tags"].target, found["tags"].when) == ("team=shop", When.SETTINGS)
    assert (found["billing mode"].source, found["billing mode"].target) == (
        "PROVISIONED",
        "PAY_PER_REQUEST",
    )
    assert found["capacity"].source == "5 reads, 7 writes a second"
    assert found["index throughput"].source == (
        "by-age: at most 9 writes; by-day: 3 reads, 4 writes, warm for 40 writes"
    )
    assert found["time to live"].when is When.SWITCH
    assert found["on-demand maximums"].source == "100 writes"
    assert found["autoscaling"].source == "dynamodb:table:WriteCapacityUnits"
    assert found["resource policy"].when is When.NEVER
    assert all(each.why for each in found.values() if each.when is When.NEVER)
    lines = render.table(tuple(found.values()))
    assert any("not carried: it names principals of the source's account" in line for line in lines)


def index(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "IndexName": name,
        "IndexStatus": "ACTIVE",
        "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
        **changes,
    }


OTHER_KEY = [
    {"AttributeName": "day", "KeyType": "HASH"},
    {"AttributeName": "hour", "KeyType": "RANGE"},
]


@pytest.mark.parametrize(
    ("changes", "drifted"),
    [
        ({}, False),
        ({"IndexStatus": "UPDATING"}, False),
        ({"OnDemandThroughput": {"MaxWriteRequestUnits": 9}}, False),
        ({"KeySchema": OTHER_KEY}, True),
        ({"Projection": {"ProjectionType": "KEYS_ONLY"}}, True),
        ({"Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a"]}}, True),
    ],
)
def test_an_index_is_compared_in_all_that_it_has(changes: dict[str, Any], drifted: bool) -> None:
    world = FakeAws()
    source(global_indexes=[index("by-day")])(world)
    replicated(world)
    assert world.target is not None
    world.target = dataclasses.replace(world.target, global_indexes=[index("by-day", **changes)])
    assert parity_of(world)["global secondary indexes"].drifted is drifted


def test_the_type_of_an_indexs_key_is_compared() -> None:
    world = FakeAws()
    source(
        global_indexes=[index("by-day")],
        attributes=[{"AttributeName": "day", "AttributeType": "S"}],
    )(world)
    replicated(world)
    assert world.target is not None
    for kind, drifted in (("S", False), ("N", True)):
        world.target = dataclasses.replace(
            world.target, attributes=[{"AttributeName": "day", "AttributeType": kind}]
        )
        assert parity_of(world)["global secondary indexes"].drifted is drifted


def test_a_limit_of_the_targets_index_and_a_cold_one_have_drifted() -> None:
    world = FakeAws()
    writes(3_000)(world)
    world.ages = lambda begin: 0.0
    world.index_writes["by-day"] = lambda begin: 60 * 3_000.0
    source(global_indexes=[index("by-day")])(world)
    replicated(world)
    assert not parity_of(world)["index warm throughput"].drifted
    assert not parity_of(world)["index throughput"].drifted
    changed = index(
        "by-day",
        WarmThroughput={"WriteUnitsPerSecond": 5_000},
        OnDemandThroughput={"MaxWriteRequestUnits": 9},
    )
    assert world.target is not None
    world.target = dataclasses.replace(world.target, global_indexes=[changed])
    found = parity_of(world)
    assert found["index warm throughput"].actual == "by-day: 5000 writes/s"
    assert found["index warm throughput"].target == "by-day: at least 13200 writes/s"
    assert found["index warm throughput"].drifted
    assert found["index throughput"].actual == "by-day: at most 9 writes"
    assert found["index throughput"].drifted


def test_the_list_of_what_is_compared_is_what_is_compared() -> None:
    world = FakeAws()
    source(global_indexes=[index("by-day")])(world)
    replicated(world)
    found = parity_of(world)
    compared = {name for name, each in found.items() if each.actual is not None}
    assert compared == set(COMPARED)
    assert set(found) - compared == set(SHOWN)


def test_the_order_of_an_indexs_projected_attributes_is_no_drift() -> None:
    world = FakeAws()
    for side, names in (("source", ["a", "b"]), ("target", ["b", "a"])):
        projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": names}
        if side == "target":
            replicated(world)
        facts = getattr(world, side)
        made = [index("by-day", Projection=projection)]
        setattr(world, side, dataclasses.replace(facts, global_indexes=made))
    assert not parity_of(world)["global secondary indexes"].drifted


@pytest.mark.parametrize(
    ("status", "carried", "words"),
    [
        ("ACTIVE", True, ""),
        ("UPDATING", True, ""),
        ("CREATING", True, "Index by-day of the source is CREATING"),
        ("DELETING", False, "Index by-day of the source is DELETING: the target does not get it"),
        ("ARCHIVED", True, "Index by-day of the source is ARCHIVED"),
    ],
)
def test_an_index_in_transition_is_noted_and_a_deleted_one_is_not_made_in_the_target(
    status: str, carried: bool, words: str
) -> None:
    world = FakeAws()
    attributes = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "day")]
    key = [{"AttributeName": "pk", "KeyType": "HASH"}]
    changed = index("by-day", IndexStatus=status)
    source(global_indexes=[changed], attributes=attributes, keys=key)(world)
    made = planned(world)
    assert any(words in note for note in made.notes)
    assert bool(words) == any("Index by-day" in note for note in made.notes)
    assert world.source is not None
    parameters = creation_parameters(world.source, "copy")
    assert ("GlobalSecondaryIndexes" in parameters) is carried
    assert len(parameters["AttributeDefinitions"]) == (2 if carried else 1)
    (shown,) = (each for each in made.settings if each.name == "global secondary indexes")
    assert ("by-day" in shown.target) is carried


def test_a_fresh_replica_has_not_drifted() -> None:
    world = FakeAws()
    world.source_tags = {"team": "shop"}
    replicated(world)
    drifted = {n: s for n, s in parity_of(world).items() if s.drifted}
    # The fake of an import makes a table without keys.
    assert set(drifted) <= {"keys"}


def test_a_target_with_the_key_of_the_stack_has_not_drifted_and_with_another_it_has() -> None:
    world = FakeAws()
    replicated(world)
    assert world.target is not None
    ours = "arn:aws:kms:eu-west-1:222222222222:key/ours"
    keys = KeyInspection(target=KeyFacts(ours, "Enabled", "{}"))
    world.target = dataclasses.replace(world.target, encryption="KMS", key_arn=ours)
    seen = dataclasses.replace(observed(world)[0], keys=keys)
    (found,) = (s for s in settings(seen, Wanted()) if s.name == "encryption")
    assert (found.target, found.drifted) == (f"KMS, {ours}", False)
    other = dataclasses.replace(world.target, key_arn=None)
    seen = dataclasses.replace(seen, target=dataclasses.replace(seen.target, table=other))
    assert any(s.drifted for s in settings(seen, Wanted()) if s.name == "encryption")


def test_a_target_that_expires_items_or_has_a_maximum_has_drifted_unless_it_is_meant_to() -> None:
    world = FakeAws()
    world.source_expiry = TtlStatus(True, "until")
    replicated(world)
    assert not parity_of(world)["time to live"].drifted
    world.expiries["orders-replica"] = TtlStatus(True, "until")
    assert world.target is not None
    world.target = dataclasses.replace(world.target, max_writes=9)
    found = parity_of(world)
    assert found["time to live"].drifted
    assert found["on-demand maximums"].drifted
    rows = settings(observed(world)[0], Wanted(), TtlPolicy.NOW)
    assert [s.drifted for s in rows if s.name == "time to live"] == [False]
    world.expiries.clear()
    rows = settings(observed(world)[0], Wanted(), TtlPolicy.NOW)
    assert [s.drifted for s in rows if s.name == "time to live"] == [True]


def test_a_target_is_to_have_the_stacks_tags_and_the_sources_others() -> None:
    world = FakeAws()
    world.source_tags = {"Team": "shop", "cost": "42"}
    replicated(world)
    seen, replication = observed(world)
    tagged = dataclasses.replace(replication, stack_tags={"team": "payments"})
    made = plan.make(seen, tagged)
    (found,) = (each for each in made.settings if each.name == "tags")
    assert (found.source, found.target) == ("Team=shop, cost=42", "cost=42, team=payments")
    assert (found.actual, found.drifted) == ("cost=42, team=", True)
    assert "the stack's" in found.why


@pytest.mark.parametrize(
    ("in_vpc", "region", "noted"),
    [(True, "us-east-1", True), (True, "eu-west-1", False), (False, "us-east-1", False)],
)
def test_a_vpc_that_cannot_have_an_endpoint_for_the_target_is_noted(
    in_vpc: bool, region: str, noted: bool
) -> None:
    seen, replication = observed(FakeAws())
    there = dataclasses.replace(replication, in_vpc=in_vpc, target_region=region)
    notes = plan.make(seen, there).notes
    assert any("no gateway endpoint in eu-west-1 serves it" in note for note in notes) is noted


def test_tags_of_the_source_without_room_beside_the_stacks_are_named() -> None:
    world = FakeAws()
    world.source_tags = {f"tag-{n:02}": "x" for n in range(49)}
    seen, replication = observed(world)
    tagged = dataclasses.replace(replication, stack_tags={"team": "a", "stack": "b"})
    assert any("except: tag-47, tag-48." in note for note in plan.make(seen, tagged).notes)
    assert not any("except: tag" in note for note in plan.make(seen, replication).notes)


def test_an_adopted_table_has_no_note_about_tags() -> None:
    world = FakeAws()
    world.source_tags = {f"tag-{n:02}": "x" for n in range(49)}
    seen, replication = observed(world)
    tagged = dataclasses.replace(replication, stack_tags={"team": "a", "stack": "b"})
    adopts = dataclasses.replace(tagged, load=LoadSettings(mode=BULK, adopt=True))
    assert not any("except: tag" in note for note in plan.make(seen, adopts).notes)


def test_what_drifted_is_shown_with_what_it_should_be() -> None:
    world = FakeAws()
    world.source_tags = {"team": "shop"}
    replicated(world)
    assert world.target is not None
    world.target = dataclasses.replace(world.target, deletion_protection=False)
    world.target_tags = {"team": "other"}
    world.target_recovery = False
    found = parity_of(world)
    drifted = {name for name, each in found.items() if each.drifted}
    assert drifted >= {"deletion protection", "tags", "point-in-time recovery"}
    lines = "\n".join(render.table(tuple(found.values())))
    assert "team=other, DRIFTED from team=shop" in lines
