"""Streams and their policies."""

from __future__ import annotations

from typing import Any

from tests.pulumi_engine.resources.base import Resource, ResourceType, Values, document


def _read_stream(resource: Resource) -> dict[str, Any]:
    kinesis = resource.client("kinesis")
    found = kinesis.describe_stream_summary(StreamName=resource.state["name"])
    summary = found["StreamDescriptionSummary"]
    mode = summary["StreamModeDetails"]["StreamMode"]
    said: dict[str, Any] = {
        "retentionPeriod": summary["RetentionPeriodHours"],
        "streamModeDetails": {"streamMode": mode},
        "encryptionType": summary["EncryptionType"],
        "kmsKeyId": summary.get("KeyId", ""),
    }
    if mode == "PROVISIONED":
        said["shardCount"] = summary["OpenShardCount"]
    return said


def _update_stream(resource: Resource, new: Values) -> None:
    kinesis, old, name = resource.client("kinesis"), resource.state, resource.state["name"]
    before, after = int(old["retentionPeriod"]), int(new["retentionPeriod"])
    if after > before:
        kinesis.increase_stream_retention_period(StreamName=name, RetentionPeriodHours=after)
    elif after < before:
        kinesis.decrease_stream_retention_period(StreamName=name, RetentionPeriodHours=after)
    if old["streamModeDetails"] != new["streamModeDetails"]:
        kinesis.update_stream_mode(
            StreamARN=old["arn"],
            StreamModeDetails={"StreamMode": new["streamModeDetails"]["streamMode"]},
        )
    shards = new.get("shardCount")
    if shards and shards != old.get("shardCount"):
        kinesis.update_shard_count(
            StreamName=name, TargetShardCount=int(shards), ScalingType="UNIFORM_SCALING"
        )
    if (old.get("encryptionType"), old.get("kmsKeyId")) != (new["encryptionType"], new["kmsKeyId"]):
        kinesis.start_stream_encryption(
            StreamName=name, EncryptionType="KMS", KeyId=new["kmsKeyId"]
        )


def _delete_stream(resource: Resource) -> None:
    resource.client("kinesis").delete_stream(
        StreamName=resource.state["name"], EnforceConsumerDeletion=True
    )


def _read_policy(resource: Resource) -> dict[str, Any] | None:
    found = resource.client("kinesis").get_resource_policy(ResourceARN=resource.id)["Policy"]
    return {"policy": document(found, resource.state, "policy")} if found else None


def _delete_policy(resource: Resource) -> None:
    resource.client("kinesis").delete_resource_policy(ResourceARN=resource.id)


STREAM = ResourceType(
    read=_read_stream,
    update=_update_stream,
    delete=_delete_stream,
    replaced_by=frozenset({"name", "region"}),
    name="name",
    longest_name=128,
    computed=frozenset({"arn"}),
)
RESOURCE_POLICY = ResourceType(
    read=_read_policy,
    delete=_delete_policy,
    replaced_by=frozenset({"resourceArn", "region"}),
)
