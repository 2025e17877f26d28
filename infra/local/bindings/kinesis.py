"""Streams and their policies."""

from __future__ import annotations

from infra.local.bindings.request import Created, Request

DEFAULT_RETENTION_HOURS = 24


def stream(request: Request) -> Created:
    inputs, kinesis = request.inputs, request.client("kinesis")
    name = request.physical_name("name")
    shards = inputs.optional_number("shardCount")
    kinesis.create_stream(
        StreamName=name,
        StreamModeDetails={"StreamMode": inputs.object("streamModeDetails").text("streamMode")},
        MaxRecordSizeInKiB=inputs.number("maxRecordSizeInKib"),
        **({"ShardCount": shards} if shards else {}),
        **({"Tags": dict(request.tags)} if request.tags else {}),
    )
    request.wait_until(f"stream {name} becoming ACTIVE", lambda: _summary(request, name)[1])
    arn = _summary(request, name)[0]
    hours = inputs.number("retentionPeriod")
    if hours > DEFAULT_RETENTION_HOURS:
        kinesis.increase_stream_retention_period(StreamName=name, RetentionPeriodHours=hours)
    inputs.must_be("encryptionType", "KMS")
    kinesis.start_stream_encryption(
        StreamName=name, EncryptionType="KMS", KeyId=inputs.text("kmsKeyId")
    )
    return Created(arn, {"arn": arn, "name": name})


def _summary(request: Request, name: str) -> tuple[str, bool]:
    described = request.client("kinesis").describe_stream_summary(StreamName=name)
    summary = described["StreamDescriptionSummary"]
    return summary["StreamARN"], summary["StreamStatus"] == "ACTIVE"


def resource_policy(request: Request) -> Created:
    arn = request.inputs.text("resourceArn")
    request.client("kinesis").put_resource_policy(
        ResourceARN=arn, Policy=request.inputs.document("policy")
    )
    return Created(arn)
