"""Schedules: EventBridge rules and the functions they invoke."""

from __future__ import annotations

from infra.local.bindings.request import Created, Request


def rule(request: Request) -> Created:
    name = request.physical_name("name")
    arn = request.client("events").put_rule(
        Name=name,
        Description=request.inputs.text("description"),
        ScheduleExpression=request.inputs.text("scheduleExpression"),
        # The program of an earlier release leaves it to AWS, whose default is the same.
        State=request.inputs.get("state") or "ENABLED",
    )["RuleArn"]
    return Created(name, {"arn": arn, "name": name})


def target(request: Request) -> Created:
    rule_name, name = request.inputs.text("rule"), request.physical_name("targetId")
    answer = request.client("events").put_targets(
        Rule=rule_name, Targets=[{"Id": name, "Arn": request.inputs.text("arn")}]
    )
    # PutTargets answers 200 also when it has taken none.
    assert not answer["FailedEntryCount"], answer["FailedEntries"]
    return Created(f"{rule_name}-{name}")
