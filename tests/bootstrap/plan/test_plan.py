"""`plan`: what blocks a run, with its fix, and what is only noted."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from bootstrap.core.durations import Timing
from bootstrap.core.errors import AccountError, Side
from bootstrap.core.stack_outputs import Outputs
from bootstrap.plan import plan, render
from bootstrap.plan.inspection import inspect
from bootstrap.plan.replication import of_outputs
from tests.support.bootstrap.fake_accounts import FakeSource, FakeTarget
from tests.support.bootstrap.fake_aws import FakeAws, outputs, switch_outputs
from tests.support.bootstrap.killed_process import replicated
from tests.support.bootstrap.plans import (
    BLOCKED,
    TB,
    both,
    having,
    planned,
    source,
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
    (both(source(size_bytes=2 * TB), having(running_imports=2)), "account (2)"),
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


def test_a_mapping_that_has_to_be_replaced_is_unprotected_first_by_its_name_in_the_state() -> None:
    world = FakeAws()
    BLOCKED["mapping at latest"][0](world)
    (blocker,) = planned(world).blockers
    assert (
        "pulumi state unprotect --yes --stack local 'urn:pulumi:local::dynamodb-replication::"
        "replication:index:Consumer$aws:lambda/eventSourceMapping:EventSourceMapping::"
        "replicate-orders-consumer-mapping' && pulumi up --refresh --stack local"
    ) in blocker.fix


# -- the Deny on other writers --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stack", "acts", "says"),
    [
        (outputs(), False, ""),
        (switch_outputs(), True, "denies item writes to all but the consumer and the importer"),
        (
            switch_outputs(stackOwnsTargetDeny=True),
            False,
            "`pulumi up --refresh` twice, then `run`",
        ),
    ],
    ids=["no role", "denied by the run", "denied by the stack"],
)
def test_the_deny_on_other_writers_is_planned_between_import_and_settings(
    stack: Outputs, acts: bool, says: str
) -> None:
    world, replication = FakeAws(), of_outputs(stack, stack.tables[0])
    source_, target = FakeSource(world, lambda: None), FakeTarget(world, lambda: None)
    seen = inspect(source_, target, replication, Timing(), world.clock())
    made = plan.make(seen, replication)
    steps = [action.step for action in made.actions]
    between = steps[steps.index("import") + 1 : steps.index("settings")]
    assert between == ["target-deny"] * acts
    assert [note for note in made.notes if "Deny" in note or "denies" in note] == [
        note for note in made.notes if says and says in note
    ]
    assert any(says in note for note in made.notes) or not says
