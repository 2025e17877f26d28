"""Alarms, the topics they notify, and the dashboard."""

from __future__ import annotations

from typing import Any

from infra.local.bindings.inputs import Inputs
from infra.local.bindings.request import Created, Request


def alarm(request: Request) -> Created:
    inputs, name = request.inputs, request.physical_name("name")
    request.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        AlarmDescription=inputs.text("alarmDescription"),
        Namespace=inputs.text("namespace"),
        MetricName=inputs.text("metricName"),
        Dimensions=[
            {"Name": key, "Value": value} for key, value in (inputs.get("dimensions") or {}).items()
        ],
        **_statistic(inputs),
        ComparisonOperator=inputs.text("comparisonOperator"),
        Threshold=float(inputs.text("threshold")),
        Period=inputs.number("period"),
        EvaluationPeriods=inputs.number("evaluationPeriods"),
        DatapointsToAlarm=inputs.number("datapointsToAlarm"),
        TreatMissingData=inputs.text("treatMissingData"),
        AlarmActions=list(inputs.get("alarmActions") or []),
        OKActions=list(inputs.get("okActions") or []),
    )
    place = f"{request.region}:{request.account_id}"
    return Created(name, {"name": name, "arn": f"arn:aws:cloudwatch:{place}:alarm:{name}"})


def _statistic(inputs: Inputs) -> dict[str, Any]:
    percentile = inputs.get("extendedStatistic")
    if percentile:
        return {"ExtendedStatistic": percentile}
    return {"Statistic": inputs.text("statistic")}


def topic(request: Request) -> Created:
    name, key = request.physical_name("name"), request.inputs.get("kmsMasterKeyId")
    attributes = {"KmsMasterKeyId": key} if key else {}
    arn = request.client("sns").create_topic(Name=name, Attributes=attributes)["TopicArn"]
    return Created(arn, {"arn": arn, "name": name})


def topic_policy(request: Request) -> Created:
    arn = request.inputs.text("arn")
    request.client("sns").set_topic_attributes(
        TopicArn=arn,
        AttributeName="Policy",
        AttributeValue=request.inputs.document("policy"),
    )
    return Created(arn)


def subscription(request: Request) -> Created:
    inputs = request.inputs
    arn = request.client("sns").subscribe(
        TopicArn=inputs.text("topic"),
        Protocol=inputs.text("protocol"),
        Endpoint=inputs.text("endpoint"),
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    return Created(arn, {"arn": arn})


def dashboard(request: Request) -> Created:
    name = request.inputs.text("dashboardName")
    request.client("cloudwatch").put_dashboard(
        DashboardName=name, DashboardBody=request.inputs.document("dashboardBody")
    )
    return Created(name)
