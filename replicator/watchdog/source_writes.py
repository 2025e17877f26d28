"""The readings of a source whose target has become the primary: is it still written to?"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from replicator.names import DENY_SID
from replicator.watchdog.aws_readings import Metric, UnreadableError, ask, datapoints
from replicator.watchdog.metric_spans import MINUTE, metric_spans
from replicator.watchdog.readings import SourceWrites

NO_POLICY = "PolicyNotFoundException"


def source_table_arn(role_arn: str, region: str, table: str) -> str:
    """Return the source table's ARN, from that of a role in its account."""
    _, partition, _, _, account, _ = role_arn.split(":", 5)
    return f"arn:{partition}:dynamodb:{region}:{account}:table/{table}"


class SourceWritesReader:
    """The old source. `client` returns a client of its Region, as the observer role."""

    def __init__(self, client: Callable[[str], Any], table: str, table_arn: str) -> None:
        self._client = client
        self._table, self._arn = table, table_arn

    def read(self, since: float, now: float, was_denied: bool) -> SourceWrites:
        """Sum the write units from the first whole minute after `since`, and look for the Deny.

        Raises:
            UnreadableError: the writes cannot be counted.
        """
        begin = math.ceil(since / MINUTE) * MINUTE
        metric = Metric(
            "AWS/DynamoDB", "ConsumedWriteCapacityUnits", {"TableName": self._table}, "Sum"
        )
        cloudwatch = self._client("cloudwatch")
        units = sum(
            value
            for span in metric_spans(begin, now)
            for _, value in datapoints(cloudwatch, metric, *span)
        )
        return SourceWrites(units, begin, self._denied(), was_denied)

    def _denied(self) -> bool | None:
        """Tell whether this project's Deny is in the policy; None: it cannot be read."""
        try:
            answer = ask(self._client("dynamodb").get_resource_policy, ResourceArn=self._arn)
            found = json.loads(answer["Policy"])["Statement"]
        except UnreadableError as error:
            return False if str(error) == NO_POLICY else None
        except (KeyError, TypeError, ValueError):
            return None
        statements = [found] if isinstance(found, dict) else found
        return any(
            str(each.get("Sid", "")).startswith(DENY_SID) and each.get("Effect") == "Deny"
            for each in statements
        )
