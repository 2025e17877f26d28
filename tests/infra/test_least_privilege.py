"""C8, proved: what the roles of a stack do in a whole life is all that they may do.

A life on the local cloud is recorded once; its calls are then evaluated against the policies that
the program declares, as they are and with every one of their actions taken away.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.infra.engine import CONFIG, record
from tests.infra.proof import judge
from tests.infra.proof.declared import Grant, from_resources
from tests.infra.proof.needs import Need, all_needs
from tests.infra.proof.rehearsal import EXTERNAL_ID, Rehearsal, rehearse

pytestmark = pytest.mark.slow

SIDES = ("source", "target")
SETTINGS: dict[str, Any] = {"tables": CONFIG["tables"], "snapshotKey": True}
READS = {"operators": {"readItems": True}}
KEYS = {side: f"arn:aws:kms:eu-west-1:{CONFIG[side]['accountId']}:key/a" for side in SIDES}


@pytest.fixture(scope="session")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    directory = tmp_path_factory.mktemp("rehearsal")
    return rehearse(directory, SETTINGS, directory / "calls.jsonl")


@pytest.fixture(scope="session")
def needs(rehearsal: Rehearsal) -> tuple[Need, ...]:
    return all_needs(rehearsal.needs, rehearsal.declared, EXTERNAL_ID)


@functools.cache
def grants() -> tuple[Grant, ...]:
    """Every action of every policy, read off a program that deploys nothing."""
    [table] = SETTINGS["tables"]
    with_keys = table | {f"{side}KeyArn": KEYS[side] for side in SIDES}
    values = {**CONFIG, **SETTINGS, **READS, "tables": [with_keys]}
    with tempfile.TemporaryDirectory() as directory:
        deployed = record(values, Path(directory) / "archive")
    created = [
        (r.type, r.name, r.side, {"arn": deployed.arn(r), "bucket": r.name, **r.inputs})
        for r in deployed.resources
        if r.custom
    ]
    return tuple(from_resources(created).grants())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "grant" in metafunc.fixturenames:
        # Resources are registered in any order; the processes of a run must agree on one.
        metafunc.parametrize("grant", sorted(grants(), key=str), ids=str)


def test_everything_that_is_called_is_allowed(
    rehearsal: Rehearsal, needs: tuple[Need, ...]
) -> None:
    assert len(needs) > 90
    assert [str(need) for need in judge.broken(rehearsal.declared, needs)] == []


def test_nothing_is_allowed_that_no_call_and_no_reason_needs(
    rehearsal: Rehearsal, needs: tuple[Need, ...]
) -> None:
    assert list(judge.superfluous(rehearsal.declared, needs)) == []


def test_nothing_is_allowed_by_a_wildcard_where_aws_knows_a_name(rehearsal: Rehearsal) -> None:
    assert list(judge.wide(rehearsal.declared)) == []


def test_the_actions_that_are_taken_away_one_by_one_are_those_that_are_declared(
    rehearsal: Rehearsal,
) -> None:
    assert set(grants()) == set(rehearsal.declared.grants())


def test_without_this_action_something_fails_that_names_it(
    grant: Grant, rehearsal: Rehearsal, needs: tuple[Need, ...]
) -> None:
    statement = rehearsal.declared.statement(grant)
    concerned = judge.touched(needs, statement, grant.action)
    failed = judge.broken(rehearsal.declared.without(grant), concerned)
    named = [need for need in failed if grant.action in (need.action, "s3:*")]
    assert named, f"{grant} could go, and nothing would show it"


@pytest.mark.parametrize("action", ["dynamodb:*", "dynamodb:Scan", "s3:GetObject", "kms:Decrypt"])
def test_one_action_more_in_any_policy_is_found(
    action: str, rehearsal: Rehearsal, needs: tuple[Need, ...]
) -> None:
    overlooked = []
    for policy in rehearsal.declared.policies:
        for n, statement in enumerate(policy.statements):
            if action in statement["Action"] or statement["Effect"] == "Deny":
                continue
            wider = rehearsal.declared.allowing(policy.name, n, action)
            added = Grant(policy.name, n, statement.get("Sid", ""), action)
            found = [*judge.wide(wider), *judge.superfluous(wider.looking_at(policy.name), needs)]
            if not any(action in finding for finding in found):
                overlooked.append(str(added))
    assert overlooked == []


def test_nobody_hands_a_role_to_anything(rehearsal: Rehearsal) -> None:
    """`iam:PassRole` belongs to who runs `pulumi up`, and to no role of the stack."""
    assert [str(g) for g in rehearsal.declared.grants() if g.action.startswith("iam:")] == []


def test_operators_without_the_external_id_and_anybody_else_are_refused(
    rehearsal: Rehearsal, needs: tuple[Need, ...]
) -> None:
    admitted = [n for n in needs if n.action == "sts:AssumeRole" and n.keys]
    assert len(admitted) >= 2
    asks = judge.Judge(rehearsal.declared)
    for need in admitted:
        account = need.resource.split(":")[4]
        other = {"111111111111": "222222222222", "222222222222": "111111111111"}[account]
        assert asks.allows(need)
        without = Need(need.caller, need.action, need.resource)
        assert not asks.allows(without)
        for caller in (
            f"arn:aws:sts::{account}:assumed-role/intern/ben",
            f"arn:aws:sts::{other}:assumed-role/dba/anna",
            f"arn:aws:iam::{other}:root",
        ):
            assert not asks.allows(Need(caller, need.action, need.resource, need.keys))
