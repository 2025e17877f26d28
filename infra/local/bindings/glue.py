"""Jobs of AWS Glue and their security configurations."""

from __future__ import annotations

from typing import Any

from infra.local.bindings.request import Created, Request


def job(request: Request) -> Created:
    name = request.physical_name("name")
    request.client("glue").create_job(Name=name, Tags=dict(request.tags), **job_settings(request))
    place = f"{request.region}:{request.account_id}"
    return Created(name, {"name": name, "arn": f"arn:aws:glue:{place}:job/{name}"})


def job_settings(request: Request) -> dict[str, Any]:
    """Return what CreateJob and UpdateJob take alike."""
    inputs = request.inputs
    command, execution = inputs.object("command"), inputs.object("executionProperty")
    security = inputs.get("securityConfiguration")
    return {
        "Description": inputs.text("description"),
        "Role": inputs.text("roleArn"),
        "GlueVersion": inputs.text("glueVersion"),
        "Command": {
            "Name": command.text("name"),
            "PythonVersion": command.text("pythonVersion"),
            "ScriptLocation": command.text("scriptLocation"),
        },
        "DefaultArguments": dict(inputs.get("defaultArguments") or {}),
        "WorkerType": inputs.text("workerType"),
        "NumberOfWorkers": inputs.number("numberOfWorkers"),
        "Timeout": inputs.number("timeout"),
        "MaxRetries": inputs.number("maxRetries"),
        "ExecutionProperty": {"MaxConcurrentRuns": execution.number("maxConcurrentRuns")},
        **({"SecurityConfiguration": security} if security else {}),
    }


def security_configuration(request: Request) -> Created:
    name = request.physical_name("name")
    encryption = request.inputs.object("encryptionConfiguration")
    logs = encryption.object("cloudwatchEncryption")
    bookmarks = encryption.object("jobBookmarksEncryption")
    objects = encryption.object("s3Encryption")
    request.client("glue").create_security_configuration(
        Name=name,
        EncryptionConfiguration={
            "CloudWatchEncryption": {
                "CloudWatchEncryptionMode": logs.text("cloudwatchEncryptionMode")
            },
            "JobBookmarksEncryption": {
                "JobBookmarksEncryptionMode": bookmarks.text("jobBookmarksEncryptionMode")
            },
            "S3Encryption": [
                {
                    "S3EncryptionMode": objects.text("s3EncryptionMode"),
                    "KmsKeyArn": objects.text("kmsKeyArn"),
                }
            ],
        },
    )
    return Created(name, {"name": name})
