"""A rule of EventBridge that sends a text to the alarms' topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.monitoring.notifications import AlarmPlace, Notifications

STATE = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
"""A rule that is merely enabled never sees a call that CloudTrail counts as read-only, such as
`AssumeRole` (API reference, EventBridge, PutRule)."""


def send_events(
    name: str,
    parent: pulumi.Resource,
    place: AlarmPlace,
    notifications: Notifications,
    topic_of: str,
    *,
    description: str,
    pattern: Mapping[str, Any],
    paths: Mapping[str, str],
    template: pulumi.Input[str],
) -> None:
    """Declare the rule and its target, the topic of `topic_of`, which the rule may publish to.

    `paths` and `template`: the text, and what it takes from an event.
    """
    opts = pulumi.ResourceOptions(parent=parent, provider=place.provider)
    allowed = list(notifications.let_rules_publish(topic_of))
    rule = aws.cloudwatch.EventRule(
        name,
        region=place.region,
        description=description,
        event_pattern=pulumi.Output.json_dumps(pattern),
        state=STATE,
        opts=opts,
    )
    aws.cloudwatch.EventTarget(
        f"{name}-message",
        region=place.region,
        rule=rule.name,
        arn=notifications.topics[topic_of],
        input_transformer=aws.cloudwatch.EventTargetInputTransformerArgs(
            input_paths=dict(paths), input_template=template
        ),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=allowed)),
    )
