"""The Deny on a target's other writers that older programs made, on its way out of the state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bootstrap.core.write_deny import WRITE_ACTIONS, stacks_deny
from infra.target_write_deny import WRITES
from tests.infra.least_privilege.declared import RESOURCE, Declared, Policy
from tests.infra.least_privilege.evaluate import Judge
from tests.infra.least_privilege.needs import Need
from tests.support.infra.recording_engine import CONFIG, Deployment, record

pytestmark = pytest.mark.slow

TARGET = "arn:aws:dynamodb:eu-west-1:222222222222:table/orders-replica"
CONSUMER = "arn:aws:iam::222222222222:role/consumer"
IMPORTER = "arn:aws:iam::222222222222:role/importer"
ADMINISTRATOR = "arn:aws:iam::222222222222:root"
OLD, NEW = "replicate-orders-write-fence", "replicate-orders-write-deny"
OLDER: Mapping[str, Any] = {"tables": [{"sourceTable": "orders"}]}
"""Outputs of a program that did not say who owns the Deny."""


def held(name: str) -> str:
    fence = "replication:index:WriteFence$aws:dynamodb/resourcePolicy:ResourcePolicy"
    return f"urn:pulumi:test::dynamodb-replication::{fence}::{name}"


def up(
    folder: Path,
    name: str | None,
    before: Mapping[str, Any] | None = OLDER,
    *,
    asked: bool = True,
    **values: Any,
) -> Deployment:
    """Run the program for a state that holds the policy under this name."""
    table = {**CONFIG["tables"][0], "denyOtherWriters": asked}
    urns = [held(name)] if name else []
    return record(
        {**CONFIG, "tables": [table], **values}, folder / "archive", before=before, held=urns
    )


def owns(stack: Deployment) -> bool:
    [table] = stack.outputs["tables"]
    return bool(table["stackOwnsTargetDeny"])


def policies(stack: Deployment) -> list[str]:
    return [each.name for each in stack.aws if each.type.startswith("aws:dynamodb/resourcePolicy:")]


def test_the_first_up_keeps_the_old_policy_and_says_that_its_deletion_deletes_nothing(
    tmp_path: Path,
) -> None:
    stack = up(tmp_path, OLD)
    assert policies(stack) == [NEW]
    deny = stack.one("ResourcePolicy", NEW)
    assert (deny.aliases, deny.retain_on_delete) == ((OLD,), True)
    assert deny.ignore_changes == ("policy",)
    assert deny.import_id == deny.inputs["resourceArn"] == TARGET
    assert deny.parent == OLD
    assert owns(stack)


def test_the_first_up_keeps_it_for_a_switch_too(tmp_path: Path) -> None:
    assert policies(up(tmp_path, OLD, asked=False, switch=True)) == [NEW]


def test_the_second_up_leaves_it_out(tmp_path: Path) -> None:
    before = {"tables": [{"sourceTable": "orders", "stackOwnsTargetDeny": True}]}
    stack = up(tmp_path, NEW, before)
    assert policies(stack) == []
    assert not owns(stack)


def test_an_up_that_passed_the_old_policy_over_is_no_first_one(tmp_path: Path) -> None:
    """`up --target` of something else writes the outputs, and leaves the resource as it was."""
    before = {"tables": [{"sourceTable": "orders", "stackOwnsTargetDeny": True}]}
    stack = up(tmp_path, OLD, before)
    assert policies(stack) == [NEW]
    assert owns(stack)


@pytest.mark.parametrize("before", [None, OLDER])
def test_a_state_without_it_never_gets_it(before: Mapping[str, Any], tmp_path: Path) -> None:
    stack = up(tmp_path, None, before)
    assert policies(stack) == []
    assert not owns(stack)


def test_an_old_policy_that_is_not_asked_for_any_more_is_left_to_the_engine(tmp_path: Path) -> None:
    assert policies(up(tmp_path, OLD, asked=False)) == []


def document(folder: Path) -> str:
    """Return the old policy, with ARNs of AWS's form."""
    stack = up(folder, OLD)
    found = str(stack.one("ResourcePolicy", NEW).inputs["policy"])
    for role, arn in (("consumer-role", CONSUMER), ("importer", IMPORTER)):
        found = found.replace(stack.arn(stack.one("Role", role)), arn)
    return found


@pytest.fixture
def fenced(tmp_path: Path) -> Judge:
    policy = Policy("fence", RESOURCE, "222222222222", TARGET, document(tmp_path))
    # What the roles' own policies allow is not the question here.
    return Judge(Declared((policy,), {}, {}), lenient=True)


def session(role: str) -> str:
    return role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/session"


def test_the_old_policy_lets_nobody_but_consumer_and_importer_write(fenced: Judge) -> None:
    for action in WRITES:
        assert fenced.allows(Need(session(CONSUMER), action, TARGET))
        assert fenced.allows(Need(session(IMPORTER), action, TARGET))
        assert not fenced.allows(Need(ADMINISTRATOR, action, TARGET))
        assert not fenced.allows(Need(session(f"{CONSUMER}-2"), action, TARGET))
    assert fenced.allows(Need(ADMINISTRATOR, "dynamodb:GetItem", TARGET))


def test_the_operators_tool_knows_the_old_statement_in_every_form(tmp_path: Path) -> None:
    written = document(tmp_path)
    assert stacks_deny(written, TARGET)
    shown = json.loads(written)
    [statement] = shown["Statement"]
    [statement["Resource"]] = statement["Resource"]  # as AWS may show a list of one
    assert stacks_deny(json.dumps({**shown, "Statement": statement}), TARGET)
    assert not stacks_deny(written, f"{TARGET}-2")


def test_a_stack_and_a_switch_deny_the_same_writes() -> None:
    # The operator's tool may not import the program, so both have the list.
    assert WRITES == WRITE_ACTIONS
