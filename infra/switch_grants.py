"""The grants of the switch roles, which change resource policies of the replicated tables.

`dynamodb:PutResourcePolicy` amounts to full control of a table's data, and no condition key limits
what is put. So these rights are with no other role, and only where the stack file asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from infra.shared_actions import TABLE_KEY_ACTIONS
from infra.stack_arns import OperatorScope, SharedArns, TableArns
from infra.statements import Statement, allow, allow_keys, only, through

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
STREAMING_ACTIONS = ("dynamodb:DisableKinesisStreamingDestination",)
"""Never where the destination is not the stack's."""
CANARY_ACTIONS = ("dynamodb:DeleteItem",)
"""A delete under a condition that cannot hold tells whether the table refuses other writers."""


def source(
    scope: OperatorScope, shared: SharedArns, arns: Sequence[TableArns], *, first: bool
) -> list[Statement]:
    """Return what the switch role of the source account may do with these tables."""
    actions = [*POLICY_ACTIONS, *OLD_SOURCE_ACTIONS]
    others = [action for action in actions if action not in STREAMING_ACTIONS]
    tables, streamed = (
        [
            scope.source.table_arn(each.table.source)
            for each in arns
            if each.table.owns_destination is owned
        ]
        for owned in (True, False)
    )
    return [
        *only(bool(tables), allow("SourceTables", actions, tables)),
        *only(bool(streamed), allow("TablesStreamedByOthers", others, streamed)),
    ]


def target(
    scope: OperatorScope, shared: SharedArns, arns: Sequence[TableArns], *, first: bool
) -> list[Statement]:
    """Return what the switch role of the target account may do with these tables."""
    tables = [scope.target.table_arn(each.table.target) for each in arns]
    earlier = {key for each in arns for key in each.table.earlier_target_keys}
    keys = sorted({each.target_key for each in arns if each.target_key} | earlier)
    by_dynamodb = through("dynamodb", scope.target.region)
    return [
        allow("TargetTables", [*POLICY_ACTIONS, *CANARY_ACTIONS], tables),
        *allow_keys("TargetTableKeys", TABLE_KEY_ACTIONS, keys, by_dynamodb),
    ]
