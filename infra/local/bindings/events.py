"""EventBridge rules: schedules with the functions they invoke, and patterns with their topics."""

from __future__ import annotations

from typing import Any

from infra.local.bindings.request import Created, Request


def rule(request: Request) -> Created:
    name = request.physical_name("name")
    pattern = request.inputs.get("eventPattern")
    arn = request.client("events").put_rule(
        Name=name,
        Description=request.inputs.text("description"),
        **(
            {"EventPattern": request.inputs.document("eventPattern")}
            if pattern
            else {"ScheduleExpression": request.inputs.text("scheduleExpression")}
        ),
        # The program of an earlier release leaves it to AWS, whose default is the same.
        State=request.inputs.get("state") or "ENABLED",
    )["RuleArn"]
    return Created(name, {"arn": arn, "name": name})


def target(request: Request) -> Created:
    rule_name, name = request.inputs.text("rule"), request.physical_name("targetId")
    one: dict[str, Any] = {"Id": name, "Arn": request.inputs.text("arn")}
    transformer = request.inputs.object("inputTransformer")
    if transformer.values:
        one["InputTransformer"] = {
            "InputPathsMap": dict(transformer.get("inputPaths") or {}),
            "InputTemplate": transformer.text("inputTemplate"),
        }
    answer = request.client("events").put_targets(Rule=rule_name, Targets=[one])
    # PutTargets answers 200 also when it has taken none.
    assert not answer["FailedEntryCount"], answer["FailedEntries"]
    return Created(f"{rule_name}-{name}")
