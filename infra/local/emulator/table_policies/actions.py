"""The actions that the resource policy of a table, or of a stream, can name.

Developer guide, rbac-iam-actions.html: the rows with "Resource-based policy support". Others make
the whole policy invalid. StartBulkPutItems is not among them; if AWS takes it is not known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

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


STREAM_ACROSS_ACCOUNTS = frozenset(
    f"dynamodb:{name}" for name in ("DescribeStream", "GetRecords", "GetShardIterator")
)
STREAM_ACTIONS = STREAM_ACROSS_ACCOUNTS | frozenset(
    f"dynamodb:{name}ResourcePolicy" for name in ("Delete", "Get", "Put")
)
"""ListStreams has no support for resource policies."""


@dataclass(frozen=True)
class PolicyKind:
    """A kind of resource that has policies: `relative` matches what they can be about."""

    actions: frozenset[str]
    across_accounts: frozenset[str]
    relative: str

    def knows(self, pattern: str) -> bool:
        """Return whether an Action of a policy names at least one action of this kind."""
        parts = re.split(r"([*?])", pattern)
        expression = "".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in parts)
        return any(re.fullmatch(expression, action, re.IGNORECASE) for action in self.actions)


# "*" may stand for a part of the ARN; a stream has a policy of its own.
TABLE = PolicyKind(TABLE_ACTIONS, ACROSS_ACCOUNTS, r"\*.*|table/[^/]+(/index/.+|/\*)?")
STREAM = PolicyKind(STREAM_ACTIONS, STREAM_ACROSS_ACCOUNTS, r"\*.*|table/[^/]+/(stream/.+|\*)")


TABLE_WITH_BULK = replace(TABLE, actions=TABLE_ACTIONS | {"dynamodb:StartBulkPutItems"})


def kind_of(arn: str, bulk: bool = False) -> PolicyKind:
    """Return the kind of a resource: a stream of a table, or a table with its indexes.

    `bulk`: a table's policy may name StartBulkPutItems.
    """
    if "/stream/" in arn:
        return STREAM
    return TABLE_WITH_BULK if bulk else TABLE
