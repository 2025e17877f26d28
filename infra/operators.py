"""The roles that the operator's tool assumes, with all their permissions, and its journal."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra.account_config import AccountConfig
from infra.accounts import Accounts
from infra.consumer import TARGET_ACTIONS as GUARD_ACTIONS
from infra.policies import Condition, Statement, Text, allow, assumed_by, document, through
from infra.policy_sizes import INLINE_POLICY_LIMIT
from infra.snapshot import KEY_WRITE_ACTIONS, SnapshotBucket
from infra.stack_config import StackConfig
from infra.table_stack import TableStack

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
EXPORT_ACTIONS = ("dynamodb:DescribeExport",)
STREAM_ACTIONS = ("kinesis:DescribeStreamSummary", "kinesis:ListShards", "kinesis:PutRecords")
STREAM_KEY_ACTIONS = ("kms:GenerateDataKey",)
SNAPSHOT_WRITE_ACTIONS = ("s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectAcl")
# "If the table … you're exporting … is encrypted with customer managed keys, … this permission is
# given through the IAM User/Role that triggers the export job" ("Requesting a table export").
# DescribeKey is among KEY_LOOK_ACTIONS.
SOURCE_KEY_ACTIONS = ("kms:Decrypt",)
# `plan` says before the export is paid for whether a key will refuse it.
KEY_LOOK_ACTIONS = ("kms:DescribeKey", "kms:GetKeyPolicy")
EXPORTER_ACTIONS_WITHOUT_ARN = (
    "application-autoscaling:DescribeScalableTargets",
    "cloudwatch:GetMetricStatistics",
    "dynamodb:ListExports",
    # Which key is AWS's own is known by its alias alone.
    "kms:ListAliases",
)

# --- The importer, in the target account: it imports, configures the table, runs the consumer.

TARGET_TABLE_ACTIONS = (
    # For the rest of a failed import or an abandoned run, and only with the operator's consent.
    "dynamodb:DeleteTable",
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    # `verify` exports the target as well.
    "dynamodb:ExportTableToPointInTime",
    # `explain` reads the one item that it is asked about, `verify --read-source` those in flight.
    "dynamodb:GetItem",
    "dynamodb:ImportTable",
    "dynamodb:ListTagsOfResource",
    "dynamodb:TagResource",
    "dynamodb:UpdateContinuousBackups",
    "dynamodb:UpdateTable",
    "dynamodb:UpdateTimeToLive",
    # `quarantine redrive --direct` runs the consumer's guard in the operator's process.
    *GUARD_ACTIONS,
)
IMPORT_ACTIONS = ("dynamodb:DescribeImport", "dynamodb:ImportTable")
LEDGER_ACTIONS = (
    "dynamodb:BatchGetItem",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:UpdateTable",
    "dynamodb:UpdateTimeToLive",
)
# An open record is read, and deleted once its resolved copy exists. `--direct` may put a record
# back under another reason, as the consumer does.
OPEN_ACTIONS = ("s3:DeleteObject", "s3:GetObject", "s3:PutObject")
RESOLVED_ACTIONS = ("s3:PutObject",)
FAILURE_ACTIONS = ("s3:DeleteObject", "s3:GetObject")
JOURNAL_ACTIONS = (
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
)
MAPPING_ACTIONS = ("lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping")
# ImportTable writes its error log with its caller's permissions: Amazon DynamoDB Developer Guide,
# "Requesting a table import". DescribeLogGroups has no ARN there either.
IMPORT_LOG_ACTIONS = (
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
    "logs:PutRetentionPolicy",
)
# DynamoDB's demand "at a minimum" of the principal that selects the key for a table ("How
# DynamoDB uses AWS KMS"); there with wildcards, here with what it says that they stand for.
# DescribeKey is among KEY_LOOK_ACTIONS.
TARGET_KEY_ACTIONS = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
IMPORTER_ACTIONS_WITHOUT_ARN = (
    "cloudwatch:GetMetricStatistics",
    "dynamodb:DescribeLimits",
    "dynamodb:ListExports",
    "dynamodb:ListImports",
    "lambda:GetAccountSettings",
    "logs:DescribeLogGroups",
)


# --- The reader, one in each account: `status --operator`, which changes nothing.

READ_EXPORT_ACTIONS = ("dynamodb:DescribeExport",)
READ_IMPORT_ACTIONS = ("dynamodb:DescribeImport",)
READ_LEDGER_ACTIONS = ("dynamodb:BatchGetItem", "dynamodb:GetItem")
# The loss detectors'. Nothing here reads an item, but for the ledger's own rows.
READ_SOURCE_TABLE_ACTIONS = (
    "dynamodb:DescribeKinesisStreamingDestination",
    "dynamodb:DescribeTable",
)
READ_STREAM_ACTIONS = ("kinesis:DescribeStreamSummary",)
READ_METRIC_ACTIONS = ("cloudwatch:GetMetricStatistics",)
READ_TARGET_TABLE_ACTIONS = ("dynamodb:DescribeTable",)
READ_KEPT_ACTIONS = ("s3:ListBucket",)
READ_JOURNAL_ACTIONS = ("dynamodb:GetItem", "dynamodb:Query")
READ_MAPPING_ACTIONS = ("lambda:GetEventSourceMapping",)


class Operators(pulumi.ComponentResource):
    """Exporter role (source account), importer role and journal (target account), and in each
    account a role that may only look.

    The roles have no permissions at first: the snapshot bucket's policy names the exporter before
    the bucket's ARN can be in the exporter's own policy. `grant` adds them.
    """

    exporter: aws.iam.Role
    importer: aws.iam.Role
    source_reader: aws.iam.Role
    target_reader: aws.iam.Role
    journal: aws.dynamodb.Table

    def __init__(self, name: str, settings: StackConfig, accounts: Accounts) -> None:
        super().__init__("replication:index:Operators", name)
        self._name, self._settings, self._accounts = name, settings, accounts
        who = settings.operators
        self.exporter = aws.iam.Role(
            f"{name}-exporter",
            description="Takes the snapshot and watches the buffer",
            assume_role_policy=assumed_by(who.source, who.external_id),
            opts=pulumi.ResourceOptions(parent=self, provider=accounts.source),
        )
        self.importer = aws.iam.Role(
            f"{name}-importer",
            description="Imports the snapshot and runs the consumer",
            assume_role_policy=assumed_by(who.target, who.external_id),
            opts=pulumi.ResourceOptions(parent=self, provider=accounts.target),
        )
        self.source_reader = self._reader("source", who.source)
        self.target_reader = self._reader("target", who.target)
        self.journal = aws.dynamodb.Table(
            f"{name}-journal",
            region=settings.target.region,
            billing_mode="PAY_PER_REQUEST",
            hash_key="pk",
            range_key="sk",
            attributes=[{"name": "pk", "type": "S"}, {"name": "sk", "type": "S"}],
            # No TTL: what has been paid for and what is irreversible is known from here alone.
            point_in_time_recovery={"enabled": True},
            deletion_protection_enabled=settings.protect,
            opts=pulumi.ResourceOptions(
                parent=self, provider=accounts.target, protect=settings.protect
            ),
        )
        self.register_outputs({"journal": self.journal.name})

    def _reader(self, side: str, who: Sequence[str]) -> aws.iam.Role:
        provider = self._accounts.source if side == "source" else self._accounts.target
        return aws.iam.Role(
            f"{self._name}-operator-{side}",
            description="Sees where the replication stands, and changes nothing",
            assume_role_policy=assumed_by(who, self._settings.operators.external_id),
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )

    def grant(self, snapshot: SnapshotBucket, stacks: Sequence[TableStack]) -> None:
        """Grant each role what it needs for these tables, and nothing else."""
        here, there = self._accounts.source, self._accounts.target
        sides = (
            ("exporter", self.exporter, here, self._exporter(snapshot, stacks)),
            ("importer", self.importer, there, self._importer(snapshot, stacks)),
            ("operator-source", self.source_reader, here, self._reads_source(stacks)),
            ("operator-target", self.target_reader, there, self._reads_target(stacks)),
        )
        for side, role, provider, statements in sides:
            policy = document(*statements).apply(fits_into_a_role)
            aws.iam.RolePolicy(
                f"{self._name}-{side}-grants",
                role=role.name,
                policy=policy,
                opts=pulumi.ResourceOptions(parent=self, provider=provider),
            )

    def _reads_source(self, stacks: Sequence[TableStack]) -> list[Statement]:
        tables = [self._settings.source.table_arn(stack.table.source) for stack in stacks]
        streams = [stack.buffer.stream_arn for stack in stacks]
        return [
            allow("Exports", READ_EXPORT_ACTIONS, [f"{table}/export/*" for table in tables]),
            allow("SourceTables", READ_SOURCE_TABLE_ACTIONS, tables),
            allow("Streams", READ_STREAM_ACTIONS, streams),
            allow("NoArn", READ_METRIC_ACTIONS, ["*"]),
        ]

    def _reads_target(self, stacks: Sequence[TableStack]) -> list[Statement]:
        tables = [self._settings.target.table_arn(stack.table.target) for stack in stacks]
        kept = [
            arn
            for stack in stacks
            for arn in (stack.consumer.quarantine.arn, stack.consumer.failures.arn)
        ]
        return [
            allow("Imports", READ_IMPORT_ACTIONS, [f"{table}/import/*" for table in tables]),
            allow("TargetTables", READ_TARGET_TABLE_ACTIONS, tables),
            allow("Kept", READ_KEPT_ACTIONS, kept),
            allow("Ledgers", READ_LEDGER_ACTIONS, [stack.ledger.arn for stack in stacks]),
            allow("Journal", READ_JOURNAL_ACTIONS, [self.journal.arn]),
            allow(
                "Mappings", READ_MAPPING_ACTIONS, [stack.consumer.mapping_arn for stack in stacks]
            ),
            # The lag that the consumer measures.
            allow("NoArn", READ_METRIC_ACTIONS, ["*"]),
        ]

    def _exporter(self, snapshot: SnapshotBucket, stacks: Sequence[TableStack]) -> list[Statement]:
        tables = [self._settings.source.table_arn(stack.table.source) for stack in stacks]
        streams = [stack.buffer.stream_arn for stack in stacks]
        keys = [stack.buffer.key_arn for stack in stacks]
        bucket = snapshot.bucket.arn
        items = READ_ITEM_ACTIONS if self._settings.operators.read_items else ()
        return [
            allow("SourceTables", [*SOURCE_TABLE_ACTIONS, *items], tables),
            allow("Exports", EXPORT_ACTIONS, [f"{table}/export/*" for table in tables]),
            allow("Streams", STREAM_ACTIONS, streams),
            # A probe is encrypted like every other record.
            allow("StreamKeys", STREAM_KEY_ACTIONS, keys),
            # DynamoDB writes the export with its caller's permissions, into the other account.
            allow("Snapshot", SNAPSHOT_WRITE_ACTIONS, [pulumi.Output.concat(bucket, "/*")]),
            *allow_keys(
                "SourceTableKeys",
                SOURCE_KEY_ACTIONS,
                [stack.table.source_key for stack in stacks],
                through("dynamodb", self._settings.source.region),
            ),
            *allow_keys("SeeKeys", KEY_LOOK_ACTIONS, [stack.table.source_key for stack in stacks]),
            *allow_keys(
                "SnapshotKey",
                KEY_WRITE_ACTIONS,
                [snapshot.key_arn],
                through("s3", self._settings.target.region),
            ),
            allow("NoArn", EXPORTER_ACTIONS_WITHOUT_ARN, ["*"]),
        ]

    def _importer(self, snapshot: SnapshotBucket, stacks: Sequence[TableStack]) -> list[Statement]:
        target = self._settings.target
        tables = [target.table_arn(stack.table.target) for stack in stacks]
        mappings = [stack.consumer.mapping_arn for stack in stacks]
        quarantines = [stack.consumer.quarantine.arn for stack in stacks]
        failures = [stack.consumer.failures.arn for stack in stacks]
        bucket = snapshot.bucket.arn
        return [
            allow("TargetTables", TARGET_TABLE_ACTIONS, tables),
            allow("Imports", IMPORT_ACTIONS, [f"{table}/import/*" for table in tables]),
            allow("Exports", EXPORT_ACTIONS, [f"{table}/export/*" for table in tables]),
            allow("Ledgers", LEDGER_ACTIONS, [stack.ledger.arn for stack in stacks]),
            allow("Journal", JOURNAL_ACTIONS, [self.journal.arn]),
            allow("Mappings", MAPPING_ACTIONS, mappings),
            # Like the export, the import reads with its caller's permissions. A key of the bucket
            # names the importer in its own policy: within one account that suffices.
            allow("ListSnapshot", ["s3:ListBucket"], [bucket]),
            allow("ReadSnapshot", ["s3:GetObject"], [pulumi.Output.concat(bucket, "/*")]),
            # `abandon` deletes the export. AWS authorises the deletion of many objects at
            # once by each of them.
            allow(
                "RemoveSnapshot",
                ["s3:DeleteObject"],
                [object_arns(bucket, f"{stack.table.slug}/") for stack in stacks],
            ),
            # DynamoDB writes an export of the target, too, with its caller's permissions.
            allow("Verify", SNAPSHOT_WRITE_ACTIONS, [object_arns(bucket, "verify/")]),
            *allow_keys(
                "TargetTableKeys",
                TARGET_KEY_ACTIONS,
                [stack.table.target_key for stack in stacks],
                through("dynamodb", target.region),
            ),
            *allow_keys(
                "SeeKeys",
                KEY_LOOK_ACTIONS,
                [*(stack.table.target_key for stack in stacks), snapshot.key_arn],
            ),
            allow("ListKept", ["s3:ListBucket"], [*quarantines, *failures]),
            allow(
                "OpenQuarantine", OPEN_ACTIONS, [object_arns(arn, "open/") for arn in quarantines]
            ),
            allow(
                "Resolved", RESOLVED_ACTIONS, [object_arns(arn, "resolved/") for arn in quarantines]
            ),
            allow("Failures", FAILURE_ACTIONS, [object_arns(arn) for arn in failures]),
            allow("ImportLog", IMPORT_LOG_ACTIONS, [import_log_arn(target)]),
            allow("NoArn", IMPORTER_ACTIONS_WITHOUT_ARN, ["*"]),
        ]


def allow_keys(
    sid: str,
    actions: Sequence[str],
    keys: Sequence[Text | None],
    when: Condition | None = None,
) -> list[Statement]:
    """Return the statement that allows the use of customer-managed keys; none without keys."""
    arns = sorted({key for key in keys if isinstance(key, str)})
    outputs = [key for key in keys if isinstance(key, pulumi.Output)]
    return [allow(sid, actions, [*arns, *outputs], when=when)] if arns or outputs else []


def object_arns(bucket_arn: pulumi.Output[str], prefix: str = "") -> pulumi.Output[str]:
    """Return the ARN of all objects of a bucket under a prefix."""
    return pulumi.Output.concat(bucket_arn, f"/{prefix}*")


def import_log_arn(target: AccountConfig) -> str:
    """Return the ARN of the log groups that ImportTable writes to. Their names are AWS's."""
    return target.arn("logs", "log-group:/aws-dynamodb/*")


def fits_into_a_role(policy: str) -> str:
    """Return a policy, unless IAM would refuse it for its size.

    Raises:
        ValueError: with what to do about it.
    """
    size = len("".join(policy.split()))
    if size > INLINE_POLICY_LIMIT:
        raise ValueError(
            f"For this many tables an operators' role needs a policy of {size} characters, and IAM "
            f"allows {INLINE_POLICY_LIMIT}.\nTry: move some of the tables to a second stack."
        )
    return policy
