"""Actions of a deployment that no run on the local cloud shows, each with the text that has it.

The stand-in makes fewer reads than the AWS provider, and no call about tags. These were read in the
provider's source (github.com/hashicorp/terraform-provider-aws, internal/service/…, which pulumi-aws
wraps; the stored versions of 2022 to 2026), and what AWS asks for behind a call in AWS's guides.
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCE, TARGET = "source", "target"
BOTH = (SOURCE, TARGET)


@dataclass(frozen=True)
class Unseen:
    """Actions of one service, the sides that need them, and where it was read."""

    sides: tuple[str, ...]
    actions: tuple[str, ...]
    read_in: str


DYNAMODB_GUIDE = "Amazon DynamoDB Developer Guide, kds_iam"

UNSEEN = (
    Unseen(
        (SOURCE,),
        (
            "dynamodb:DescribeContinuousBackups",
            "dynamodb:DescribeTimeToLive",
            "dynamodb:ListTagsOfResource",
        ),
        "dynamodb/table_data_source.go, dataSourceTableRead: the look-up of a source table",
    ),
    Unseen(
        (SOURCE,),
        ("kinesis:DescribeStream", "kinesis:ListStreams", "kinesis:PutRecords"),
        f"{DYNAMODB_GUIDE}: to enable a streaming destination",
    ),
    Unseen(
        (SOURCE,),
        ("iam:CreateServiceLinkedRole",),
        f"{DYNAMODB_GUIDE}: the first destination of an account makes DynamoDB's role",
    ),
    Unseen(
        (SOURCE,),
        (
            "kinesis:AddTagsToStream",
            "kinesis:ListTagsForStream",
            "kinesis:RemoveTagsFromStream",
        ),
        "kinesis/tags_gen.go, listTags and updateTags",
    ),
    Unseen(
        (SOURCE,),
        ("kinesis:StopStreamEncryption", "kinesis:UpdateMaxRecordSize"),
        "kinesis/stream.go, resourceStreamUpdate",
    ),
    Unseen(
        BOTH,
        (
            "iam:ListInstanceProfilesForRole",
            "iam:TagRole",
            "iam:UntagRole",
            "iam:UpdateRole",
            "iam:UpdateRoleDescription",
        ),
        "iam/role.go, resourceRoleRead, resourceRoleUpdate and DeleteRole",
    ),
    Unseen(
        BOTH,
        ("iam:DeleteRolePermissionsBoundary", "iam:PutRolePermissionsBoundary"),
        "iam/role.go, resourceRoleUpdate: a boundary that is added, changed or removed",
    ),
    Unseen(
        BOTH,
        (
            "iam:CreatePolicyVersion",
            "iam:DeletePolicyVersion",
            "iam:SetDefaultPolicyVersion",
            "iam:TagPolicy",
            "iam:UntagPolicy",
        ),
        "iam/policy.go and iam/role_policy_attachment.go: a stack of many tables has managed "
        "policies, and one with managedPolicies has no others",
    ),
    Unseen(
        BOTH,
        (
            "kms:ListResourceTags",
            "kms:TagResource",
            "kms:UntagResource",
            "kms:UpdateKeyDescription",
        ),
        "kms/key.go, findKeyInfo and resourceKeyUpdate",
    ),
    Unseen(
        BOTH,
        ("kms:DeleteAlias", "kms:UpdateAlias"),
        "kms/alias.go, resourceAliasDelete and resourceAliasUpdate",
    ),
    Unseen(
        BOTH,
        (
            "cloudwatch:ListTagsForResource",
            "cloudwatch:TagResource",
            "cloudwatch:UntagResource",
            "sns:ListTagsForResource",
            "sns:TagResource",
            "sns:UntagResource",
        ),
        "cloudwatch/metric_alarm.go and sns/topic.go, with tags",
    ),
    Unseen(
        BOTH,
        ("sns:SetSubscriptionAttributes",),
        "sns/topic_subscription.go, putSubscriptionAttribute",
    ),
    Unseen(
        (TARGET,),
        (
            "dynamodb:ListTagsOfResource",
            "dynamodb:TagResource",
            "dynamodb:UntagResource",
        ),
        "dynamodb/table.go, with tags",
    ),
    Unseen(
        (TARGET,),
        ("dynamodb:GetResourcePolicy",),
        "dynamodb/resource_policy.go, Read: the Deny that an older program made, until it has left "
        "the state",
    ),
    Unseen(
        (TARGET,),
        (
            "s3:GetAccelerateConfiguration",
            "s3:GetBucketAcl",
            "s3:GetBucketCORS",
            "s3:GetBucketLocation",
            "s3:GetBucketObjectLockConfiguration",
            "s3:GetBucketRequestPayment",
            "s3:GetBucketTagging",
            "s3:GetBucketVersioning",
            "s3:GetBucketWebsite",
            "s3:GetReplicationConfiguration",
            "s3:PutBucketTagging",
        ),
        "s3/bucket.go, resourceBucketRead; s3/tags.go",
    ),
    Unseen(
        (TARGET,),
        (
            "lambda:DeleteFunctionConcurrency",
            "lambda:GetFunction",
            "lambda:GetFunctionCodeSigningConfig",
            "lambda:ListTags",
            "lambda:ListVersionsByFunction",
            "lambda:TagResource",
            "lambda:UntagResource",
        ),
        "lambda/function.go, resourceFunctionRead and resourceFunctionUpdate; lambda/tags_gen.go",
    ),
    Unseen(
        (TARGET,),
        (
            "kms:CreateGrant",
            "kms:Decrypt",
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ),
        "AWS KMS Developer Guide, services-dynamodb, and AWS Lambda Developer Guide, "
        "configuration-envvars-encryption: of a principal that gives a table or a function its key",
    ),
    Unseen(
        (TARGET,),
        (
            "glue:CreateJob",
            "glue:CreateSecurityConfiguration",
            "glue:DeleteJob",
            "glue:DeleteSecurityConfiguration",
            "glue:GetJob",
            "glue:GetSecurityConfiguration",
            "glue:GetTags",
            "glue:TagResource",
            "glue:UntagResource",
            "glue:UpdateJob",
        ),
        "glue/job.go and glue/security_configuration.go, with `verification: {engine: glue}`",
    ),
    Unseen(
        (TARGET,),
        ("s3:DeleteObject", "s3:GetObject", "s3:GetObjectTagging", "s3:PutObject"),
        "s3/bucket_object.go: the program of that job, in the snapshot bucket",
    ),
    Unseen(
        (TARGET,),
        ("logs:DisassociateKmsKey",),
        "logs/group.go, resourceGroupUpdate",
    ),
    Unseen(
        (TARGET,),
        ("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"),
        "AWS Lambda Developer Guide, configuration-vpc: of a principal that puts a function into a "
        "VPC",
    ),
    Unseen(
        (TARGET,),
        ("iam:PassRole",),
        "AWS Lambda Developer Guide, lambda-intro-execution-role, and AWS Glue Developer Guide, "
        "create-service-policy: handing a function, or a job, its role",
    ),
    Unseen(
        BOTH,
        (
            "events:ListTagsForResource",
            "events:TagResource",
            "events:UntagResource",
        ),
        "events/rule.go, with tags",
    ),
    Unseen(
        (TARGET,),
        (
            "logs:DeleteRetentionPolicy",
            "logs:ListTagsForResource",
            "logs:TagResource",
            "logs:UntagResource",
        ),
        "logs/group.go, with tags",
    ),
)
