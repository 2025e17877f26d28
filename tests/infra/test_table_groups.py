"""The policies of an operators' role: as many as its tables need, and each within IAM's limit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from infra.config_validation import ConfigError
from infra.key_config import KeyConfig
from infra.local.size_limits import BYTES
from infra.policy_sizes import (
    ATTACHED_POLICIES_LIMIT,
    INLINE_POLICY_LIMIT,
    MANAGED_POLICY_LIMIT,
    TRUST_POLICY_LIMIT,
    characters,
    policy_size,
)
from infra.role_policies import within
from infra.stack_config import MOST_TABLES, StackConfig
from infra.statements import Statement
from infra.table_groups import (
    GRANTS_BY_ROLE,
    KEY_GRANTS_BY_ROLE,
    count_that_fits,
    size_limit,
    tables_per_policy,
)
from tests.infra.least_privilege import dry_run_policies
from tests.infra.least_privilege.declared import RESOURCE, TRUST
from tests.support.infra.named_tables import REGIONS, config, named, policies, split
from tests.support.infra.recording_engine import record

pytestmark = pytest.mark.promise("C8")

SAME = REGIONS[-1]
NAMES = st.text("abcxyzABCXYZ0189_.-", min_size=3, max_size=255)
LONGEST = st.text("aZ9_.-", min_size=255, max_size=255)
SHARES_A_FOLDER = [HealthCheck.function_scoped_fixture]


def pairs(names: st.SearchStrategy[str], most_tables: int) -> Any:
    sides = st.lists(names, min_size=most_tables, max_size=most_tables, unique=True)
    return st.integers(1, most_tables).flatmap(
        lambda count: st.tuples(sides, sides).map(
            lambda both: list(zip(*both, strict=True))[:count]
        )
    )


@pytest.mark.slow
@settings(max_examples=6, deadline=None, suppress_health_check=SHARES_A_FOLDER)
@given(
    names=st.one_of(pairs(NAMES, 2), pairs(LONGEST, 5)),
    regions=st.sampled_from(REGIONS),
    everything=st.booleans(),
)
@example(names=named(5), regions=REGIONS[0], everything=True)
@example(names=named(5), regions=REGIONS[1], everything=True)
@example(names=named(5), regions=REGIONS[2], everything=True)
def test_every_policy_of_a_role_is_as_long_as_expected_and_within_the_limit(
    names: list[tuple[str, str]], regions: tuple[str, str], everything: bool, tmp_path: Path
) -> None:
    given = config(names, regions, everything=everything)
    declared = dry_run_policies.declare(given).declared
    for role in (
        GRANTS_BY_ROLE if everything else [*GRANTS_BY_ROLE][:-2]
    ):  # the last two are a switch's
        expected = [policy_size(statements) for statements in policies(given, role)]
        texts = {
            policy.name.removeprefix(f"replication-{role}-grants"): policy.document
            for policy in declared.policies
            if policy.name.startswith(f"replication-{role}-grants")
        }
        suffixes = ["", *(f"-{n}" for n in range(2, len(expected) + 1))]
        assert texts.keys() == set(suffixes)
        assert [characters(texts[suffix]) for suffix in suffixes] == expected
        assert all(found <= size_limit(n) for n, found in enumerate(expected))
    trusts = [characters(policy.document) for policy in declared.policies if policy.kind == TRUST]
    assert max(trusts) <= TRUST_POLICY_LIMIT
    others = [len(policy.document) for policy in declared.policies if policy.kind == RESOURCE]
    assert max(others) <= min(BYTES.values())


@given(
    names=pairs(NAMES, 12),
    regions=st.sampled_from(REGIONS),
    everything=st.booleans(),
    role=st.sampled_from(sorted(GRANTS_BY_ROLE)),
)
@settings(max_examples=30, deadline=None)
def test_a_table_at_the_end_moves_no_other(
    names: list[tuple[str, str]], regions: tuple[str, str], everything: bool, role: str
) -> None:
    before = policies(config(names[:-1], regions, everything=everything), role) if names[1:] else []
    after = policies(config(names, regions, everything=everything), role)
    unchanged = len(before) - 1 if len(after) == len(before) else len(before)
    assert len(after) in (len(before), len(before) + 1)
    assert after[:unchanged] == before[:unchanged]


@pytest.mark.parametrize("role", GRANTS_BY_ROLE)
@pytest.mark.parametrize("regions", REGIONS)
def test_the_policies_of_a_role_together_allow_what_one_would(
    role: str, regions: tuple[str, str]
) -> None:
    """No action on a table's part is lost at a border between two policies, and none is added."""
    stack = StackConfig.parse(config(named(20), regions, everything=True))
    scope, shared = stack.operator_scope, stack.operator_scope.expected_shared()
    # More than a role for operators names: one for a switch has room for so many in one policy.
    further = [replace(stack.tables[0], source=s, target=t) for s, t in named(60)[20:]]
    tables = [*stack.tables, *(further if role.startswith("switch") else [])]
    arns = [scope.expected(table) for table in tables]
    several = split(scope, tables, role)
    assert len(several) > 1
    assert allowed(*several) == allowed(GRANTS_BY_ROLE[role](scope, shared, arns, first=True))


