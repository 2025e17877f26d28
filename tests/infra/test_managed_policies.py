"""A stack without inline policies: the same rights, in managed ones, within IAM's limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from infra.dry_run import DryRun
from infra.policy_sizes import ATTACHED_POLICIES_LIMIT, MANAGED_POLICY_LIMIT, characters
from infra.stack_config import StackConfig
from infra.table_groups import GRANTS_BY_ROLE, count_that_fits, tables_per_policy
from tests.support.infra.named_tables import config, named, policies
from tests.support.infra.recording_engine import statements

pytestmark = pytest.mark.promise("C8")

INLINE, MANAGED = "aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
Right = tuple[str, str, str]
"""Action, resource, and effect with condition."""


def managed(count: int, length: int = 255) -> dict[str, Any]:
    """Return a configuration with all options, of so many tables with such long names."""
    given = config(named(count, length), everything=True)
    vpc = {"subnetIds": ["subnet-01234567"], "securityGroupIds": ["sg-01234567"]}
    return {**given, "vpc": vpc, "iam": {"managedPolicies": True}}


def rights(ran: DryRun) -> Mapping[str, set[Right]]:
    """Return what each role may do, whatever kinds of policies say so."""
    roles = {
        each.values["policyArn"]: each.values["role"]
        for each in ran.resources
        if each.type == ATTACHMENT
    }
    found: dict[str, set[Right]] = {}
    for each in ran.resources:
        if each.type not in (INLINE, MANAGED):
            continue
        role = each.values["role"] if each.type == INLINE else roles[each.values["arn"]]
        found.setdefault(role, set()).update(
            (action, resource, f"{statement['Effect']} {statement.get('Condition')}")
            for statement in statements(each.values["policy"])
            for action in statement["Action"]
            for resource in statement["Resource"]
        )
    return found


@pytest.mark.slow
def test_every_role_has_the_rights_that_inline_policies_would_give_it_and_no_inline_one() -> None:
    vpc = {"subnetIds": ["subnet-01234567"], "securityGroupIds": ["sg-01234567"]}
    given = {**managed(3), "vpc": vpc}
    ran, inline = DryRun.of(given, stack="a"), DryRun.of({**given, "iam": {}}, stack="a")
    assert rights(ran) == rights(inline)
    assert [each.name for each in ran.resources if each.type == INLINE] == []
    made = {each.name: each.values["policy"] for each in ran.resources if each.type == MANAGED}
    assert {name for name, text in made.items() if characters(text) > MANAGED_POLICY_LIMIT} == set()
    # None is an update of one that the other kind of stack has: that would take rights away first.
    # Those for the keys of places are managed in both.
    both = made.keys() & {each.name for each in inline.resources if each.type == MANAGED}
    assert {name for name in both if not name.endswith("-keys")} == set()


def test_the_operators_policies_are_counted_by_the_limits_of_managed_ones() -> None:
    stack = StackConfig.parse(managed(10))
    for role in GRANTS_BY_ROLE:
        counts = tables_per_policy(role, stack.operator_scope, stack.tables)
        assert sum(counts) == 10
        assert len(counts) <= ATTACHED_POLICIES_LIMIT
        inline = StackConfig.parse(config(named(10), everything=True)).operator_scope
        assert counts[0] <= tables_per_policy(role, inline, stack.tables)[0]
    assert len(policies(managed(10), "importer")) > len(
        policies(config(named(10), everything=True), "importer")
    )


def test_more_tables_than_ten_managed_policies_name_are_refused() -> None:
    stack = StackConfig.parse(managed(10))
    tables = [type(stack.tables[0])(source, target) for source, target in named(60)]
    fits = count_that_fits(stack.operator_scope, tables)
    plain = {key: value for key, value in managed(10).items() if key != "tables"}
    rows = [{"source": source, "target": target} for source, target in named(60)]
    with pytest.raises(ValueError, match=rf"up to {fits} tables.* allows 10 attached"):
        StackConfig.parse({**plain, "tables": rows})
