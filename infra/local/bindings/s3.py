"""Buckets and their settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi

from infra.local.bindings.inputs import BindingError, Inputs
from infra.local.bindings.request import Created, Request


def bucket(request: Request) -> Created:
    name = request.physical_name("bucket")
    made: dict[str, Any] = {"Tags": request.tag_list} if request.tags else {}
    # us-east-1 is the one Region that S3 does not accept as a location constraint.
    if request.region != "us-east-1":
        made["LocationConstraint"] = request.region
    configuration = {"CreateBucketConfiguration": made} if made else {}
    request.client("s3").create_bucket(Bucket=name, **configuration)
    return Created(name, {"arn": f"arn:aws:s3:::{name}", "bucket": name})


def public_access_block(request: Request) -> Created:
    inputs, name = request.inputs, request.inputs.text("bucket")
    request.client("s3").put_public_access_block(
        Bucket=name,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": inputs.flag("blockPublicAcls"),
            "BlockPublicPolicy": inputs.flag("blockPublicPolicy"),
            "IgnorePublicAcls": inputs.flag("ignorePublicAcls"),
            "RestrictPublicBuckets": inputs.flag("restrictPublicBuckets"),
        },
    )
    return Created(name)


def ownership_controls(request: Request) -> Created:
    name = request.inputs.text("bucket")
    ownership = request.inputs.object("rule").text("objectOwnership")
    request.client("s3").put_bucket_ownership_controls(
        Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": ownership}]}
    )
    return Created(name)


def encryption(request: Request) -> Created:
    name = request.inputs.text("bucket")
    rules = [_encryption_rule(rule) for rule in request.inputs.objects("rules")]
    request.client("s3").put_bucket_encryption(
        Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules}
    )
    return Created(name)


def _encryption_rule(rule: Inputs) -> dict[str, Any]:
    default = rule.object("applyServerSideEncryptionByDefault")
    said = {"SSEAlgorithm": default.text("sseAlgorithm")}
    key = default.get("kmsMasterKeyId")
    if key is None:
        return {"ApplyServerSideEncryptionByDefault": said}
    return {
        "ApplyServerSideEncryptionByDefault": {**said, "KMSMasterKeyID": key},
        "BucketKeyEnabled": rule.flag("bucketKeyEnabled"),
    }


def lifecycle(request: Request) -> Created:
    name = request.inputs.text("bucket")
    request.client("s3").put_bucket_lifecycle_configuration(
        Bucket=name,
        LifecycleConfiguration={"Rules": [_rule(rule) for rule in request.inputs.objects("rules")]},
    )
    return Created(name)


def _rule(rule: Inputs) -> dict[str, Any]:
    said: dict[str, Any] = {
        "ID": rule.text("id"),
        "Status": rule.text("status"),
        "Filter": {"Prefix": rule.object("filter").text("prefix")},
    }
    expiration = rule.object("expiration")
    if expiration.values:
        said["Expiration"] = {"Days": expiration.number("days")}
    abandoned = rule.object("abortIncompleteMultipartUpload")
    if abandoned.values:
        days = abandoned.number("daysAfterInitiation")
        said["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": days}
    return said


def logging(request: Request) -> Created:
    name = request.inputs.text("bucket")
    request.client("s3").put_bucket_logging(
        Bucket=name,
        BucketLoggingStatus={
            "LoggingEnabled": {
                "TargetBucket": request.inputs.text("targetBucket"),
                "TargetPrefix": request.inputs.text("targetPrefix"),
            }
        },
    )
    return Created(name)


def policy(request: Request) -> Created:
    name = request.inputs.text("bucket")
    request.client("s3").put_bucket_policy(Bucket=name, Policy=request.inputs.document("policy"))
    return Created(name)


def bucket_object(request: Request) -> Created:
    """Put a file. The provider's tags are left out of objects, which take ten at most."""
    inputs = request.inputs
    bucket, key, source = inputs.text("bucket"), inputs.text("key"), inputs.get("source")
    if not isinstance(source, pulumi.FileAsset):
        raise BindingError(f"source is a {type(source).__name__}, and only a FileAsset is known")
    how = {"ServerSideEncryption": inputs.text("serverSideEncryption")}
    if inputs.get("kmsKeyId"):
        how["SSEKMSKeyId"] = inputs.text("kmsKeyId")
    tags = inputs.object("overrideProvider").object("defaultTags")
    if tags.get("tags"):
        raise BindingError("overrideProvider.defaultTags.tags is not empty")
    body = Path(source.path).read_bytes()
    request.client("s3").put_object(Bucket=bucket, Key=key, Body=body, **how)
    return Created(f"{bucket}/{key}", {"arn": f"arn:aws:s3:::{bucket}/{key}"})
