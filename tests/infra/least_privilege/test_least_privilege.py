"""C8, proved: what the roles of a stack do in a whole life is all that they may do.

A life on the local cloud is recorded once; its calls are then evaluated against the policies that
the program declares, as they are and with every one of their actions taken away. The same calls are
then evaluated against what it declares for two tables in two Regions, with those of a second life
that ends in a switch, and for ten tables that the operators' roles name in several policies.
"""

from __future__ import annotations

import functools
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.switch_grants import CANARY_ACTIONS, OLD_SOURCE_ACTIONS, POLICY_ACTIONS
from infra.table_config import TableConfig
from tests.infra.least_privilege import bulk_lives as bulk_lives_of
from tests.infra.least_privilege import dry_run_policies, evaluate, table_streams
from tests.infra.least_privilege.declared import Declared, Grant, from_resources
from tests.infra.least_privilege.needs import Need, all_needs
from tests.infra.least_privilege.recorded_run import EXTERNAL_ID, Rehearsal, rehearse
from tests.infra.least_privilege.switched_life import switched
from tests.support.infra.recording_engine import CONFIG, record

pytestmark = [pytest.mark.slow, pytest.mark.promise("C5", "C8")]

SIDES = ("source", "target")
OPERATORS = re.compile(r"replication-.*-grants(-[0-9]+)?")
SETTINGS: dict[str, Any] = {"tables": CONFIG["tables"], "snapshotKey": True}
READS = {"operators": {**CONFIG["operators"], "readItems": True}}
KEYS = {side: f"arn:aws:kms:eu-west-1:{CONFIG[side]['accountId']}:key/a" for side in SIDES}


@pytest.fixture(scope="session")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    directory = tmp_path_factory.mktemp("rehearsal")
    return rehearse(directory, SETTINGS, directory / "calls.jsonl")


@pytest.fixture(scope="session")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    directory = tmp_path_factory.mktemp("switch")
    return rehearse(directory, {**SETTINGS, "switch": True}, directory / "calls.jsonl", switched)


@pytest.fixture(scope="session")
def needs(rehearsal: Rehearsal) -> tuple[Need, ...]:
    return all_needs(rehearsal.needs, rehearsal.declared, EXTERNAL_ID)


FAR = "eu-central-1"


@dataclass(frozen=True)
class Pair:
    """Policies, and what they have to allow."""

    declared: Declared
    needs: tuple[Need, ...]


@pytest.fixture(scope="session")
def wide_stack(
    rehearsal: Rehearsal, switch: Rehearsal, tmp_path_factory: pytest.TempPathFactory
) -> Pair:
    """Two tables under keys of their own, in two Regions, with the roles of a switch, in a VPC."""

    def table(name: str) -> dict[str, Any]:
        return {
            "source": name,
            "target": f"{name}-replica",
            "sourceKeyArn": f"arn:aws:kms:eu-west-1:{CONFIG['source']['accountId']}:key/{name}",
            "targetKeyArn": f"arn:aws:kms:{FAR}:{CONFIG['target']['accountId']}:key/{name}",
        }

    stream_key = f"arn:aws:kms:eu-west-1:{CONFIG['source']['accountId']}:key/of-streams"
    config = {
        **rehearsal.config,
        "target": {**CONFIG["target"], "region": FAR},
        "keys": {
            "consumer": f"arn:aws:kms:eu-west-1:{CONFIG['target']['accountId']}:key/functions",
            "target": f"arn:aws:kms:{FAR}:{CONFIG['target']['accountId']}:key/kept",
        },
        "tables": [table("orders"), table("customers") | {"streamKeyArn": stream_key}],
        "switch": True,
        "vpc": {"subnetIds": ["subnet-01234567"], "securityGroupIds": ["sg-01234567"]},
    }
    there = dry_run_policies.declare(config)
    calls = {
        need
        for life in (rehearsal, switch)
        for need in dry_run_policies.moved(life.needs, life.declared, life.config, there)
    }
    return Pair(there.declared, all_needs(calls, there.declared, EXTERNAL_ID))


@pytest.fixture(scope="session")
def crowded_stack(rehearsal: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Ten tables with the longest names, which the operators' roles name in several policies."""
    tables = []
    for n in range(10):
        table = {side: f"{n}-{side}-".ljust(255, "x") for side in SIDES}
        keys = {f"{side}KeyArn": f"{KEYS[side]}-{n}" for side in SIDES}
        tables.append(table | keys)
    config = {**rehearsal.config, "tables": tables}
    there = dry_run_policies.declare(config)
    calls = dry_run_policies.moved(rehearsal.needs, rehearsal.declared, rehearsal.config, there)
    return Pair(there.declared, all_needs(calls, there.declared, EXTERNAL_ID))


IMPORTS_ALONE = re.compile(r"dynamodb:ImportTable|logs:.+")
OWNERS_ALONE = re.compile(r"dynamodb:(DeleteTable|TagResource)")


@pytest.fixture(scope="session")
def bulk_lives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rehearsal]:
    """Of a table that is made, and of one that is adopted, by the source tables of `bulk_stack`."""
    [table], found = SETTINGS["tables"], {}
    lives = (("orders", bulk_lives_of.made, False), ("stock", bulk_lives_of.adopted, True))
    for name, life, adopt in lives:
        directory = tmp_path_factory.mktemp(name)
        settings = {**SETTINGS, "tables": [{**table, "load": "bulk", "adopt": adopt}]}
        found[name] = rehearse(directory, settings, directory / "calls.jsonl", life)
    return found


