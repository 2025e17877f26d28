"""Messages about bulk puts into a target table that others start."""

from __future__ import annotations

import json
from typing import Any

import pulumi

from infra.accounts import Accounts
from infra.monitoring.event_messages import send_events
from infra.monitoring.notifications import Notifications, places
from infra.policies import Text
from infra.stack_config import StackConfig

START = "StartBulkPutItems"
PATHS = {
    "account": "$.detail.userIdentity.accountId",
    "caller": "$.detail.userIdentity.principalId",
    "error": "$.detail.errorCode",
    "table": "$.detail.requestParameters.tableArn",
    "time": "$.detail.eventTime",
    "who": "$.detail.userIdentity.arn",
}
"""What the message takes from an event; a path that an event lacks leaves its place empty."""


def declare_other_bulk_puts(
    settings: StackConfig,
    accounts: Accounts,
    notifications: Notifications,
    importer: pulumi.Output[str],
) -> None:
    """Declare a rule for each table that a bulk put loads."""
    for table in settings.tables:
        if table.load.is_bulk:
            name = f"{table.prefix}-bulk-puts"
            OtherBulkPuts(name, table.target, settings, accounts, notifications, importer)


class OtherBulkPuts(pulumi.ComponentResource):
    """A rule in the target's account and Region, which sends a text to the alarms' topic there.

    Such a put replaces what the consumer has applied, and the watchdog does not see it: the SDK of
    its runtime need not know bulk operations.
    """

    def __init__(
        self,
        name: str,
        table: str,
        settings: StackConfig,
        accounts: Accounts,
        notifications: Notifications,
        importer: pulumi.Output[str],
    ) -> None:
        super().__init__("replication:index:OtherBulkPuts", name)
        send_events(
            name,
            self,
            places(settings, accounts)["target"],
            notifications,
            "target",
            description=f"Bulk puts into {table} that others start",
            pattern=pattern(table, settings.target.table_arn(table), importer),
            paths=PATHS,
            template=message(table),
        )
        self.register_outputs({})


def pattern(table: str, table_arn: str, importer: Text) -> dict[str, Any]:
    """Return the pattern of the events: a start by anyone but the importer's role.

    A request may have the table's name or its ARN. AWS documents no event of bulk puts: one without
    a member `tableArn` counts as well, rather than that a start is missed. A caller without a role,
    such as a user, has no `sessionIssuer`, which `anything-but` alone would not match.
    """
    return {
        "source": ["aws.dynamodb"],
        "detail-type": ["AWS API Call via CloudTrail"],
        "detail": {
            "eventName": [START],
            "requestParameters": {"tableArn": [table, table_arn, {"exists": False}]},
            "userIdentity": {
                "sessionContext": {
                    "sessionIssuer": {"arn": [{"anything-but": [importer]}, {"exists": False}]}
                }
            },
        },
    }


def message(table: str) -> str:
    """Return the template of the text. It is one JSON string, with the names of `PATHS` in it."""
    return json.dumps(
        f"CRITICAL. A bulk put into the target table {table} (<table>, stack "
        f"{pulumi.get_stack()}) was "
        "started at <time>, by <who> (principal <caller> of account <account>), and not by this "
        "stack. Error, if it was refused: <error>. Its puts have no condition: they replace newer "
        "items. First: have it cancelled, and look at status (docs/operate.md, Another bulk "
        "operation writes to the target)."
    )
