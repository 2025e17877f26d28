"""The tables that each policy of a role for operators names, known before any ARN is.

A role has one inline policy, and managed ones for the tables that it has no room for; or, where the
stack file says so, managed ones alone. They are filled in the configuration's order: a table that
is added at the end moves no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from infra import operator_key_grants, source_grants, switch_grants, target_grants
from infra.policy_sizes import (
    ATTACHED_POLICIES_LIMIT,
    INLINE_POLICY_LIMIT,
    MANAGED_POLICY_LIMIT,
    policy_size,
)
from infra.stack_arns import OperatorScope, PlaceArns, SharedArns, TableArns
from infra.statements import Statement
from infra.table_config import TableConfig


class Grants(Protocol):
    """The statements of one role for some tables. `first`: with what no table needs."""

    def __call__(
        self, scope: OperatorScope, shared: SharedArns, arns: Sequence[TableArns], *, first: bool
    ) -> list[Statement]: ...


GRANTS_BY_ROLE: Mapping[str, Grants] = {
    "exporter": source_grants.exporter,
    "importer": target_grants.importer,
    "operator-source": source_grants.reader,
    "operator-target": target_grants.reader,
    "switch-source": switch_grants.source,
    "switch-target": switch_grants.target,
}
"""By role. `operator-source` and `operator-target` are the readers."""


class KeyGrants(Protocol):
    """The statements of one role for the keys of the places."""

    def __call__(
        self, scope: OperatorScope, places: PlaceArns, tables: Sequence[TableConfig]
    ) -> list[Statement]: ...


KEY_GRANTS_BY_ROLE: Mapping[str, KeyGrants] = {
    "exporter": operator_key_grants.exporter,
    "importer": operator_key_grants.importer,
    "operator-source": operator_key_grants.none,
    "operator-target": operator_key_grants.reader,
    "switch-source": operator_key_grants.none,
    "switch-target": operator_key_grants.none,
}
"""By role. What is encrypted depends on this policy. It is a managed one: inline, it would need the
room of the others, which an older program may have filled."""


def size_limit(policy: int, *, managed: bool = False) -> int:
    """Return the characters that a role's policy may have. Policy 0 is inline, unless `managed`."""
    return MANAGED_POLICY_LIMIT if policy or managed else INLINE_POLICY_LIMIT


def most_policies(*, managed: bool, others: int = 0) -> int:
    """Return how many policies a role can have for tables. `others`: attached beside them."""
    return ATTACHED_POLICIES_LIMIT + (0 if managed else 1) - others


def tables_per_policy(role: str, scope: OperatorScope, tables: Sequence[TableConfig]) -> list[int]:
    """Return how many tables each policy of a role names, an inline one first.

    The sum is less than the number of tables where IAM allows no policy more.
    """
    arns = [scope.expected(table) for table in tables]
    shared, start = scope.expected_shared(), 0
    counts: list[int] = []
    managed = scope.managed_policies
    # One for keys, one for the job.
    others = int(bool(KEY_GRANTS_BY_ROLE[role](scope, shared.places, tables)))
    others += role == "importer" and scope.verification_job
    while start < len(arns) and len(counts) < most_policies(managed=managed, others=others):
        first, count = not counts, 0
        while start + count < len(arns):
            named = arns[start : start + count + 1]
            size = policy_size(GRANTS_BY_ROLE[role](scope, shared, named, first=first))
            if size > size_limit(len(counts), managed=managed):
                break
            count += 1
        if not count:
            break
        counts.append(count)
        start += count
    return counts


def count_that_fits(scope: OperatorScope, tables: Sequence[TableConfig]) -> int:
    """Return how many of these tables, from the first on, every role can name."""
    return min(sum(tables_per_policy(role, scope, tables)) for role in GRANTS_BY_ROLE)
