"""Configurations of many tables with long names, and the policies that they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from infra.stack_arns import OperatorScope
from infra.stack_config import StackConfig
from infra.statements import Statement
from infra.table_config import TableConfig
from infra.table_groups import GRANTS_BY_ROLE, tables_per_policy
from tests.support.infra.recording_engine import CONFIG, SOURCE, TARGET

PARTITIONS = {
    ("eu-west-1", "ap-southeast-2"): "aws",
    ("cn-north-1", "cn-northwest-1"): "aws-cn",
    ("us-gov-west-1", "us-gov-east-1"): "aws-us-gov",
    ("eu-west-1", "eu-west-1"): "aws",
}
"""A source's and a target's Region in each partition that has customers."""
REGIONS = list(PARTITIONS)


def config(
    names: Sequence[tuple[str, str]],
    regions: tuple[str, str] = REGIONS[0],
    *,
    everything: bool = False,
) -> dict[str, Any]:
    """Return the configuration of tables by their names in source and target.

    `everything`: with each option that a policy depends on, and a key for every table.
    """
    places = {
        side: {**account, "region": region}
        for side, account, region in zip(
            ("source", "target"), (SOURCE, TARGET), regions, strict=True
        )
    }
    tables: list[dict[str, Any]] = [
        {"source": source, "target": target} for source, target in names
    ]
    if not everything:
        return {**CONFIG, **places, "tables": tables}
    for table in tables:
        for side, place in places.items():
            at = f"{place['region']}:{place['accountId']}"
            key = uuid5(NAMESPACE_URL, table[side])
            table[f"{side}KeyArn"] = f"arn:{PARTITIONS[regions]}:kms:{at}:key/{key}"
    operators = {**CONFIG["operators"], "readItems": True, "externalId": "word"}
    target = f"{places['target']['region']}:{places['target']['accountId']}"
    kept = f"arn:{PARTITIONS[regions]}:kms:{target}:key/{uuid5(NAMESPACE_URL, 'kept')}"
    options = {
        "keys": {"target": kept},
        "snapshotKey": True,
        "switch": {"mfa": True},
        "operators": operators,
    }
    return {**CONFIG, **places, "tables": tables, **options}


def named(count: int, length: int = 255) -> list[tuple[str, str]]:
    """Return that many pairs of names of that many characters."""
    return [(f"{n:03}".ljust(length, "s"), f"{n:03}".ljust(length, "t")) for n in range(count)]


def policies(given: dict[str, Any], role: str) -> list[list[Statement]]:
    """Return the statements of each policy of a role, with ARNs of the expected length."""
    stack = StackConfig.parse(given)
    return split(stack.operator_scope, stack.tables, role)


def split(scope: OperatorScope, tables: Sequence[TableConfig], role: str) -> list[list[Statement]]:
    """Return the statements of each policy of a role for these tables."""
    start, found = 0, []
    for n, count in enumerate(tables_per_policy(role, scope, tables)):
        arns = [scope.expected(table) for table in tables[start : start + count]]
        found.append(GRANTS_BY_ROLE[role](scope, scope.expected_shared(), arns, first=not n))
        start += count
    return found
