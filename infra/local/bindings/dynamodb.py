"""Tables, their policies, and the streaming destination of a table's changes."""

from __future__ import annotations

from typing import Any

from infra.local.bindings.inputs import Inputs
from infra.local.bindings.request import Created, Request


def table(request: Request) -> Created:
    inputs, dynamodb = request.inputs, request.client("dynamodb")
    name = request.physical_name("name")
    schema = [{"AttributeName": inputs.text("hashKey"), "KeyType": "HASH"}]
    range_key = inputs.get("rangeKey")
    if range_key:
        schema.append({"AttributeName": range_key, "KeyType": "RANGE"})
    arn = dynamodb.create_table(
        TableName=name,
        BillingMode=inputs.text("billingMode"),
        KeySchema=schema,
        AttributeDefinitions=[
            {"AttributeName": attribute.text("name"), "AttributeType": attribute.text("type")}
            for attribute in inputs.objects("attributes")
        ],
        DeletionProtectionEnabled=inputs.flag("deletionProtectionEnabled"),
        **({"Tags": request.tag_list} if request.tags else {}),
        **_encryption(request.inputs.object("serverSideEncryption")),
    )["TableDescription"]["TableArn"]
    request.wait_until(
        f"table {name} becoming ACTIVE",
        lambda: dynamodb.describe_table(TableName=name)["Table"]["TableStatus"] == "ACTIVE",
    )
    _settings_after_creation(request, name)
    return Created(name, {"arn": arn, "name": name})


def _encryption(given: Inputs) -> dict[str, Any]:
    if not given.values:
        return {}
    key = {"KMSMasterKeyId": given.text("kmsKeyArn"), "SSEType": "KMS"}
    return {"SSESpecification": {"Enabled": given.flag("enabled"), **key}}


def _settings_after_creation(request: Request, name: str) -> None:
    """Set what CreateTable does not take."""
    inputs, dynamodb = request.inputs, request.client("dynamodb")
    ttl = inputs.object("ttl")
    if ttl.values and ttl.flag("enabled"):
        dynamodb.update_time_to_live(
            TableName=name,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": ttl.text("attributeName")},
        )
    recovery = inputs.object("pointInTimeRecovery")
    if recovery.values and recovery.flag("enabled"):
        dynamodb.update_continuous_backups(
            TableName=name,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        )


def streaming_destination(request: Request) -> Created:
    inputs, dynamodb = request.inputs, request.client("dynamodb")
    name, stream = inputs.text("tableName"), inputs.text("streamArn")
    dynamodb.enable_kinesis_streaming_destination(
        TableName=name,
        StreamArn=stream,
        EnableKinesisStreamingConfiguration={
            "ApproximateCreationDateTimePrecision": inputs.text(
                "approximateCreationDateTimePrecision"
            )
        },
    )

    def active() -> bool:
        described = dynamodb.describe_kinesis_streaming_destination(TableName=name)
        return any(
            destination["StreamArn"] == stream and destination["DestinationStatus"] == "ACTIVE"
            for destination in described["KinesisDataStreamDestinations"]
        )

    request.wait_until(f"the destination of table {name} becoming ACTIVE", active)
    return Created(f"{name},{stream}")


def resource_policy(request: Request) -> Created:
    """Put the policy, and wait until it can be read, as AWS's provider does."""
    arn, dynamodb = request.inputs.text("resourceArn"), request.client("dynamodb")
    revision = dynamodb.put_resource_policy(
        ResourceArn=arn, Policy=request.inputs.document("policy")
    )["RevisionId"]

    def readable() -> bool:
        try:
            shown = dynamodb.get_resource_policy(ResourceArn=arn)
        except dynamodb.exceptions.PolicyNotFoundException:
            return False
        return bool(shown["RevisionId"] == revision)

    request.wait_until(f"the resource policy of {arn} being readable", readable)
    return Created(arn)