@pytest.fixture(scope="session")
def bulk_stack(rehearsal: Rehearsal, bulk_lives: dict[str, Rehearsal]) -> Pair:
    """Two tables under keys of their own that bulk puts fill: one is made, one is adopted."""

    def table(name: str, **members: Any) -> dict[str, Any]:
        keys = {f"{side}KeyArn": f"{KEYS[side]}-{name}" for side in SIDES}
        return {"source": name, "target": f"{name}-replica", "load": "bulk", **keys, **members}

    config = {**rehearsal.config, "tables": [table("orders"), table("stock", adopt=True)]}
    there = dry_run_policies.declare(config)
    calls = dry_run_policies.moved(rehearsal.needs, rehearsal.declared, rehearsal.config, there)
    needs = {need for need in calls if not _of_an_import(need, there.declared)}
    for name, life in bulk_lives.items():
        needs |= {*dry_run_policies.moved(life.needs, life.declared, life.config, there, only=name)}
    return Pair(there.declared, all_needs(needs, there.declared, EXTERNAL_ID))


def _of_an_import(need: Need, declared: Declared) -> bool:
    """Whether only a run with an import makes this call, of the importer."""
    if ":assumed-role/replication-importer" not in need.caller:
        return False
    owners = OWNERS_ALONE.fullmatch(need.action) and need.resource in declared.adopted
    return bool(owners or IMPORTS_ALONE.fullmatch(need.action))


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
    assert [str(need) for need in evaluate.broken(rehearsal.declared, needs)] == []


def test_nothing_is_allowed_that_no_call_and_no_reason_needs(
    rehearsal: Rehearsal, needs: tuple[Need, ...]
) -> None:
    assert list(evaluate.superfluous(rehearsal.declared, needs)) == []


def test_nothing_is_allowed_by_a_wildcard_where_aws_knows_a_name(rehearsal: Rehearsal) -> None:
    assert list(evaluate.wide(rehearsal.declared)) == []


def test_the_actions_that_are_taken_away_one_by_one_are_those_that_are_declared(
    rehearsal: Rehearsal,
) -> None:
    assert set(grants()) == set(rehearsal.declared.grants())


def test_without_this_action_something_fails_that_names_it(
    grant: Grant, rehearsal: Rehearsal, needs: tuple[Need, ...]
) -> None:
    statement = rehearsal.declared.statement(grant)
    concerned = evaluate.touched(needs, statement, grant.action)
    failed = evaluate.broken(rehearsal.declared.without(grant), concerned)
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
            found = [
                *evaluate.wide(wider),
                *evaluate.superfluous(wider.looking_at(policy.name), needs),
            ]
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
    asks = evaluate.Judge(rehearsal.declared)
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


def test_two_tables_in_two_regions_with_a_switch_allow_what_is_needed_and_no_more(
    wide_stack: Pair,
) -> None:
    declared, needs = wide_stack.declared, wide_stack.needs
    assert len({need.resource for need in needs if ":table/customers" in need.resource}) >= 2
    assert [str(need) for need in evaluate.broken(declared, needs)] == []
    assert list(evaluate.superfluous(declared, needs)) == []
    assert list(evaluate.wide(declared)) == []


def test_all_policies_of_a_role_together_allow_ten_tables_what_is_needed_and_no_more(
    crowded_stack: Pair,
) -> None:
    """Each of a role's policies is looked through; a call may be allowed by any of them."""
    declared, needs = crowded_stack.declared, crowded_stack.needs
    assert [str(need) for need in evaluate.broken(declared, needs)] == []
    of_operators = [p.name for p in declared.policies if OPERATORS.fullmatch(p.name)]
    assert len(of_operators) >= 4 + 5
    for name in of_operators:
        assert list(evaluate.superfluous(declared.looking_at(name), needs)) == []
    assert list(evaluate.wide(declared)) == []


def test_bulk_puts_are_allowed_what_they_need_and_no_more(bulk_stack: Pair) -> None:
    declared, needs = bulk_stack.declared, bulk_stack.needs
    assert [str(need) for need in evaluate.broken(declared, needs)] == []
    assert list(evaluate.superfluous(declared, needs)) == []
    assert list(evaluate.wide(declared)) == []


