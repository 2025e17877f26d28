"""The actions that a table's resource policy can name.

Developer guide, rbac-iam-actions.html: the rows with "Resource-based policy support". Others make
the whole policy invalid. StartBulkPutItems is not among them.
"""

from __future__ import annotations

import re

DATA_PLANE = frozenset(
    f"dynamodb:{name}"
    for name in (
        "BatchGetItem",
        "BatchWriteItem",
        "ConditionCheckItem",
        "DeleteItem",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "TransactGetItems",
        "TransactWriteItems",
        "UpdateItem",
    )
)
PARTIQL = frozenset(f"dynamodb:PartiQL{name}" for name in ("Delete", "Insert", "Select", "Update"))
ACROSS_ACCOUNTS = DATA_PLANE | frozenset(
    f"dynamodb:{name}"
    for name in (
        "DeleteTable",
        "DescribeTable",
        "ListTagsOfResource",
        "TagResource",
        "UntagResource",
        "UpdateTable",
    )
)
"""The actions that a policy can allow to another account."""

TABLE_ACTIONS = (
    ACROSS_ACCOUNTS
    | PARTIQL
    | frozenset(
        f"dynamodb:{name}"
        for name in (
            "CreateBackup",
            "DeleteResourcePolicy",
            "DescribeContinuousBackups",
            "DescribeContributorInsights",
            "DescribeKinesisStreamingDestination",
            "DescribeTableReplicaAutoScaling",
            "DescribeTimeToLive",
            "DisableKinesisStreamingDestination",
            "EnableKinesisStreamingDestination",
            "ExportTableToPointInTime",
            "GetResourcePolicy",
            "PutResourcePolicy",
            "RestoreTableToPointInTime",
            "UpdateContinuousBackups",
            "UpdateContributorInsights",
            "UpdateKinesisStreamingDestination",
            "UpdateTableReplicaAutoScaling",
            "UpdateTimeToLive",
        )
    )
)


def is_known(pattern: str) -> bool:
    """Return whether an Action of a policy names at least one action of a table."""
    parts = re.split(r"([*?])", pattern)
    expression = "".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in parts)
    return any(re.fullmatch(expression, action, re.IGNORECASE) for action in TABLE_ACTIONS)
