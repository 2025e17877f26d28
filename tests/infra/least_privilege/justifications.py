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
SELECTS_A_KEY = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
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
    """What a role may do although no run of the stack on the local cloud shows."""

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
        for call in (
            *("dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:Scan"),
            *("dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:UpdateItem"),
            "dynamodb:StartBulkPutItems",
            # The table's key encrypts its own stream.
            "dynamodb:GetRecords",
        )
    ),
    Behind(
        "dynamodb:ExportTableToPointInTime",
        ("kms:Decrypt", "kms:DescribeKey"),
        KEY,
        "Amazon DynamoDB Developer Guide, S3DataExport_Requesting: permission to use the table's "
        "key is given through the role that triggers the export",
    ),
    *(
        Behind(
            call,
            SELECTS_A_KEY,
            KEY,
            "AWS KMS Developer Guide, services-dynamodb: what DynamoDB requires at a minimum of "
            "the principal that selects a customer-managed key for a table",
        )
        for call in ("dynamodb:CreateTable", "dynamodb:ImportTable")
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
ALIASED_KEYS = "the keys that the stack makes for places, which have an alias"
NO_ARN = "*"
SOURCE_EXPORTS = "the exports of every source table"
SOURCES = "every source table"
TARGETS = "every target table"
TARGET_IMPORTS = "the imports into every target table"
OWN_TARGETS = "every target table that the load makes"
BULK_OPERATIONS = "the bulk operations on every such table"
LEDGERS = "every ledger"
GIVEN_STREAM_KEYS = "the keys that the stack file gives streams"
PLACE_KEYS = "the keys of places of the role's account"
EXPORTER = "replication-exporter"
IMPORTER = "replication-importer"
SOURCE_READER = "replication-operator-source"
TARGET_READER = "replication-operator-target"

STANDING = (
    # What a key's administrators need, by what they do. It is written here a second time, and not
    # taken from the list that is granted: each checks the other.
    Standing(
        DEPLOYER,
        (
            "kms:DescribeKey",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:ListResourceTags",
        ),
        ALL_KEYS,
        "Terraform AWS Provider, aws_kms_key: what each refresh reads (Pulumi's is a bridge to it)",
    ),
    Standing(
        DEPLOYER,
        (
            "kms:DisableKey",
            "kms:DisableKeyRotation",
            "kms:EnableKey",
            "kms:EnableKeyRotation",
            "kms:PutKeyPolicy",
            "kms:ScheduleKeyDeletion",
            "kms:TagResource",
            "kms:UntagResource",
            "kms:UpdateKeyDescription",
        ),
        ALL_KEYS,
        "Terraform AWS Provider, aws_kms_key: a call for each argument that may change, and for "
        "the key's end. KMS refuses a policy that keeps its author from PutKeyPolicy",
    ),
    Standing(
        DEPLOYER,
        (
            "kms:CancelKeyDeletion",
            "kms:ListGrants",
            "kms:ListKeyPolicies",
            "kms:RevokeGrant",
        ),
        ALL_KEYS,
        "AWS KMS Developer Guide, key-policy-default (key administrators): to save a key that was "
        "deleted by mistake, and to see and end what others were granted",
    ),
    Standing(
        DEPLOYER,
        ("kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"),
        ALIASED_KEYS,
        "AWS KMS Developer Guide, alias-access: on the alias by IAM, and on the key",
    ),
    Standing(
        REPLICATION_OF_DYNAMODB,
        ("kms:GenerateDataKey",),
        STREAM_KEYS,
        "Amazon DynamoDB Developer Guide, kds_iam: the service-linked role generates data keys to "
        "write into an encrypted stream",
    ),
    # `plan` looks at each key that the stack file names, and at those of places.
    *(
        Standing(
            role,
            ("kms:DescribeKey", "kms:GetKeyPolicy"),
            on,
            "AWS KMS API Reference, DescribeKey and GetKeyPolicy: whether the key is enabled, and "
            "whom its policy allows what",
        )
        for role, on in (
            (EXPORTER, GIVEN_STREAM_KEYS),
            (EXPORTER, PLACE_KEYS),
            (IMPORTER, PLACE_KEYS),
        )
    ),
    # `plan` calls both; the local cloud answers them without asking who may.
    Standing(
        EXPORTER,
        ("application-autoscaling:DescribeScalableTargets",),
        NO_ARN,
        "Application Auto Scaling API Reference, DescribeScalableTargets",
    ),
    # `plan` asks it of a source table that is encrypted with a KMS key.
    Standing(
        EXPORTER,
        ("kms:ListAliases",),
        NO_ARN,
        "AWS KMS API Reference, ListAliases",
    ),
    Standing(
        IMPORTER,
        ("lambda:GetAccountSettings",),
        NO_ARN,
        "AWS Lambda API Reference, GetAccountSettings",
    ),
    # `status` and `plan` with --stack: a file of outputs, as here, has no state to compare with.
    *(
        Standing(
            role,
            ("tag:GetResources",),
            NO_ARN,
            "Resource Groups Tagging API Reference, GetResources: what the stack's state lacks",
        )
        for role in (EXPORTER, IMPORTER, SOURCE_READER, TARGET_READER)
    ),
    # What `status --operator` asks while an export, an import or probes are under way.
    Standing(
        SOURCE_READER,
        ("dynamodb:DescribeExport",),
        SOURCE_EXPORTS,
        "Amazon DynamoDB API Reference, DescribeExport: how far it is",
    ),
    Standing(
        TARGET_READER,
        ("dynamodb:DescribeImport",),
        TARGET_IMPORTS,
        "Amazon DynamoDB API Reference, DescribeImport: how far it is",
    ),
    Standing(
        TARGET_READER,
        ("dynamodb:BatchGetItem",),
        LEDGERS,
        "Amazon DynamoDB API Reference, BatchGetItem: which probes have come through",
    ),
    # Whether a table lets writers in, which `status` says during a switch and after it.
    *(
        Standing(
            role,
            ("dynamodb:GetResourcePolicy",),
            on,
            "Amazon DynamoDB API Reference, GetResourcePolicy: the Deny on writers, and its dates",
        )
        for role, on in ((SOURCE_READER, SOURCES), (TARGET_READER, TARGETS), (IMPORTER, TARGETS))
    ),
    # What `run` does where it has to, in a life that went less smoothly or had more to do.
    Standing(
        IMPORTER,
        ("dynamodb:ListExports",),
        NO_ARN,
        "Amazon DynamoDB API Reference, ListExports: a verification that is resumed after its "
        "client token has expired (eight hours) finds its export of the target again",
    ),
    Standing(
        IMPORTER,
        ("dynamodb:DeleteTable",),
        OWN_TARGETS,
        "Amazon DynamoDB Developer Guide, S3DataImport.Requesting: a table that a failed import "
        "made is left there; `run --discard-failed-load` removes it",
    ),
    *(
        Standing(
            IMPORTER,
            ("dynamodb:UpdateTable",),
            on,
            "Amazon DynamoDB Developer Guide, warm-throughput: UpdateTable raises it, also of "
            "indexes (its resource is the table), for a backlog of more writes a second than a new "
            "table takes",
        )
        for on in (TARGETS, LEDGERS)
    ),
    Standing(
        IMPORTER,
        ("dynamodb:DescribeTable",),
        LEDGERS,
        "Amazon DynamoDB API Reference, DescribeTable: the warm throughput that the ledger has",
    ),
)


@dataclass(frozen=True)
class KeyUse:
    """A use of a resource's key by a service or a role, which no call of the stack's roles shows.

    `keys`: condition keys of the request; `{arn}` is the resource, `{account}` the key's.
    """

    who: str
    needs: tuple[str, ...]
    page: str
    keys: tuple[tuple[str, str], ...] = ()


OWN_ROLE = "the function's own role"
RULES = "events.amazonaws.com"
SNS_PAGE = "Amazon SNS Developer Guide, sns-key-management: event sources of an encrypted topic"
KEY_USES = {
    "lambda": (
        KeyUse(
            OWN_ROLE,
            ("kms:Decrypt",),
            "AWS Lambda Developer Guide, configuration-envvars-encryption: a function decrypts its "
            "environment, in the encryption context of its ARN",
            (("kms:EncryptionContext:aws:lambda:FunctionArn", "{arn}"),),
        ),
        KeyUse(
            DEPLOYER,
            ("kms:CreateGrant", "kms:Decrypt", "kms:Encrypt"),
            "AWS Lambda Developer Guide, configuration-envvars-encryption: to configure a key for "
            "a function, and to view its environment",
        ),
    ),
    "logs": (
        KeyUse(
            "logs.{region}.amazonaws.com",
            (
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKey",
                "kms:GenerateDataKeyWithoutPlaintext",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ),
            "Amazon CloudWatch Logs User Guide, encrypt-log-data-kms",
            (("kms:EncryptionContext:aws:logs:arn", "{arn}"),),
        ),
    ),
    "sns": (
        KeyUse(
            "cloudwatch.amazonaws.com",
            ("kms:Decrypt", "kms:GenerateDataKey"),
            SNS_PAGE,
            (("aws:SourceAccount", "{account}"),),
        ),
        KeyUse(RULES, ("kms:Decrypt", "kms:GenerateDataKey"), SNS_PAGE),
    ),
    "dynamodb": (
        KeyUse(
            DEPLOYER,
            (
                "kms:CreateGrant",
                "kms:Decrypt",
                "kms:Encrypt",
                "kms:GenerateDataKey",
                "kms:GenerateDataKeyWithoutPlaintext",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ),
            "AWS KMS Developer Guide, services-dynamodb: what DynamoDB requires at a minimum of "
            "the principal that selects a customer-managed key for a table",
        ),
    ),
}
"""By the service whose resource has the key."""

SWITCH = (
    # What a switch that runs smoothly does not show.
    Standing(
        "replication-switch-source",
        ("dynamodb:DescribeKinesisStreamingDestination", "dynamodb:DescribeTimeToLive"),
        SOURCES,
        "Amazon DynamoDB API Reference, DisableKinesisStreamingDestination and UpdateTimeToLive: "
        "refused after the answer to the same call was lost, they are in effect",
    ),
    Standing(
        "replication-switch-target",
        ("dynamodb:DeleteResourcePolicy",),
        TARGETS,
        "Amazon DynamoDB Developer Guide, rbac-attach-resource-based-policy: `abandon` takes the "
        "target's Deny off, and a policy of nothing else with it",
    ),
)
"""The same for a stack with `switch`."""

BULK = (
    Standing(
        IMPORTER,
        ("dynamodb:CancelBulkOperation",),
        BULK_OPERATIONS,
        "Amazon DynamoDB API Reference, CancelBulkOperation: `abandon` ends what is under way. It "
        "names an operation by its ARN, whose form is assumed",
    ),
    Standing(
        IMPORTER,
        ("dynamodb:DescribeImport",),
        TARGET_IMPORTS,
        "Amazon DynamoDB API Reference, DescribeImport: a run that began with an import that "
        "failed is abandoned before its table is loaded otherwise",
    ),
    Standing(
        TARGET_READER,
        ("dynamodb:DescribeBulkOperation",),
        BULK_OPERATIONS,
        "Amazon DynamoDB API Reference, DescribeBulkOperation: how far it is",
    ),
    Standing(
        TARGET_READER,
        ("dynamodb:ListBulkOperations",),
        NO_ARN,
        "Amazon DynamoDB API Reference, ListBulkOperations: an operation whose start had no answer",
    ),
)
"""The same for a stack whose tables are loaded by bulk puts."""

GUIDE = "AWS Lambda Developer Guide, configuration-vpc: permissions of the execution role"
NETWORK = {
    **dict.fromkeys(
        (
            "ec2:AssignPrivateIpAddresses",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:UnassignPrivateIpAddresses",
        ),
        "arn:aws:ec2:{region}:{account}:network-interface/eni-any",
    ),
    "ec2:DescribeNetworkInterfaces": "*",
    "ec2:DescribeSubnets": "*",
}
"""What Lambda calls with the role of a function in a VPC, and on what. The function's own code must
not: its calls carry `lambda:SourceFunctionArn` (the guide's "Function-code permissions" has a Deny
for it)."""

WITHOUT_AN_ARN = {
    "application-autoscaling:DescribeScalableTargets": (
        "Service Authorization Reference, list_applicationautoscaling"
    ),
    "cloudwatch:GetMetricStatistics": "Service Authorization Reference, list_amazoncloudwatch",
    "dynamodb:ListBulkOperations": "Amazon DynamoDB API Reference: it takes no resource",
    "dynamodb:DescribeLimits": "Service Authorization Reference, list_amazondynamodb",
    "dynamodb:ListExports": "Service Authorization Reference, list_amazondynamodb",
    "dynamodb:ListImports": "Service Authorization Reference, list_amazondynamodb",
    "ec2:DescribeNetworkInterfaces": "Service Authorization Reference, list_amazonec2",
    "ec2:DescribeSubnets": "Service Authorization Reference, list_amazonec2",
    "kms:ListAliases": "AWS KMS API Reference, ListAliases: an IAM policy alone allows it",
    "lambda:CreateEventSourceMapping": (
        "AWS Lambda Developer Guide, lambda-api-permissions-ref: on `*`; lambda:FunctionArn limits "
        "it to a function"
    ),
    "lambda:ListEventSourceMappings": "Service Authorization Reference, list_awslambda",
    "lambda:GetAccountSettings": "Service Authorization Reference, list_awslambda",
    "tag:GetResources": "Service Authorization Reference, list_amazonresourcegrouptaggingapi",
    "logs:DescribeLogGroups": "Amazon DynamoDB Developer Guide, S3DataImport.Requesting",
}
"""Actions that AWS authorises on no resource, or that its page asks for on `*`."""

NAMES_NOT_KNOWN_BEFORE = {
    "/export/*": "DynamoDB names each export of the table",
    "/import/*": "DynamoDB names each import into the table",
    "/stream/*": "DynamoDB names each stream of the table, by the time at which it is switched on",
    ":event-source-mapping:*": (
        "Lambda names each mapping; lambda:FunctionArn limits it to those of a function"
    ),
    "/bulk-operation/*": "DynamoDB names each bulk operation on the table",
    "/*/bulk-output/*": "the tool names each run, DynamoDB the objects of its report",
    ":log-group:/aws-dynamodb/*": "DynamoDB names the log group of imports, and its streams",
    ":*/*": "Lambda names its network interfaces; its guide asks for this form",
    ":*": "Lambda names the streams of a log group",
    "/*": "objects of a bucket",
    "/open/*": "quarantined objects of a bucket",
    "/resolved/*": "resolved objects of a bucket",
}
"""Ends of ARNs that name what does not exist yet when the policy is written."""
