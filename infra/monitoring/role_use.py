"""Messages about each use of the switch roles, in the account of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.accounts import Accounts
from infra.monitoring.event_messages import send_events
from infra.monitoring.notifications import Notifications, places
from infra.policies import Text
from infra.stack_config import StackConfig

CHANGES = (
    "PutResourcePolicy",
    "DeleteResourcePolicy",
    "UpdateTimeToLive",
    "DisableKinesisStreamingDestination",
)
"""The calls of a switch role that change a table. CloudTrail logs them without being asked, and a
delete of an item, which the target's role may call too, only where a trail has data events."""
PATHS = {
    "account": "$.detail.userIdentity.accountId",
    "action": "$.detail.eventName",
    "caller": "$.detail.userIdentity.principalId",
    "error": "$.detail.errorCode",
    "time": "$.detail.eventTime",
    "who": "$.detail.userIdentity.arn",
}
"""What the message takes from an event. A caller of another account has an id and no ARN there; a
path that an event lacks leaves its place empty."""


class RoleUse(pulumi.ComponentResource):
    """For each switch role a rule in its account, which sends a text to the alarms' topic.

    It cannot know of attempts: the text says when it is expected.
    """

    def __init__(
        self,
        name: str,
        settings: StackConfig,
        accounts: Accounts,
        notifications: Notifications,
        roles: Mapping[str, aws.iam.Role],
    ) -> None:
        super().__init__("replication:index:RoleUse", name)
        where = places(settings, accounts)
        for side, role in roles.items():
            send_events(
                f"{name}-{side}",
                self,
                where[side],
                notifications,
                side,
                description=f"Each use of the switch role of the {side} account",
                pattern=pattern(role.arn),
                paths=PATHS,
                template=role.arn.apply(partial(message, side)),
            )
        self.register_outputs({})


def pattern(role: Text) -> dict[str, Any]:
    """Return the pattern of the events about a role: its sessions, and what they change."""
    return {
        "detail-type": ["AWS API Call via CloudTrail"],
        "$or": [
            {
                "source": ["aws.sts"],
                "detail": {"eventName": ["AssumeRole"], "requestParameters": {"roleArn": [role]}},
            },
            {
                "source": ["aws.dynamodb"],
                "detail": {
                    "eventName": list(CHANGES),
                    "userIdentity": {"sessionContext": {"sessionIssuer": {"arn": [role]}}},
                },
            },
        ],
    }


def message(side: str, role: str) -> str:
    """Return the template of the text. It is one JSON string, with the names of `PATHS` in it."""
    return json.dumps(
        f"Use of the switch role {role} ({side} account, stack {pulumi.get_stack()}): <action> at "
        "<time>, by <who> (principal <caller> of account <account>). Error, if it failed: "
        "<error>. This is expected during a switch, when a run puts the Deny on other writers, "
        "and when one of them is taken back or finished. At any other time it is not: look at "
        "CloudTrail, and end the role's sessions (docs/deploy.md, The roles of a switch)."
    )
