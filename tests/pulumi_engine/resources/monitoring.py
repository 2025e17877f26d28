"""Alarms, topics, subscriptions and dashboards."""

from __future__ import annotations

import json
from typing import Any

from tests.pulumi_engine.resources.base import Resource, ResourceType, Values, document, never


def _read_alarm(resource: Resource) -> dict[str, Any] | None:
    found = resource.client("cloudwatch").describe_alarms(AlarmNames=[resource.id])["MetricAlarms"]
    if not found:
        return None
    [alarm] = found
    return {
        "alarmActions": alarm.get("AlarmActions", []),
        "alarmDescription": alarm.get("AlarmDescription", ""),
        "evaluationPeriods": alarm["EvaluationPeriods"],
        "okActions": alarm.get("OKActions", []),
        "period": alarm["Period"],
        "threshold": alarm["Threshold"],
        "treatMissingData": alarm["TreatMissingData"],
    }


def _delete_alarm(resource: Resource) -> None:
    resource.client("cloudwatch").delete_alarms(AlarmNames=[resource.id])


def _read_dashboard(resource: Resource) -> dict[str, Any]:
    found = resource.client("cloudwatch").get_dashboard(DashboardName=resource.id)
    known = str(resource.state["dashboardBody"])
    same = json.loads(found["DashboardBody"]) == json.loads(known)
    return {"dashboardBody": known if same else found["DashboardBody"]}


def _delete_dashboard(resource: Resource) -> None:
    resource.client("cloudwatch").delete_dashboards(DashboardNames=[resource.id])


def _read_topic(resource: Resource) -> dict[str, Any]:
    found = resource.client("sns").get_topic_attributes(TopicArn=resource.id)["Attributes"]
    key = found.get("KmsMasterKeyId")
    return {"kmsMasterKeyId": key} if key else {}


def _update_topic(resource: Resource, new: Values) -> None:
    resource.client("sns").set_topic_attributes(
        TopicArn=resource.id,
        AttributeName="KmsMasterKeyId",
        AttributeValue=new.get("kmsMasterKeyId") or "",
    )


def _delete_topic(resource: Resource) -> None:
    resource.client("sns").delete_topic(TopicArn=resource.id)


def _read_topic_policy(resource: Resource) -> dict[str, Any]:
    found = resource.client("sns").get_topic_attributes(TopicArn=resource.id)
    return {"policy": document(found["Attributes"]["Policy"], resource.state, "policy")}


def _delete_topic_policy(resource: Resource) -> None:
    """Put a default policy back: SNS takes no empty one (sns/topic_policy.go, Delete)."""
    account = resource.id.split(":")[4]
    owner = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": ["SNS:Publish", "SNS:Subscribe", "SNS:Receive"],
        "Resource": resource.id,
        "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
    }
    resource.client("sns").set_topic_attributes(
        TopicArn=resource.id,
        AttributeName="Policy",
        AttributeValue=json.dumps({"Version": "2008-10-17", "Statement": [owner]}),
    )


def _read_subscription(resource: Resource) -> dict[str, Any]:
    found = resource.client("sns").get_subscription_attributes(SubscriptionArn=resource.id)
    return {"endpoint": found["Attributes"]["Endpoint"]}


def _delete_subscription(resource: Resource) -> None:
    resource.client("sns").unsubscribe(SubscriptionArn=resource.id)


ALARM = ResourceType(
    read=_read_alarm,
    delete=_delete_alarm,
    replaced_by=frozenset({"name", "region"}),
    name="name",
    longest_name=255,
    computed=frozenset({"arn"}),
)
DASHBOARD = ResourceType(
    read=_read_dashboard,
    delete=_delete_dashboard,
    replaced_by=frozenset({"dashboardName", "region"}),
)
TOPIC = ResourceType(
    read=_read_topic,
    update=_update_topic,
    delete=_delete_topic,
    replaced_by=frozenset({"name", "region"}),
    name="name",
    longest_name=256,
    computed=frozenset({"arn"}),
)
TOPIC_POLICY = ResourceType(
    read=_read_topic_policy,
    delete=_delete_topic_policy,
    replaced_by=frozenset({"arn", "region"}),
)
SUBSCRIPTION = ResourceType(
    read=_read_subscription,
    update=never,
    delete=_delete_subscription,
    replaced_by=frozenset({"endpoint", "protocol", "region", "topic"}),
    computed=frozenset({"arn"}),
)
