"""`plan` says what the owner of an adopted stream has to change before a table can use it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap.core.durations import Timing
from bootstrap.core.facts import KeyFacts
from bootstrap.plan import plan
from bootstrap.plan.inspection import inspect
from bootstrap.plan.replication import Replication, of_file
from replicator.stream import READING_ACTIONS, Destination
from tests.support.bootstrap.fake_accounts import FakeSource, FakeTarget
from tests.support.bootstrap.fake_aws import CONSUMER, STREAM_ARN, FakeAws
from tests.support.bootstrap.plans import both, having, planned, stack_file

KEY = "arn:aws:kms:eu-west-1:111111111111:key/of-streams"
CONFIG = f"""
config:
  dynamodb-replication:source: {{accountId: "111111111111", region: eu-west-1}}
  dynamodb-replication:target: {{accountId: "222222222222", region: eu-west-1}}
  dynamodb-replication:operators: {{source: [account], target: [account]}}
  dynamodb-replication:tables:
    - source: orders
      target: orders-replica
      streamArn: {STREAM_ARN}
      streamKeyArn: {KEY}
"""
ON = [Destination(STREAM_ARN, "ACTIVE", "MICROSECOND")]


def policy(principal: str, *actions: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": list(actions)}
    return json.dumps({"Statement": [statement]})


@pytest.fixture
def world() -> FakeAws:
    """A table that streams to a stream of a platform team, which is in order."""
    world = FakeAws()
    world.destinations = list(ON)
    world.stream_key = KEY
    world.stream_created = world.clock() - 600
    world.stream_policy = policy("222222222222", *READING_ACTIONS)
    world.keys = {
        KEY: KeyFacts(KEY, "Enabled", policy("*", "kms:*")),
    }
    return world


def before_the_first_up(world: FakeAws, tmp_path: Path, more: str = "") -> plan.Plan:
    [replication] = of_file(stack_file(tmp_path, CONFIG + more)).tables
    return made(world, replication)


def made(world: FakeAws, replication: Replication) -> plan.Plan:
    sides = FakeSource(world, lambda: None), FakeTarget(world, lambda: None)
    return plan.make(inspect(*sides, replication, Timing(), world.clock(), full=True), replication)


def deployed(world: FakeAws, **table: Any) -> plan.Plan:
    adopted = {"adoptsStream": True, "ownsDestination": False, "retentionHours": 8760}
    return planned(world, **{"streamKeyArn": KEY, **adopted, **table})


def test_a_stream_in_order_blocks_nothing(world: FakeAws, tmp_path: Path) -> None:
    assert before_the_first_up(world, tmp_path).blockers == ()
    assert deployed(world).blockers == ()
    assert any("is not the stack's" in each for each in deployed(world).notes)


CASES: dict[str, tuple[Callable[[FakeAws], None], str, str]] = {
    "no policy": (having(stream_policy=None), "does not allow", "add this statement"),
    "a policy for others": (
        having(stream_policy=policy("333333333333", "kinesis:*")),
        "does not allow kinesis:DescribeStream, ",
        "aws:PrincipalArn",
    ),
    "a policy without an action": (
        having(stream_policy=policy("222222222222", *READING_ACTIONS[1:])),
        f"does not allow {READING_ACTIONS[0]} to the consumer",
        "PutResourcePolicy replaces them all",
    ),
    "small records": (having(record_kib=1024), "up to 1024 KiB", "update-max-record-size"),
    "a day's retention": (
        having(retention_hours=24),
        "after 24 hours",
        "increase-stream-retention-period --stream-name orders-stream "
        "--retention-period-hours 8760",
    ),
    "less than the stack expects": (
        having(retention_hours=4_000),
        "the stack expects 8760",
        "set retentionHours: 4000",
    ),
    "automatic distribution": (having(distribution="AUTO"), "by AUTO", "USER_PARTITION_KEY"),
    "milliseconds": (
        having(destinations=[Destination(STREAM_ARN, "ACTIVE", "MILLISECOND")]),
        "MILLISECOND",
        "update-kinesis-streaming-destination",
    ),
    "no destination": (having(destinations=[]), "is not there", "makeDestination: true"),
    "a destination that is off": (
        having(destinations=[Destination(STREAM_ARN, "DISABLED", "MICROSECOND")]),
        "is DISABLED",
        "enable-kinesis-streaming-destination",
    ),
    "another destination": (
        having(destinations=[Destination("arn:other", "ACTIVE", "MICROSECOND")]),
        "streams its changes to arn:other",
        "set streamArn: arn:other",
    ),
    "another key": (having(stream_key="arn:aws:kms:x:1:key/other"), "key/other", "streamKeyArn"),
    "AWS's key": (having(stream_key="alias/aws/kinesis"), "alias/aws/kinesis", "start-stream"),
    "no key": (having(stream_key=""), "with no key", "start-stream-encryption"),
    "more shards than invocations": (having(concurrency=1), "in 2 concurrent batches", "raise"),
    "too few shards": (
        both(having(stream_mode="PROVISIONED"), having(writes=lambda begin: 5_000 * 60)),
        "never catch up",
        "ask the owner of stream orders-stream",
    ),
}


@pytest.mark.parametrize(("change", "what", "fix"), CASES.values(), ids=CASES)
def test_what_only_the_owner_can_change_blocks_before_and_after_the_first_up(
    world: FakeAws,
    tmp_path: Path,
    change: Callable[[FakeAws], None],
    what: str,
    fix: str,
) -> None:
    change(world)
    for found in (before_the_first_up(world, tmp_path), deployed(world)):
        assert [each for each in found.blockers if what in each.what and fix in each.fix], (
            found.blockers
        )


def test_a_streams_old_history_blocks_until_the_reading_begins_later(
    world: FakeAws, tmp_path: Path
) -> None:
    world.stream_created = world.clock() - 200 * 86_400
    [blocker] = before_the_first_up(world, tmp_path).blockers
    assert "at the oldest record" in blocker.what
    assert "200 d" in blocker.what
    [start] = re.findall(r"startAt: \S+", blocker.fix)
    assert "before the first `pulumi up`" in blocker.fix
    assert before_the_first_up(world, tmp_path, f"      {start}\n").blockers == ()
    [late] = deployed(world).blockers
    assert "pulumi state unprotect" in late.fix
    world.mapping_position, world.mapping_starts_at = "AT_TIMESTAMP", world.clock() - 3_600
    assert deployed(world).blockers == ()


def test_some_hours_of_a_stream_that_a_stack_has_adopted_are_read(world: FakeAws) -> None:
    world.stream_created = world.clock() - 20 * 3_600
    assert deployed(world).blockers == ()


def test_a_key_by_its_id_is_the_same_key(world: FakeAws) -> None:
    world.stream_key = KEY.rpartition("/")[2]
    assert deployed(world).blockers == ()


def test_the_statement_names_the_role_before_there_is_one(world: FakeAws, tmp_path: Path) -> None:
    world.stream_policy = None
    before, after = (
        before_the_first_up(world, tmp_path),
        deployed(world, consumerRoleArn=f"{CONSUMER}-role-0a1b2c3"),
    )
    for found, role in (
        (before, "arn:aws:iam::222222222222:role/replicate-orders-consumer-role-*"),
        (after, f"{CONSUMER}-role-*"),
    ):
        [fix] = [each.fix for each in found.blockers if "does not allow" in each.what]
        statement = json.loads(fix[fix.index("{") :])
        assert statement["Principal"] == {"AWS": "arn:aws:iam::222222222222:root"}
        assert statement["Condition"] == {"ArnLike": {"aws:PrincipalArn": role}}
        assert statement["Action"] == list(READING_ACTIONS)
        assert statement["Resource"] == STREAM_ARN


@pytest.mark.parametrize(
    ("naming", "role"),
    [
        ("{pattern: 'acme-${name}-${hex(4)}'}", "acme-replicate-orders-consumer-role-*"),
        ("{mode: verbatim}", "replicate-orders-consumer-role"),
        ("{pattern: '${config.team}-${name}'}", "*-replicate-orders-consumer-role"),
    ],
)
def test_the_statement_names_the_role_as_the_stack_file_lets_it_be_named(
    world: FakeAws, tmp_path: Path, naming: str, role: str
) -> None:
    world.stream_policy = None
    [blocker] = before_the_first_up(world, tmp_path, f"  pulumi:autonaming: {naming}\n").blockers
    statement = json.loads(blocker.fix[blocker.fix.index("{") :])
    assert statement["Condition"]["ArnLike"] == roles(role)
    world.stream_policy = json.dumps({"Statement": [statement]})
    assert before_the_first_up(world, tmp_path, f"  pulumi:autonaming: {naming}\n").blockers == ()


def conditioned(**condition: Any) -> str:
    root = "arn:aws:iam::222222222222:root"
    found = json.loads(policy(root, *READING_ACTIONS))
    found["Statement"][0]["Condition"] = condition
    return json.dumps(found)


def roles(pattern: str) -> dict[str, str]:
    return {"aws:PrincipalArn": f"arn:aws:iam::222222222222:role/{pattern}"}


def test_a_condition_on_the_role_is_judged(world: FakeAws, tmp_path: Path) -> None:
    role = "replicate-orders-consumer-role"
    arn = f"arn:aws:iam::222222222222:role/new-path/{role}-0a1b2c3"
    world.stream_policy = conditioned(ArnLike=roles(f"old-path/{role}-*"))
    for found in (before_the_first_up(world, tmp_path), deployed(world, consumerRoleArn=arn)):
        assert [each for each in found.blockers if "does not allow" in each.what]
    world.stream_policy = conditioned(ArnLike=roles(f"new-path/{role}-*"))
    assert deployed(world, consumerRoleArn=arn).blockers == ()
    world.stream_policy = conditioned(ArnLike=roles(f"{role}-*"))
    assert before_the_first_up(world, tmp_path).blockers == ()


def test_another_condition_is_said_to_be_unjudged(world: FakeAws) -> None:
    world.stream_policy = conditioned(StringEquals={"aws:PrincipalOrgID": "o-1"})
    found = deployed(world)
    assert found.blockers == ()
    assert any("does not judge" in each for each in found.notes)
    world.stream_policy = policy("222222222222", *READING_ACTIONS)
    assert not any("does not judge" in each for each in deployed(world).notes)


def test_a_policy_that_may_not_be_read_is_unknown_and_said(world: FakeAws) -> None:
    world.stream_policy_refused = True
    found = deployed(world)
    assert found.blockers == ()
    assert any("it is unknown whether the consumer may read" in each for each in found.notes)


def test_a_destination_that_is_there_is_not_made_again(world: FakeAws, tmp_path: Path) -> None:
    [blocker] = before_the_first_up(world, tmp_path, "      makeDestination: true\n").blockers
    assert "`pulumi up` would fail" in blocker.what
    assert deployed(world, ownsDestination=True).blockers == ()


def test_a_table_that_streams_elsewhere_may_be_replicated_through_that_stream(
    world: FakeAws,
) -> None:
    world.destinations = [Destination("arn:other", "ACTIVE", "MICROSECOND")]
    [fix] = [each.fix for each in planned(world).blockers if "arn:other" in each.what]
    assert fix.startswith("replicate it through that stream: set streamArn: arn:other")