@pytest.fixture(scope="session")
def two_buffers(rehearsal: Rehearsal) -> Pair:
    """Two tables under keys of their own: the first has its own stream for a buffer."""

    def table(name: str, **members: Any) -> dict[str, Any]:
        keys = {f"{side}KeyArn": f"{KEYS[side]}-{name}" for side in SIDES}
        return {"source": name, "target": f"{name}-replica", **keys, **members}

    orders, customers = table("orders", buffer="streams"), table("customers")
    there = dry_run_policies.declare({**rehearsal.config, "tables": [orders, customers]})
    mine, here = TableConfig("orders", ""), (rehearsal.declared, rehearsal.config)
    other = TableConfig("customers", "")
    without = table_streams.without_kinesis(rehearsal.needs, rehearsal.declared, mine)
    needs = {
        *dry_run_policies.moved(without, *here, there, only="orders"),
        *dry_run_policies.moved(rehearsal.needs, *here, there, only="customers"),
        *table_streams.needs_of(there, orders, other),
    }
    declared = table_streams.with_stream_policy(there, orders)
    return Pair(declared, all_needs(needs, declared, EXTERNAL_ID))


def test_a_tables_own_stream_is_allowed_what_it_needs_and_no_more(two_buffers: Pair) -> None:
    """What is refused is the other table's stream, and a mapping of the other function."""
    declared, needs = two_buffers.declared, two_buffers.needs
    assert [str(need) for need in evaluate.broken(declared, needs)] == []
    assert list(evaluate.superfluous(declared, needs)) == []
    assert list(evaluate.wide(declared)) == []


BULK_ACTIONS = [
    *("dynamodb:CancelBulkOperation", "dynamodb:CreateTable", "dynamodb:DescribeBulkOperation"),
    *("dynamodb:ListBulkOperations", "dynamodb:Scan", "dynamodb:StartBulkPutItems"),
]


@pytest.mark.parametrize("action", BULK_ACTIONS)
def test_without_this_action_a_bulk_put_fails_and_names_it(action: str, bulk_stack: Pair) -> None:
    declared = bulk_stack.declared
    found = [g for g in declared.grants() if g.action == action]
    assert found
    for grant in found:
        failed = evaluate.broken(declared.without(grant), bulk_stack.needs)
        assert {need.action for need in failed} == {action}


def test_a_key_that_may_be_used_through_the_wrong_region_only_is_found(wide_stack: Pair) -> None:
    overlooked, conditions = [], 0
    for policy in wide_stack.declared.policies:
        for here, there in (("eu-west-1", FAR), (FAR, "eu-west-1")):
            for service in ("dynamodb", "kinesis", "s3"):
                right, wrong = f"{service}.{here}.amazonaws", f"{service}.{there}.amazonaws"
                if right not in policy.document:
                    continue
                conditions += 1
                changed = wide_stack.declared.with_text(policy.name, right, wrong)
                failed = evaluate.broken(changed, wide_stack.needs)
                if not any(need.action.startswith("kms:") for need in failed):
                    overlooked.append(f"{policy.name}: {right}")
    assert overlooked == []
    # Both streams' keys, the snapshot's, both consumers', the exporter's two, the importer's, the
    # one of the target's switch role, and those of the keys that the stack file names, which are in
    # policies of their own.
    assert conditions == 18


def test_a_reach_into_the_other_table_is_found_in_any_policy(wide_stack: Pair) -> None:
    declared, needs = wide_stack.declared, wide_stack.needs
    overlooked = []
    for policy in declared.policies:
        if not policy.name.startswith("replicate-orders-"):
            continue
        for n, statement in enumerate(policy.statements):
            for resource in statement.get("Resource", ()):
                other = _of_customers(declared, resource)
                if statement["Effect"] == "Deny" or other is None:
                    continue
                reaching = declared.reaching(policy.name, n, other)
                found = evaluate.superfluous(reaching.looking_at(policy.name), needs)
                if not any(finding.endswith(other) for finding in found):
                    overlooked.append(f"{policy.name}/{statement.get('Sid')}: {other}")
    assert overlooked == []


def _of_customers(declared: Declared, resource: str) -> str | None:
    """The same part of the other table, or None where it is no table's."""
    other = resource.replace("replicate-orders-", "replicate-customers-")
    for mine, its in zip(*declared.tables, strict=True):
        other = its if resource == mine else other
    return other if other != resource else None


def test_everything_that_a_switch_calls_is_allowed(switch: Rehearsal) -> None:
    needs = all_needs(switch.needs, switch.declared, EXTERNAL_ID)
    assert [str(need) for need in evaluate.broken(switch.declared, needs)] == []


SWITCH_GRANTS = [
    *(("source", action) for action in (*POLICY_ACTIONS, *OLD_SOURCE_ACTIONS)),
    *(("target", action) for action in (*POLICY_ACTIONS, *CANARY_ACTIONS)),
]


@pytest.mark.parametrize(("side", "action"), SWITCH_GRANTS)
def test_without_this_action_a_switch_fails_and_names_it(
    side: str, action: str, wide_stack: Pair
) -> None:
    declared, role = wide_stack.declared, f"replication-switch-{side}"
    [grant] = [g for g in declared.grants() if (g.policy, g.action) == (f"{role}-grants", action)]
    failed = evaluate.broken(declared.without(grant), wide_stack.needs)
    assert {need.action for need in failed} == {action}
    assert all(role in need.caller for need in failed)
