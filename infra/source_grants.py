"""The grants of the operators' roles in the source account."""

from __future__ import annotations

from collections.abc import Sequence

from infra import table_stream_grants
from infra.shared_actions import (
    EXPORT_ACTIONS,
    KEY_LOOK_ACTIONS,
    OBJECT_KEY_ACTIONS,
    SNAPSHOT_WRITE_ACTIONS,
    STREAM_KEY_ACTIONS,
)
from infra.stack_arns import OperatorScope, SharedArns, TableArns
from infra.statements import Statement, allow, allow_keys, only, through

# --- The exporter, in the source account: it describes, exports and probes, and sees no item.

# But where `operators.readItems` says so: `verify --read-source`.
READ_ITEM_ACTIONS = ("dynamodb:GetItem",)
SOURCE_TABLE_ACTIONS = (
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeContributorInsights",
    "dynamodb:DescribeKinesisStreamingDestination",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:ExportTableToPointInTime",
    "dynamodb:GetResourcePolicy",
    "dynamodb:ListTagsOfResource",
    "dynamodb:UpdateContinuousBackups",
)
STREAM_ACTIONS = ("kinesis:DescribeStreamSummary", "kinesis:ListShards", "kinesis:PutRecords")
# Whether its policy lets the consumer read: of a stream of the stack's own it is known.
ADOPTED_STREAM_ACTIONS = ("kinesis:GetResourcePolicy",)
# "If the table … you're exporting … is encrypted with customer managed keys, … this permission is
# given through the IAM User/Role that triggers the export job" ("Requesting a table export").
# DescribeKey is among KEY_LOOK_ACTIONS.
SOURCE_KEY_ACTIONS = ("kms:Decrypt",)
EXPORTER_ACTIONS_WITHOUT_ARN = (
    "application-autoscaling:DescribeScalableTargets",
    "cloudwatch:GetMetricStatistics",
    "dynamodb:ListExports",
    # Which key is AWS's own is known by its alias alone.
    "kms:ListAliases",
    # What an `up` that was killed left behind has the stack's tags alone.
    "tag:GetResources",
)

# --- The reader: `status --operator`, which changes nothing.

READ_EXPORT_ACTIONS = ("dynamodb:DescribeExport",)
# The loss detectors'.
READ_TABLE_ACTIONS = (
    "dynamodb:DescribeKinesisStreamingDestination",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:GetResourcePolicy",
)
# Where the table's own stream is the buffer, there is no destination.
READ_OTHER_TABLE_ACTIONS = READ_TABLE_ACTIONS[1:]
READ_STREAM_ACTIONS = ("kinesis:DescribeStreamSummary",)
READ_ACTIONS_WITHOUT_ARN = ("cloudwatch:GetMetricStatistics", "tag:GetResources")


def exporter(
    scope: OperatorScope, shared: SharedArns, arns: Sequence[TableArns], *, first: bool
) -> list[Statement]:
    """Return what the exporter may do with these tables.

    `first`: with what does not depend on a table.
    """
    tables = [scope.source.table_arn(each.table.source) for each in arns]
    keys = sorted({each.table.source_key for each in arns if each.table.source_key})
    # That of the place is in a policy of its own.
    given = sorted(
        {each.table.stream_key for each in arns if each.table.stream_key} - {*shared.places.source}
    )
    kinesis = table_stream_grants.with_kinesis(arns)
    made = [each.stream_key for each in kinesis if not each.table.stream_key]
    # Tables may share an adopted stream.
    streams = list(dict.fromkeys(each.stream for each in kinesis))
    adopted = sorted({each.stream for each in arns if each.table.stream})
    items = READ_ITEM_ACTIONS if scope.read_items else ()
    by_dynamodb = through("dynamodb", scope.source.region)
    by_s3 = through("s3", scope.target.region)
    return [
        allow("SourceTables", [*SOURCE_TABLE_ACTIONS, *items], tables),
        allow("Exports", EXPORT_ACTIONS, [f"{table}/export/*" for table in tables]),
        *only(bool(streams), allow("Streams", STREAM_ACTIONS, streams)),
        *only(bool(adopted), allow("AdoptedStreams", ADOPTED_STREAM_ACTIONS, adopted)),
        *table_stream_grants.exporter(scope, arns),
        # A probe is encrypted like every other record.
        *allow_keys("StreamKeys", STREAM_KEY_ACTIONS, [*made, *given]),
        # DynamoDB writes the export with its caller's permissions, into the other account.
        *only(first, allow("Snapshot", SNAPSHOT_WRITE_ACTIONS, [f"{shared.snapshots}/*"])),
        *allow_keys("SourceTableKeys", SOURCE_KEY_ACTIONS, keys, by_dynamodb),
        *allow_keys("SeeKeys", KEY_LOOK_ACTIONS, sorted({*keys, *given})),
        *only(first, *allow_keys("SnapshotKey", OBJECT_KEY_ACTIONS, shared.keys, by_s3)),
        *only(first, allow("NoArn", EXPORTER_ACTIONS_WITHOUT_ARN, ["*"])),
    ]


def reader(
    scope: OperatorScope, shared: SharedArns, arns: Sequence[TableArns], *, first: bool
) -> list[Statement]:
    """Return what the reader in the source account may see of these tables.

    `first`: with what does not depend on a table.
    """
    kinesis = table_stream_grants.with_kinesis(arns)
    streams = list(dict.fromkeys(each.stream for each in kinesis))
    tables, of_kinesis, others = (
        [scope.source.table_arn(each.table.source) for each in some]
        for some in (arns, kinesis, table_stream_grants.with_table_streams(arns))
    )
    return [
        allow("Exports", READ_EXPORT_ACTIONS, [f"{table}/export/*" for table in tables]),
        *only(bool(of_kinesis), allow("SourceTables", READ_TABLE_ACTIONS, of_kinesis)),
        *only(bool(others), allow("TablesWithStreams", READ_OTHER_TABLE_ACTIONS, others)),
        *only(bool(streams), allow("Streams", READ_STREAM_ACTIONS, streams)),
        *only(first, allow("NoArn", READ_ACTIONS_WITHOUT_ARN, ["*"])),
    ]
