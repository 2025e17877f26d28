"""Buckets and what is set on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.pulumi_engine.resources.base import Resource, ResourceType, Values, document


def _read_bucket(resource: Resource) -> dict[str, Any]:
    resource.client("s3").head_bucket(Bucket=resource.id)
    return {}


def _update_bucket(resource: Resource, new: Values) -> None:
    """Do nothing: of a bucket itself the program sets only where it is."""


def _delete_bucket(resource: Resource) -> None:
    resource.client("s3").delete_bucket(Bucket=resource.id)


def _read_block(resource: Resource) -> dict[str, Any]:
    found = resource.client("s3").get_public_access_block(Bucket=resource.id)
    block = found["PublicAccessBlockConfiguration"]
    return {name[0].lower() + name[1:]: value for name, value in block.items()}


def _read_ownership(resource: Resource) -> dict[str, Any]:
    found = resource.client("s3").get_bucket_ownership_controls(Bucket=resource.id)
    [rule] = found["OwnershipControls"]["Rules"]
    return {"rule": {"objectOwnership": rule["ObjectOwnership"]}}


def _read_encryption(resource: Resource) -> dict[str, Any]:
    found = resource.client("s3").get_bucket_encryption(Bucket=resource.id)
    [rule] = found["ServerSideEncryptionConfiguration"]["Rules"]
    default = rule["ApplyServerSideEncryptionByDefault"]
    [known] = resource.state["rules"]
    said = {"sseAlgorithm": default["SSEAlgorithm"]}
    if default.get("KMSMasterKeyID"):
        said["kmsMasterKeyId"] = default["KMSMasterKeyID"]
    return {"rules": [{**known, "applyServerSideEncryptionByDefault": said}]}


def _read_lifecycle(resource: Resource) -> dict[str, Any]:
    found = resource.client("s3").get_bucket_lifecycle_configuration(Bucket=resource.id)
    status = {rule["ID"]: rule["Status"] for rule in found["Rules"]}
    known = resource.state["rules"]
    if {rule["id"]: rule["status"] for rule in known} == status:
        return {}
    return {"rules": [rule for rule in known if status.get(rule["id"]) == rule["status"]]}


def _read_logging(resource: Resource) -> dict[str, Any] | None:
    found = resource.client("s3").get_bucket_logging(Bucket=resource.id).get("LoggingEnabled")
    if found is None:
        return None
    return {"targetBucket": found["TargetBucket"], "targetPrefix": found["TargetPrefix"]}


def _delete_logging(resource: Resource) -> None:
    """There is no call to delete it: the provider puts an empty one."""
    resource.client("s3").put_bucket_logging(Bucket=resource.id, BucketLoggingStatus={})


def _read_policy(resource: Resource) -> dict[str, Any]:
    found = resource.client("s3").get_bucket_policy(Bucket=resource.id)
    return {"policy": document(found["Policy"], resource.state, "policy")}


def _read_object(resource: Resource) -> dict[str, Any]:
    bucket, _, key = resource.id.partition("/")
    resource.client("s3").head_object(Bucket=bucket, Key=key)
    return {}


def _delete_object(resource: Resource) -> None:
    bucket, _, key = resource.id.partition("/")
    resource.client("s3").delete_object(Bucket=bucket, Key=key)


def _deleted_by(operation: str) -> Callable[[Resource], None]:
    def delete(resource: Resource) -> None:
        getattr(resource.client("s3"), operation)(Bucket=resource.id)

    return delete


def _part(read: Callable[[Resource], dict[str, Any]], deletion: str) -> ResourceType:
    """Describe something that is set on a bucket by one Put."""
    return ResourceType(
        read=read, delete=_deleted_by(deletion), replaced_by=frozenset({"bucket", "region"})
    )


BUCKET = ResourceType(
    read=_read_bucket,
    update=_update_bucket,
    delete=_delete_bucket,
    replaced_by=frozenset({"bucket", "region"}),
    name="bucket",
    longest_name=63,
    computed=frozenset({"arn"}),
)
OBJECT = ResourceType(
    read=_read_object,
    delete=_delete_object,
    replaced_by=frozenset({"bucket", "key", "region"}),
    computed=frozenset({"arn"}),
)
LOGGING = ResourceType(
    read=_read_logging, delete=_delete_logging, replaced_by=frozenset({"bucket", "region"})
)
LIFECYCLE = _part(_read_lifecycle, "delete_bucket_lifecycle")
OWNERSHIP = _part(_read_ownership, "delete_bucket_ownership_controls")
POLICY = _part(_read_policy, "delete_bucket_policy")
PUBLIC_ACCESS_BLOCK = _part(_read_block, "delete_public_access_block")
ENCRYPTION = _part(_read_encryption, "delete_bucket_encryption")
