"""The grants of the switch roles, which change resource policies of the replicated tables.

`dynamodb:PutResourcePolicy` amounts to full control of a table's data, and no condition key limits
what is put. So these rights are with no other role, and only where the stack file asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from infra.stack_arns import OperatorScope, SharedArns, TableArns
from infra.statements import Statement, allow, allow_keys, through

POLICY_ACTIONS = (
    "dynamodb:DeleteResourcePolicy",
    "dynamodb:GetResourcePolicy",
    "dynamodb:PutResourcePolicy",
)
OLD_SOURCE_ACTIONS = (
    # After the switch the old source expires nothing and streams nothing.
    "dynamodb:DescribeKinesisStreamingDestination",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:DisableKinesisStreamingDestination",
    "dynamodb:UpdateTimeToLive",
)
CANARY_ACTIONS = ("dynamodb:DeleteItem",)
"""A delete under a condition that cannot hold tells whether the table refuses other writers."""
TARGET_KEY_ACTIONS = ("kms:Decrypt",)


def source(
    scope: OperatorScope, shared: SharedArns, arns: Sequence[TableArns], *, first: bool
) -> list[Statement]:
    """Return what the switch role of the source account may do with these tables."""
    tables = [scope.source.table_arn(each.table.source) for each in arns]
    return [allow("SourceTables", [*POLICY_ACTIONS, *OLD_SOURCE_ACTIONS], tables)]


def target(
    scope: OperatorScope, shared: SharedArns, arns: Sequence[TableArns], *, first: bool
) -> list[Statement]:
    """Return what the switch role of the target account may do with these tables."""
    tables = [scope.target.table_arn(each.table.target) for each in arns]
    keys = sorted({each.table.target_key for each in arns if each.table.target_key})
    by_dynamodb = through("dynamodb", scope.target.region)
    return [
        allow("TargetTables", [*POLICY_ACTIONS, *CANARY_ACTIONS], tables),
        *allow_keys("TargetTableKeys", TARGET_KEY_ACTIONS, keys, by_dynamodb),
    ]