def allowed(*policies: list[Statement]) -> set[tuple[str, str, str]]:
    return {
        (action, resource, str(statement.get("Condition")))
        for statements in policies
        for statement in statements
        for action in statement["Action"]
        for resource in statement["Resource"]
    }


def test_tables_that_fit_into_the_inline_policy_are_named_there_alone() -> None:
    for names, everything in ((named(4), False), (named(10, 12), False), (named(7, 12), True)):
        stack = StackConfig.parse(config(names, SAME, everything=everything))
        for role in GRANTS_BY_ROLE:
            assert tables_per_policy(role, stack.operator_scope, stack.tables) == [len(names)]


@pytest.mark.slow
def test_the_managed_policies_follow_the_inline_one_and_are_attached_to_its_role(
    tmp_path: Path,
) -> None:
    deployed = record(config(named(9), everything=True), tmp_path / "archive")
    stack = StackConfig.parse(config(named(9), everything=True))
    for role, side in (
        ("exporter", "source"),
        ("importer", "target"),
        ("operator-target", "target"),
    ):
        inline = f"replication-{role}-grants"
        count = len(tables_per_policy(role, stack.operator_scope, stack.tables))
        names = [f"{inline}-{n}" for n in range(2, count + 1)]
        made = {each.name: each for each in deployed.of("Policy") if each.name.startswith(inline)}
        assert sorted(made) == names
        for before, name in zip([inline, *names], names, strict=False):
            assert before in made[name].depends_on, (
                "a table that moves forward would lose its grants"
            )
            attachment = deployed.one("RolePolicyAttachment", f"{name}-attachment")
            assert attachment.inputs["policyArn"] == deployed.arn(made[name])
            assert attachment.inputs["role"] == deployed.one("RolePolicy", inline).inputs["role"]
            assert {made[name].side, attachment.side} == {side}


@pytest.mark.parametrize("regions", REGIONS)
def test_twenty_tables_with_the_longest_names_and_all_options_fit_everywhere(
    regions: tuple[str, str],
) -> None:
    stack = StackConfig.parse(config(named(20), regions, everything=True))
    assert count_that_fits(stack.operator_scope, stack.tables) == 20


def test_more_tables_than_iam_lets_a_role_name_are_a_mistake_of_the_configuration() -> None:
    everything = StackConfig.parse(config(named(20), everything=True))
    scope = replace(everything.operator_scope, keys=KeyConfig())
    names = named(60)
    # The configuration cannot be parsed: that is what is tested.
    tables = [type(everything.tables[0])(source, target) for source, target in names]
    fits = count_that_fits(scope, tables)
    assert 20 < fits < 60
    assert StackConfig.parse(config(names[:fits], everything=False))
    with pytest.raises(ConfigError) as raised:
        StackConfig.parse(config(names))
    [mistake] = raised.value.mistakes
    assert mistake.key == "tables"
    assert f"up to {fits} tables" in mistake.allowed
    assert f"tables[{fits}] and those after it to a second stack" in mistake.fix


def test_more_tables_than_a_dashboard_shows_are_a_mistake_too() -> None:
    StackConfig.parse(config(named(MOST_TABLES, 3)))
    with pytest.raises(ConfigError, match=f"up to {MOST_TABLES} tables, which a dashboard shows"):
        StackConfig.parse(config(named(MOST_TABLES + 1, 3)))


def test_the_policies_of_a_role_are_counted() -> None:
    given = config(named(20), everything=True)
    assert len(policies(given, "importer")) <= 1 + ATTACHED_POLICIES_LIMIT
    stack = StackConfig.parse(given)
    tables = [type(stack.tables[0])(source, target) for source, target in named(300)]
    for role in GRANTS_BY_ROLE:
        counts = tables_per_policy(role, stack.operator_scope, tables)
        # The keys of places have a policy of their own, which is attached, too.
        keys = KEY_GRANTS_BY_ROLE[role](
            stack.operator_scope, stack.operator_scope.expected_places(), tables
        )
        assert len(counts) == 1 + ATTACHED_POLICIES_LIMIT - bool(keys)
        assert all(counts)


@pytest.mark.parametrize("most", [INLINE_POLICY_LIMIT, MANAGED_POLICY_LIMIT])
def test_a_policy_that_iam_would_refuse_for_its_size_ends_the_run_with_what_to_do(
    most: int,
) -> None:
    assert within(" " * 20_000 + "x" * most, most)
    with pytest.raises(pulumi.RunError, match=rf"(?s){most + 1} characters.*Try: .*second stack"):
        within("x" * (most + 1), most)
