"""Jobs of AWS Glue and their security configurations."""

from __future__ import annotations

from typing import Any

from infra.local.bindings.glue import job_settings
from infra.local.bindings.inputs import Inputs
from infra.local.bindings.request import Request
from tests.pulumi_engine.resources.base import Resource, ResourceType, Values, never


def _read_job(resource: Resource) -> dict[str, Any]:
    found = resource.client("glue").get_job(JobName=resource.id)["Job"]
    return {
        "description": found["Description"],
        "roleArn": found["Role"],
        "defaultArguments": found["DefaultArguments"],
        "workerType": found["WorkerType"],
        "numberOfWorkers": found["NumberOfWorkers"],
        "timeout": found["Timeout"],
        "maxRetries": found["MaxRetries"],
    }


def _update_job(resource: Resource, new: Values) -> None:
    request = Request(resource.id, Inputs(new), "", "", "", resource.client)
    resource.client("glue").update_job(JobName=resource.id, JobUpdate=job_settings(request))


def _delete_job(resource: Resource) -> None:
    resource.client("glue").delete_job(JobName=resource.id)


def _read_security(resource: Resource) -> dict[str, Any]:
    resource.client("glue").get_security_configuration(Name=resource.id)
    return {}


def _delete_security(resource: Resource) -> None:
    resource.client("glue").delete_security_configuration(Name=resource.id)


JOB = ResourceType(
    read=_read_job,
    update=_update_job,
    delete=_delete_job,
    replaced_by=frozenset({"name", "region"}),
    name="name",
    longest_name=255,
    computed=frozenset({"arn"}),
)
SECURITY_CONFIGURATION = ResourceType(
    read=_read_security,
    update=never,
    delete=_delete_security,
    replaced_by=frozenset({"encryptionConfiguration", "name", "region"}),
    name="name",
    longest_name=255,
)
