"""`plan`: what blocks, with its fix; what the target will have; how long and how much."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap.core.durations import Timing
from bootstrap.core.errors import AccountError, Side, UsageError
from bootstrap.core.facts import KeyFacts, Surroundings, TtlStatus
from bootstrap.core.run_options import TtlPolicy
from bootstrap.journal.records import Wanted
from bootstrap.plan import plan, price_list, render
from bootstrap.plan.inspection import KeyInspection, inspect
from bootstrap.plan.replication import of_file, of_outputs
from bootstrap.plan.setting import COMPARED, SHOWN, When
from bootstrap.plan.settings_diff import settings, wanted
from tests.support.bootstrap.fake_accounts import FakeSource, FakeTarget
from tests.support.bootstrap.fake_aws import FakeAws, outputs
from tests.support.bootstrap.killed_process import replicated
from tests.support.bootstrap.plans import (
    BLOCKED,
    CONFIG,
    GB,
    TB,
    both,
    having,
    observed,
    planned,
    planned_before_deployment,
    source,
    stack_file,
    writes,
)


@pytest.mark.parametrize("name", BLOCKED)
def test_what_blocks_is_named_with_what_removes_it(name: str) -> None:
    provoke, what, fix = BLOCKED[name]
    assert planned(FakeAws()).blockers == ()
    world = FakeAws()
    provoke(world)
    found = [each for each in planned(world).blockers if what in each.what]
    assert len(found) == 1, [each.what for each in planned(world).blockers]
    assert fix in found[0].fix


@pytest.mark.parametrize(("given", "factor", "blocks"), [(3, 2, True), (4, 2, False), (1, 1, True)])
def test_a_reservation_below_the_concurrent_batches_blocks_whatever_the_account_has_left(
    given: int, factor: int, blocks: bool
) -> None:
    world = FakeAws()
    world.concurrency = 0
    made = planned(world, reservedConcurrency=given, parallelizationFactor=factor)
    assert [f"{given} invocations are reserved" in each.what for each in made.blockers] == [
        True
    ] * blocks
    assert all(f"reservedConcurrency to {2 * factor}" in each.fix for each in made.blockers)


@pytest.mark.parametrize(
    ("call", "in_the_plan"), [("source_tags", "tags"), ("open_shards", "shards")]
)
def test_a_listing_that_fails_does_not_stop_the_plan_and_does_not_pass_as_read(
    call: str, in_the_plan: str
) -> None:
    world = FakeAws()

    def refuse(number: int, name: str, after: bool) -> None:
        if name == call and not after:
            raise AccountError(Side.SOURCE, f"the {in_the_plan} are not listed", fix="try it later")

    world.on_call = refuse
    with pytest.raises(AccountError):
        planned(world)
    stack = outputs()
    replication = of_outputs(stack, stack.tables[0])
    seen = inspect(
        FakeSource(world, lambda: None),
        FakeTarget(world, lambda: None),
        replication,
        Timing(),
        world.clock(),
        full=True,
        tolerant=True,
    )
    found = plan.make(seen, replication).blockers
    assert [(each.what, each.fix) for each in found] == [
        (f"the {in_the_plan} are not listed", "try it later")
    ]


def test_everything_that_blocks_is_reported_at_once() -> None:
    world = FakeAws()
    for name in ("retention", "target exists", "mapping on"):
        BLOCKED[name][0](world)
    assert len(planned(world).blockers) == 3


NOTES = [
    (having(), "Point-in-time recovery of the source is off"),
    (source(encryption="KMS", key_arn="arn:key"), "aws/dynamodb"),
    (source(replicas=("us-east-1",)), "global table (also in us-east-1)"),
    (writes(600), "Contributor Insights"),
    (source(warm_reads=3 * 5_001_000), "has 5,001 objects or more"),
    (both(source(size_bytes=11 * TB), having(running_exports=2)), "2 exports run"),
    (having(running_exports=None), "unknown how many exports run in the source account"),
    (having(running_imports=None), "unknown how many imports run in the target account"),
    (both(source(size_bytes=2 * TB), having(running_imports=2)), "2 imports run"),
    (source(size_bytes=16 * TB), "known once it is complete"),
]


@pytest.mark.parametrize(("change", "words"), NOTES)
def test_a_note_does_not_block(change: Callable[[FakeAws], None], words: str) -> None:
    world = FakeAws()
    change(world)
    made = planned(world)
    assert made.blockers == ()
    assert any(words in note for note in made.notes)


READS = {
    *("describe_source", "describe_target", "destinations", "stream", "open_shards", "mapping"),
    *("source_backups", "target_backups", "source_tags", "target_tags", "source_expiry"),
    *(
        "target_expiry",
        "consumed_writes",
        "expired_items",
        "throttled_partitions",
        "limits",
        "concurrency",
        "surroundings",
    ),
    *("running_exports", "running_imports", "source_key", "target_key", "awss_own_key"),
}


@pytest.mark.parametrize("prepare", [FakeAws, replicated])
def test_a_plan_only_reads(prepare: Callable[[], FakeAws]) -> None:
    world = prepare()
    world.seen.clear()
    planned(world)
    assert {each.name for each in world.seen} <= READS


def parity_of(world: FakeAws) -> dict[str, Any]:
    seen, _ = observed(world)
    return {each.name: each for each in settings(seen, wanted(seen))}


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
    parameters = plan.creation_parameters(world.source, "copy")
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


def test_a_target_that_expires_items_or_has_a_maximum_has_drifted_unless_told_to() -> None:
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
    told = settings(observed(world)[0], Wanted(), TtlPolicy.NOW)
    assert [s.drifted for s in told if s.name == "time to live"] == [False]
    world.expiries.clear()
    told = settings(observed(world)[0], Wanted(), TtlPolicy.NOW)
    assert [s.drifted for s in told if s.name == "time to live"] == [True]


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


def test_the_estimate_grows_with_the_table_the_changes_and_the_retention() -> None:
    small, large = FakeAws(), FakeAws()
    source(items=10**6, size_bytes=GB)(small)
    source(items=10**9, size_bytes=TB)(large)
    writes(100)(large)
    first, second = planned(small).estimate, planned(large).estimate
    assert second.export.least > first.export.least
    assert second.load.most > first.load.most
    assert (first.catch_up is None, second.catch_up is None) == (False, False)
    assert second.once == pytest.approx(1_000 * first.once)
    assert [days for days, _ in second.monthly] == [365, 30, 7]
    costs = [cost for _, cost in second.monthly]
    assert costs == sorted(costs, reverse=True)
    assert second.changes_per_second == pytest.approx(100, rel=0.01)


def test_a_backlog_is_read_at_twice_the_pace_that_a_shard_fills_at() -> None:
    world = FakeAws()
    source(items=10**6, size_bytes=GB)(world)
    writes(235)(world)  # 4.25 KB of record for each KB of item: half a shard's filling, in each
    made = planned(world).estimate
    behind = made.export + made.load
    assert made.catch_up is not None
    assert made.catch_up.least == pytest.approx(60 + behind.least / 3, rel=0.05)


def test_the_estimate_goes_by_the_prices_of_a_file(tmp_path: Path) -> None:
    world = FakeAws()
    source(items=10**6, size_bytes=GB)(world)
    path = tmp_path / "prices.yaml"
    path.write_text("export_gb: 1.10\nimport_gb: 0\n")
    made = plan.make(*observed(world), price_list.read(path))
    assert made.estimate.once == pytest.approx(1.10)
    assert f"(2 prices of {path}, the others list prices" in render.page(made)
    assert "(list prices of us-east-1 as of" in render.page(planned(world))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "holds no prices"),
        ("{", "cannot be read"),
        ("exports: 1", "values that are no prices: exports"),
        ("export_gb: much", "values that are no prices: export_gb"),
        ("export_gb: -1", "values that are no prices: export_gb"),
        ("export_gb: true", "values that are no prices: export_gb"),
        ("export_gb: .nan", "values that are no prices: export_gb"),
    ],
)
def test_a_price_file_without_prices_is_refused_with_the_names(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"Try: .*long_term_gb_month") as caught:
        price_list.read(path)
    assert words in caught.value.what


def test_a_plan_is_shown_as_text_and_as_json() -> None:
    world = FakeAws()
    BLOCKED["target exists"][0](world)
    made = planned(world)
    text = render.page(made)
    assert "What blocks it (1):" in text
    assert "Try: delete it yourself" in text
    assert "cost once" in text
    value = json.loads(json.dumps(render.as_json(made)))
    assert value["blockers"][0]["try"].startswith("delete it yourself")
    assert set(value["estimate"]["monthlyUsd"]) == {"365", "30", "7"}
    assert {each["setting"] for each in value["settings"]} >= {"keys", "tags"}


def test_a_stack_that_is_not_deployed_is_planned_from_its_configuration(tmp_path: Path) -> None:
    stack = of_file(stack_file(tmp_path))
    assert (stack.source_profile, stack.target_profile) == ("shop", None)
    first, second = stack.tables
    assert (first.target_table, second.target_table) == ("orders-replica", "customers")
    assert stack.chosen("customers") == [second]
    world = FakeAws()
    made = planned_before_deployment(world, first)
    assert made.blockers == ()
    assert any("not deployed" in note for note in made.notes)
    assert not world.times("stream")
    assert not world.times("mapping")


def test_a_plan_before_the_deployment_names_no_resource_that_does_not_exist(tmp_path: Path) -> None:
    made = planned_before_deployment(FakeAws(), of_file(stack_file(tmp_path)).tables[0])
    actions = [action.what for action in made.actions]
    assert actions[0] == "wait until the stack's stream receives the changes"
    assert "switch the stack's consumer on" in actions
    assert not any("  " in action for action in actions)


@pytest.mark.parametrize(
    ("region", "partition"),
    [("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn"), ("eu-west-1", "aws")],
)
def test_a_table_of_any_partition_is_planned_before_the_deployment(
    tmp_path: Path, region: str, partition: str
) -> None:
    path = stack_file(tmp_path, CONFIG.replace("region: eu-west-1", f"region: {region}"))
    world = FakeAws()
    source(arn=f"arn:{partition}:dynamodb:{region}:111111111111:table/orders")(world)
    made = planned_before_deployment(world, of_file(path).tables[0])
    assert [blocker.what for blocker in made.blockers] == []


def test_a_table_that_the_stack_file_does_not_name_is_refused_with_those_that_it_does(
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError, match=r"(?s)'order'.*orders, customers"):
        of_file(stack_file(tmp_path)).chosen("order")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("config: {}", "source: got nothing"),
        ("[", "cannot be read"),
        (CONFIG.replace("- source: orders\n", "- name: orders\n"), "tables[0].source: got nothing"),
        (CONFIG.replace("region: eu-central-1", "profile: x"), "target.region: got nothing"),
        (CONFIG + "      parallelizationFactor: two\n", 'parallelizationFactor: got "two"'),
    ],
)
def test_a_configuration_that_could_not_be_deployed_is_refused_with_the_key(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        of_file(stack_file(tmp_path, text))
    assert words in caught.value.what


def test_a_mapping_that_has_to_be_replaced_is_unprotected_first_by_its_name_in_the_state() -> None:
    world = FakeAws()
    BLOCKED["mapping at latest"][0](world)
    (blocker,) = planned(world).blockers
    assert (
        "pulumi state unprotect --yes --stack local 'urn:pulumi:local::dynamodb-replication::"
        "replication:index:Consumer$aws:lambda/eventSourceMapping:EventSourceMapping::"
        "replicate-orders-consumer-mapping' && pulumi up --refresh --stack local"
    ) in blocker.fix
