"""Tables, streaming destinations and policies of tables."""

from __future__ import annotations

from typing import Any

from tests.pulumi_engine.resources.base import Resource, ResourceType, Values, document, never


def _read_table(resource: Resource) -> dict[str, Any]:
    dynamodb, name = resource.client("dynamodb"), resource.id
    table = dynamodb.describe_table(TableName=name)["Table"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    said: dict[str, Any] = {
        "deletionProtectionEnabled": table.get("DeletionProtectionEnabled", False),
        "pointInTimeRecovery": {"enabled": recovery == "ENABLED"},
    }
    if "ttl" in resource.state:
        ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        on = ttl["TimeToLiveStatus"] in ("ENABLED", "ENABLING")
        said["ttl"] = {**resource.state["ttl"], "enabled": on}
    return said


def _update_table(resource: Resource, new: Values) -> None:
    dynamodb, old, name = resource.client("dynamodb"), resource.state, resource.id
    if new["deletionProtectionEnabled"] != old["deletionProtectionEnabled"]:
        dynamodb.update_table(
            TableName=name, DeletionProtectionEnabled=bool(new["deletionProtectionEnabled"])
        )
    if new.get("ttl") != old.get("ttl"):
        dynamodb.update_time_to_live(
            TableName=name,
            TimeToLiveSpecification={
                "Enabled": new["ttl"]["enabled"],
                "AttributeName": new["ttl"]["attributeName"],
            },
        )
    if new.get("serverSideEncryption") != old.get("serverSideEncryption"):
        given = new.get("serverSideEncryption") or {"enabled": False}
        key = {"SSEType": "KMS", "KMSMasterKeyId": given["kmsKeyArn"]} if given["enabled"] else {}
        dynamodb.update_table(TableName=name, SSESpecification={"Enabled": given["enabled"], **key})
    if new.get("pointInTimeRecovery") != old.get("pointInTimeRecovery"):
        dynamodb.update_continuous_backups(
            TableName=name,
            PointInTimeRecoverySpecification={
                "PointInTimeRecoveryEnabled": new["pointInTimeRecovery"]["enabled"]
            },
        )


def _delete_table(resource: Resource) -> None:
    resource.client("dynamodb").delete_table(TableName=resource.id)


def _read_destination(resource: Resource) -> dict[str, Any] | None:
    table, stream = resource.id.split(",")  # all that an import has
    found = resource.client("dynamodb").describe_kinesis_streaming_destination(TableName=table)
    on = any(
        each["StreamArn"] == stream and each["DestinationStatus"] in ("ACTIVE", "ENABLING")
        for each in found["KinesisDataStreamDestinations"]
    )
    return {} if on else None


def _delete_destination(resource: Resource) -> None:
    resource.client("dynamodb").disable_kinesis_streaming_destination(
        TableName=resource.state["tableName"], StreamArn=resource.state["streamArn"]
    )


def _read_policy(resource: Resource) -> dict[str, Any] | None:
    found = resource.client("dynamodb").get_resource_policy(ResourceArn=resource.id).get("Policy")
    return {"policy": document(found, resource.state, "policy")} if found else None


def _delete_policy(resource: Resource) -> None:
    resource.client("dynamodb").delete_resource_policy(ResourceArn=resource.id)


TABLE = ResourceType(
    read=_read_table,
    update=_update_table,
    delete=_delete_table,
    replaced_by=frozenset({"hashKey", "name", "rangeKey", "region"}),
    name="name",
    longest_name=255,
    computed=frozenset({"arn"}),
)
STREAMING_DESTINATION = ResourceType(
    read=_read_destination,
    update=never,
    delete=_delete_destination,
    replaced_by=frozenset(
        {"approximateCreationDateTimePrecision", "region", "streamArn", "tableName"}
    ),
)
RESOURCE_POLICY = ResourceType(
    read=_read_policy,
    delete=_delete_policy,
    replaced_by=frozenset({"resourceArn", "region"}),
)
