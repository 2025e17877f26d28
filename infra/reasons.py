"""Why a policy of this stack allows what no call of its code shows.

Least privilege (C8) is proved by recording every call of a whole run and evaluating it against the
declared policies: what is allowed and was not called has to stand here, with the page of AWS that
asks for it. An entry is a requirement, too: the proof fails when a policy no longer allows it.

`iam:PassRole` is not among them: the deployer needs it to hand the functions their roles, with the
credentials that run `pulumi up`. No role of this stack has it.
"""

from __future__ import annotations

from dataclasses import dataclass

SAME = "the resource of the call"
KEY = "the customer-managed key of the resource of the call, if it has one"
IMPORT = "an import into the table of the call"


@dataclass(frozen=True)
class Behind:
    """What AWS does with its caller's permissions behind a call."""

    call: str
    needs: tuple[str, ...]
    on: str
    page: str


@dataclass(frozen=True)
class Standing:
    """What somebody may do whose call no run of the stack on the local cloud shows."""

    who: str
    needs: tuple[str, ...]
    on: str
    page: str


BEHIND = (
    Behind(
        "kinesis:PutRecords",
        ("kms:GenerateDataKey",),
        KEY,
        "Kinesis Data Streams Developer Guide, permissions-user-key-KMS: a producer's permissions",
    ),
    Behind(
        "kinesis:GetRecords",
        ("kms:Decrypt",),
        KEY,
        "Kinesis Data Streams Developer Guide, permissions-user-key-KMS: a consumer's permissions",
    ),
    *(
        Behind(
            call,
            ("kms:Decrypt",),
            KEY,
            "AWS KMS Developer Guide, services-dynamodb: DynamoDB decrypts the table's key on "
            "behalf of the principal that accesses the table",
        )
        for call in ("dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:GetItem")
    ),
    Behind(
        "dynamodb:ExportTableToPointInTime",
        ("kms:Decrypt", "kms:DescribeKey"),
        KEY,
        "Amazon DynamoDB Developer Guide, S3DataExport_Requesting: permission to use the table's "
        "key is given through the role that triggers the export",
    ),
    Behind(
        "dynamodb:ImportTable",
        (
            "kms:CreateGrant",
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ),
        KEY,
        "AWS KMS Developer Guide, services-dynamodb: what DynamoDB requires at a minimum of the "
        "principal that selects a customer-managed key for a table",
    ),
    Behind(
        "s3:PutObject",
        ("kms:Decrypt", "kms:GenerateDataKey"),
        KEY,
        "Amazon S3 User Guide, UsingKMSEncryption: an upload generates a data key, and one in "
        "several parts decrypts it as well",
    ),
    Behind(
        "s3:GetObject",
        ("kms:Decrypt",),
        KEY,
        "Amazon S3 User Guide, UsingKMSEncryption: a download decrypts the data key",
    ),
    Behind(
        "dynamodb:ImportTable",
        ("dynamodb:ImportTable",),
        IMPORT,
        "Amazon DynamoDB Developer Guide, S3DataImport.Requesting: the example grants it on table/"
        "my-table*, which is the table and its imports; it does not say which of them is checked",
    ),
    Behind(
        "logs:PutLogEvents",
        ("logs:CreateLogStream",),
        SAME,
        "AWS Lambda Developer Guide, lambda-intro-execution-role: AWSLambdaBasicExecutionRole has "
        "both; without the stream there is nothing to put events into",
    ),
)

DEPLOYER = "the principal that runs pulumi up"
REPLICATION_OF_DYNAMODB = (
    "AWSServiceRoleForDynamoDBKinesisDataStreamsReplication, DynamoDB's service-linked role"
)
STREAM_KEYS = "the keys of streams"
ALL_KEYS = "every key of the stack"
NO_ARN = "*"
EXPORTER = "replication-exporter"
IMPORTER = "replication-importer"

KEY_ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
)
"""Everything but the use of a key: its administrators need not read what it encrypts."""

STANDING = (
    Standing(
        DEPLOYER,
        KEY_ADMINISTRATION,
        ALL_KEYS,
        "AWS KMS Developer Guide, key-policy-default: what a key's administrators are allowed, as "
        "far as the provider and an operator use it; AWS refuses a policy that locks its author "
        "out",
    ),
    Standing(
        REPLICATION_OF_DYNAMODB,
        ("kms:GenerateDataKey",),
        STREAM_KEYS,
        "Amazon DynamoDB Developer Guide, kds_iam: the service-linked role generates data keys to "
        "write into an encrypted stream",
    ),
    # `plan` calls both; the local cloud answers them without asking who may.
    Standing(
        EXPORTER,
        ("application-autoscaling:DescribeScalableTargets",),
        NO_ARN,
        "Application Auto Scaling API Reference, DescribeScalableTargets",
    ),
    Standing(
        IMPORTER,
        ("lambda:GetAccountSettings",),
        NO_ARN,
        "AWS Lambda API Reference, GetAccountSettings",
    ),
)

WITHOUT_AN_ARN = {
    "application-autoscaling:DescribeScalableTargets": (
        "Service Authorization Reference, list_applicationautoscaling"
    ),
    "cloudwatch:GetMetricStatistics": "Service Authorization Reference, list_amazoncloudwatch",
    "dynamodb:DescribeLimits": "Service Authorization Reference, list_amazondynamodb",
    "dynamodb:ListExports": "Service Authorization Reference, list_amazondynamodb",
    "dynamodb:ListImports": "Service Authorization Reference, list_amazondynamodb",
    "lambda:GetAccountSettings": "Service Authorization Reference, list_awslambda",
    "logs:DescribeLogGroups": "Amazon DynamoDB Developer Guide, S3DataImport.Requesting",
}
"""Actions that AWS authorises on no resource, or that its page asks for on `*`."""

NAMES_NOT_KNOWN_BEFORE = {
    "/export/*": "DynamoDB names each export of the table",
    "/import/*": "DynamoDB names each import into the table",
    ":log-group:/aws-dynamodb/*": "DynamoDB names the log group of imports, and its streams",
    ":*": "Lambda names the streams of a log group",
    "/*": "objects of a bucket",
    "/open/*": "quarantined objects of a bucket",
    "/resolved/*": "resolved objects of a bucket",
}
"""Ends of ARNs that name what does not exist yet when the policy is written."""
