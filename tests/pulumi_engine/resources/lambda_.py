"""Functions, mappings, permissions and log groups."""

from __future__ import annotations

import json
from typing import Any

from infra.local.bindings.lambda_ import vpc_config, zipped
from tests.pulumi_engine.resources.base import Resource, ResourceType, Values, never


def _read_function(resource: Resource) -> dict[str, Any]:
    lambda_, name = resource.client("lambda"), resource.id
    found = lambda_.get_function_configuration(FunctionName=name)
    said = {
        "description": found["Description"],
        "environment": {"variables": found["Environment"]["Variables"]},
        "handler": found["Handler"],
        "memorySize": found["MemorySize"],
        "role": found["Role"],
        "timeout": found["Timeout"],
    }
    if found.get("KMSKeyArn"):
        said["kmsKeyArn"] = found["KMSKeyArn"]
    vpc = found.get("VpcConfig") or {}
    if vpc.get("SubnetIds"):
        said["vpcConfig"] = {
            "subnetIds": vpc["SubnetIds"],
            "securityGroupIds": vpc["SecurityGroupIds"],
        }
    concurrency = lambda_.get_function_concurrency(FunctionName=name)
    said["reservedConcurrentExecutions"] = concurrency.get("ReservedConcurrentExecutions")
    return {key: value for key, value in said.items() if value is not None}


def _update_function(resource: Resource, new: Values) -> None:
    lambda_, old, name = resource.client("lambda"), resource.state, resource.id
    if new["code"] != old["code"]:
        lambda_.update_function_code(FunctionName=name, ZipFile=zipped(new["code"]))
    lambda_.update_function_configuration(
        FunctionName=name,
        Description=new["description"],
        Environment={"Variables": new["environment"]["variables"]},
        Handler=new["handler"],
        MemorySize=int(new["memorySize"]),
        Role=new["role"],
        Timeout=int(new["timeout"]),
        VpcConfig=vpc_config(new.get("vpcConfig") or {}),
        KMSKeyArn=new.get("kmsKeyArn") or "",
    )
    concurrency = new.get("reservedConcurrentExecutions")
    if concurrency == old.get("reservedConcurrentExecutions"):
        return
    if concurrency is None:
        lambda_.delete_function_concurrency(FunctionName=name)
    else:
        lambda_.put_function_concurrency(
            FunctionName=name, ReservedConcurrentExecutions=int(concurrency)
        )


def _delete_function(resource: Resource) -> None:
    resource.client("lambda").delete_function(FunctionName=resource.id)


MAPPING_SETTINGS = {
    "batchSize": "BatchSize",
    "bisectBatchOnFunctionError": "BisectBatchOnFunctionError",
    "maximumBatchingWindowInSeconds": "MaximumBatchingWindowInSeconds",
    "maximumRecordAgeInSeconds": "MaximumRecordAgeInSeconds",
    "maximumRetryAttempts": "MaximumRetryAttempts",
    "parallelizationFactor": "ParallelizationFactor",
}
"""Inputs of a mapping that UpdateEventSourceMapping takes as they are, by AWS's name."""


def _read_mapping(resource: Resource) -> dict[str, Any]:
    found = resource.client("lambda").get_event_source_mapping(UUID=resource.id)
    said = {ours: found[theirs] for ours, theirs in MAPPING_SETTINGS.items() if theirs in found}
    return {**said, "enabled": found["State"] in ("Enabled", "Enabling")}


def _update_mapping(resource: Resource, new: Values) -> None:
    changed: dict[str, Any] = {
        theirs: int(new[ours]) if not isinstance(new[ours], bool) else new[ours]
        for ours, theirs in MAPPING_SETTINGS.items()
        if new[ours] != resource.state.get(ours)
    }
    # As AWS's provider, which sends it only if it has changed.
    if new["enabled"] != resource.state["enabled"]:
        changed["Enabled"] = new["enabled"]
    if new["functionName"] != resource.state["functionName"]:
        changed["FunctionName"] = new["functionName"]
    resource.client("lambda").update_event_source_mapping(UUID=resource.id, **changed)


def _delete_mapping(resource: Resource) -> None:
    resource.client("lambda").delete_event_source_mapping(UUID=resource.id)


def _read_permission(resource: Resource) -> dict[str, Any] | None:
    found = resource.client("lambda").get_policy(FunctionName=resource.state["function"])
    statements = json.loads(found["Policy"])["Statement"]
    return {} if any(each["Sid"] == resource.id for each in statements) else None


def _delete_permission(resource: Resource) -> None:
    resource.client("lambda").remove_permission(
        FunctionName=resource.state["function"], StatementId=resource.id
    )


def _read_log_group(resource: Resource) -> dict[str, Any] | None:
    found = resource.client("logs").describe_log_groups(logGroupNamePrefix=resource.id)
    for group in found["logGroups"]:
        if group["logGroupName"] == resource.id:
            key = {"kmsKeyId": group["kmsKeyId"]} if group.get("kmsKeyId") else {}
            return {"retentionInDays": group.get("retentionInDays", 0), **key}
    return None


def _update_log_group(resource: Resource, new: Values) -> None:
    logs = resource.client("logs")
    logs.put_retention_policy(logGroupName=resource.id, retentionInDays=int(new["retentionInDays"]))
    if new.get("kmsKeyId") and new["kmsKeyId"] != resource.state.get("kmsKeyId"):
        logs.associate_kms_key(logGroupName=resource.id, kmsKeyId=new["kmsKeyId"])


def _delete_log_group(resource: Resource) -> None:
    resource.client("logs").delete_log_group(logGroupName=resource.id)


FUNCTION = ResourceType(
    read=_read_function,
    update=_update_function,
    delete=_delete_function,
    replaced_by=frozenset({"name", "packageType", "region"}),
    name="name",
    longest_name=64,
    computed=frozenset({"arn"}),
)
EVENT_SOURCE_MAPPING = ResourceType(
    read=_read_mapping,
    update=_update_mapping,
    delete=_delete_mapping,
    replaced_by=frozenset(
        {"eventSourceArn", "region", "startingPosition", "startingPositionTimestamp"}
    ),
    computed=frozenset({"arn", "uuid"}),
)
PERMISSION = ResourceType(
    read=_read_permission,
    update=never,
    delete=_delete_permission,
    replaced_by=frozenset(
        {"action", "function", "principal", "region", "sourceArn", "statementId"}
    ),
    name="statementId",
    longest_name=100,
)
LOG_GROUP = ResourceType(
    read=_read_log_group,
    update=_update_log_group,
    delete=_delete_log_group,
    replaced_by=frozenset({"name", "region"}),
    name="name",
    longest_name=512,
    computed=frozenset({"arn"}),
)
