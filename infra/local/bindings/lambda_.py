"""Functions, event source mappings and log groups."""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pulumi

from infra.local.bindings.inputs import BindingError
from infra.local.bindings.request import Created, Request
from infra.package import tree_hash


def function(request: Request) -> Created:
    inputs, lambda_ = request.inputs, request.client("lambda")
    name = request.physical_name("name")
    logging = inputs.object("loggingConfig")
    inputs.not_emulated("architectures", "the function runs on this machine's interpreter")
    vpc = inputs.object("vpcConfig")
    # Stored and shown; the local cloud has no networks, and every function reaches all of it.
    place = {"VpcConfig": vpc_config(vpc.values)} if vpc.values else {}
    vpc.used.update(vpc.values)
    key = inputs.get("kmsKeyArn")
    arn = lambda_.create_function(
        FunctionName=name,
        Description=inputs.text("description"),
        # Checked, stored and shown; the local cloud runs every Python on its own interpreter.
        Runtime=inputs.text("runtime"),
        Handler=inputs.text("handler"),
        Role=inputs.text("role"),
        Timeout=inputs.number("timeout"),
        MemorySize=inputs.number("memorySize"),
        Environment={"Variables": dict(inputs.object("environment").get("variables") or {})},
        LoggingConfig={
            "LogFormat": logging.text("logFormat"),
            "LogGroup": logging.text("logGroup"),
        },
        Code={"ZipFile": zipped(inputs.get("code"))},
        Tags=dict(request.tags),
        **place,
        **({"KMSKeyArn": key} if key else {}),
    )["FunctionArn"]
    concurrency = inputs.optional_number("reservedConcurrentExecutions")
    if concurrency is not None:
        lambda_.put_function_concurrency(
            FunctionName=name, ReservedConcurrentExecutions=concurrency
        )
    request.wait_until(
        f"function {name} becoming Active",
        lambda: lambda_.get_function_configuration(FunctionName=name)["State"] == "Active",
    )
    return Created(name, {"arn": arn, "name": name})


def vpc_config(vpc: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the request's member. Empty lists take a function out of its VPC."""
    return {
        "SubnetIds": list(vpc.get("subnetIds", ())),
        "SecurityGroupIds": list(vpc.get("securityGroupIds", ())),
    }


def zipped(code: object) -> bytes:
    if not isinstance(code, pulumi.FileArchive):
        raise BindingError(f"code is a {type(code).__name__}, and only a FileArchive is known")
    folder = Path(code.path)
    return zip_folder(folder, tree_hash(folder))


@functools.cache
def zip_folder(folder: Path, contents: str) -> bytes:
    """Return the folder as a zip file: the same bytes for the same files.

    Made once for all functions of a stack, and anew when `contents`, the files' hash, is another.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, path.read_bytes())
    return file.getvalue()


def event_source_mapping(request: Request) -> Created:
    inputs = request.inputs
    failures = inputs.object("destinationConfig").object("onFailure")
    lambda_ = request.client("lambda")
    since = inputs.get("startingPositionTimestamp")
    position = {"StartingPositionTimestamp": datetime.fromisoformat(since)} if since else {}
    created: dict[str, Any] = lambda_.create_event_source_mapping(
        EventSourceArn=inputs.text("eventSourceArn"),
        FunctionName=inputs.text("functionName"),
        Enabled=inputs.flag("enabled"),
        StartingPosition=inputs.text("startingPosition"),
        **position,
        BatchSize=inputs.number("batchSize"),
        MaximumBatchingWindowInSeconds=inputs.number("maximumBatchingWindowInSeconds"),
        ParallelizationFactor=inputs.number("parallelizationFactor"),
        BisectBatchOnFunctionError=inputs.flag("bisectBatchOnFunctionError"),
        MaximumRetryAttempts=inputs.number("maximumRetryAttempts"),
        MaximumRecordAgeInSeconds=inputs.number("maximumRecordAgeInSeconds"),
        FunctionResponseTypes=list(inputs.get("functionResponseTypes") or []),
        DestinationConfig={"OnFailure": {"Destination": failures.text("destinationArn")}},
    )
    mapping = created["UUID"]
    request.wait_until(
        f"the mapping of {request.name} being created",
        lambda: lambda_.get_event_source_mapping(UUID=mapping)["State"] in ("Enabled", "Disabled"),
    )
    place = f"{request.region}:{request.account_id}"
    arn = created.get("EventSourceMappingArn") or (
        f"arn:aws:lambda:{place}:event-source-mapping:{mapping}"
    )
    return Created(mapping, {"uuid": mapping, "arn": arn})


def permission(request: Request) -> Created:
    """Allow another principal to invoke a function."""
    inputs, name = request.inputs, request.physical_name("statementId")
    request.client("lambda").add_permission(
        FunctionName=inputs.text("function"),
        StatementId=name,
        Action=inputs.text("action"),
        Principal=inputs.text("principal"),
        SourceArn=inputs.text("sourceArn"),
    )
    return Created(name)


def log_group(request: Request) -> Created:
    name, logs = request.physical_name("name"), request.client("logs")
    key = request.inputs.get("kmsKeyId")
    logs.create_log_group(logGroupName=name, **({"kmsKeyId": key} if key else {}))
    logs.put_retention_policy(
        logGroupName=name, retentionInDays=request.inputs.number("retentionInDays")
    )
    place = f"{request.region}:{request.account_id}"
    return Created(name, {"name": name, "arn": f"arn:aws:logs:{place}:log-group:{name}"})
