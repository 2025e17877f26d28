"""Rules, by schedule or by pattern, and what they invoke."""

from __future__ import annotations

import os
from typing import Any

from tests.pulumi_engine.resources.base import Resource, ResourceType, document

SCHEDULES = "PULUMI_STAND_IN_SCHEDULES"
"""Environment variable: off, a schedule is made and does not run."""


def schedules_run() -> bool:
    """Tell whether a schedule that is on invokes its function."""
    return os.environ.get(SCHEDULES) != "off"


def _read_rule(resource: Resource) -> dict[str, Any]:
    found = resource.client("events").describe_rule(Name=resource.id)
    said = {
        "description": found.get("Description", ""),
    }
    if "eventPattern" in resource.state:
        said["eventPattern"] = document(found["EventPattern"], resource.state, "eventPattern")
    else:
        said["scheduleExpression"] = found["ScheduleExpression"]
    # AWS's provider compares the state only where the program sets one.
    if schedules_run() and "state" in resource.state:
        said["state"] = found["State"]
    return said


def _delete_rule(resource: Resource) -> None:
    resource.client("events").delete_rule(Name=resource.id)


def _read_target(resource: Resource) -> dict[str, Any] | None:
    found = resource.client("events").list_targets_by_rule(Rule=resource.state["rule"])
    for target in found["Targets"]:
        if target["Id"] == resource.state["targetId"]:
            said = {"arn": target["Arn"]}
            transformer = target.get("InputTransformer")
            if transformer:
                said["inputTransformer"] = {
                    "inputPaths": transformer["InputPathsMap"],
                    "inputTemplate": transformer["InputTemplate"],
                }
            return said
    return None


def _delete_target(resource: Resource) -> None:
    answer = resource.client("events").remove_targets(
        Rule=resource.state["rule"], Ids=[resource.state["targetId"]]
    )
    assert not answer.get("FailedEntryCount"), answer


RULE = ResourceType(
    read=_read_rule,
    delete=_delete_rule,
    replaced_by=frozenset({"name", "region"}),
    name="name",
    longest_name=64,
    computed=frozenset({"arn"}),
)
TARGET = ResourceType(
    read=_read_target,
    delete=_delete_target,
    replaced_by=frozenset({"region", "rule", "targetId"}),
    name="targetId",
    longest_name=64,
)
