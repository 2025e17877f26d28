"""Keys and their aliases."""

from __future__ import annotations

from typing import Any

from tests.pulumi_engine.resources.base import Resource, ResourceType, Values, document


def _read_key(resource: Resource) -> dict[str, Any] | None:
    kms = resource.client("kms")
    metadata = kms.describe_key(KeyId=resource.id)["KeyMetadata"]
    if metadata["KeyState"] == "PendingDeletion":
        return None
    policy = kms.get_key_policy(KeyId=resource.id, PolicyName="default")["Policy"]
    return {
        "description": metadata["Description"],
        "policy": document(policy, resource.state, "policy"),
        "enableKeyRotation": kms.get_key_rotation_status(KeyId=resource.id)["KeyRotationEnabled"],
    }


def _update_key(resource: Resource, new: Values) -> None:
    kms = resource.client("kms")
    if new["description"] != resource.state["description"]:
        kms.update_key_description(KeyId=resource.id, Description=new["description"])
    if new["policy"] != resource.state["policy"]:
        kms.put_key_policy(KeyId=resource.id, PolicyName="default", Policy=new["policy"])
    if new["enableKeyRotation"] and not resource.state["enableKeyRotation"]:
        kms.enable_key_rotation(KeyId=resource.id)


def _delete_key(resource: Resource) -> None:
    days = int(resource.state.get("deletionWindowInDays", 30))
    resource.client("kms").schedule_key_deletion(KeyId=resource.id, PendingWindowInDays=days)


def _read_alias(resource: Resource) -> dict[str, Any] | None:
    found = resource.client("kms").list_aliases()["Aliases"]
    return {} if any(each["AliasName"] == resource.id for each in found) else None


def _update_alias(resource: Resource, new: Values) -> None:
    resource.client("kms").update_alias(AliasName=resource.id, TargetKeyId=new["targetKeyId"])


def _delete_alias(resource: Resource) -> None:
    resource.client("kms").delete_alias(AliasName=resource.id)


KEY = ResourceType(
    read=_read_key,
    update=_update_key,
    delete=_delete_key,
    replaced_by=frozenset({"region"}),
    computed=frozenset({"arn", "keyId"}),
)
ALIAS = ResourceType(
    read=_read_alias,
    update=_update_alias,
    delete=_delete_alias,
    replaced_by=frozenset({"name", "region"}),
    computed=frozenset({"arn"}),
)
