"""Actions that several parts of the stack allow, each to its own role."""

from __future__ import annotations

# What TransactWriteItems is authorised by: there is no action of that name.
GUARD_ACTIONS = ("dynamodb:DeleteItem", "dynamodb:PutItem")
"""The writes of the consumer's guard to the target table."""

TABLE_STREAM_READING_ACTIONS = (
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
)
"""The reads of a table's own stream. Those of a Lambda mapping have to be allowed by both accounts
(AWS Database Blog, "Simplify cross-account stream processing with AWS Lambda and Amazon
DynamoDB")."""

EXPORT_ACTIONS = ("dynamodb:DescribeExport",)
# DynamoDB writes an export with its caller's permissions.
SNAPSHOT_WRITE_ACTIONS = ("s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectAcl")
# Amazon S3 User Guide, "Using server-side encryption with AWS KMS keys": an upload generates a data
# key, and one in several parts decrypts it as well; a download decrypts it.
OBJECT_KEY_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")
# Of who puts records, probes among them (permissions-user-key-KMS).
STREAM_KEY_ACTIONS = ("kms:GenerateDataKey",)
# "How DynamoDB uses AWS KMS": DynamoDB decrypts the table's key on behalf of the caller.
TABLE_KEY_ACTIONS = ("kms:Decrypt",)
# DynamoDB's demand "at a minimum" of the principal that selects the key for a table ("How
# DynamoDB uses AWS KMS"); there with wildcards, here with what it says that they stand for.
# DescribeKey is among KEY_LOOK_ACTIONS.
SELECTED_KEY_ACTIONS = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
# All that selecting takes, with the look at the key.
SELECT_KEY_ACTIONS = (*SELECTED_KEY_ACTIONS, "kms:DescribeKey")
# Of the caller who sets and reads a function's environment (AWS Lambda Developer Guide,
# configuration-envvars-encryption).
ENVIRONMENT_KEY_ACTIONS = ("kms:CreateGrant", "kms:Decrypt", "kms:Encrypt")
# `plan` says before the export is paid for whether a key will refuse it.
KEY_LOOK_ACTIONS = ("kms:DescribeKey", "kms:GetKeyPolicy")
