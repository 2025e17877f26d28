"""Plans of a stack file whose stack is not deployed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bootstrap.core.errors import UsageError
from bootstrap.plan.replication import of_file
from tests.support.bootstrap.fake_aws import FakeAws
from tests.support.bootstrap.plans import (
    CONFIG,
    planned_before_deployment,
    source,
    stack_file,
)


def test_a_stack_that_is_not_deployed_is_planned_from_its_configuration(tmp_path: Path) -> None:
    stack = of_file(stack_file(tmp_path))
    assert (stack.source_profile, stack.target_profile) == ("shop", None)
    first, second = stack.tables
    assert (first.target_table, second.target_table) == ("orders-replica", "customers")
    assert stack.chosen("customers") == [second]
    assert not first.denies_other_writers
    world = FakeAws()
    made = planned_before_deployment(world, first)
    assert made.blockers == ()
    assert any("not deployed" in note for note in made.notes)
    assert not world.times("stream")
    assert not world.times("mapping")


def test_a_plan_before_the_deployment_has_the_deny_that_the_file_asks_for(tmp_path: Path) -> None:
    tables = of_file(stack_file(tmp_path, f"{CONFIG}  dynamodb-replication:switch: true\n")).tables
    made = planned_before_deployment(FakeAws(), tables[0])
    assert "target-deny" in [action.step for action in made.actions]


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
    here = re.sub(r"region: [a-z0-9-]+", f"region: {region}", CONFIG)
    path = stack_file(tmp_path, here)
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
