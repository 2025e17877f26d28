"""A table that is ready to be switched: made so once, and put back after each case."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

from bootstrap.core.durations import INVOCATION_SECONDS
from replicator.settings import SettingsRow
from tests.crash.emulated_stacks import SWITCH_SCALE, TTL_ATTRIBUTE, Lane

SPREAD_SECONDS = 600 * SWITCH_SCALE + 1.0
"""Until a policy holds for every caller."""

Items = Mapping[str, Mapping[str, Any]]


class SwitchLane:
    """A lane whose table replicates behind the target's Deny, and was verified since."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self._source_arn: str = lane.values["sourceTableArn"]
        self._target_arn: str = lane.target.describe_table(TableName=lane.replica)["Table"][
            "TableArn"
        ]
        self._row = lane.row()
        self._policy: str = lane.target.get_resource_policy(ResourceArn=self._target_arn)["Policy"]

    @classmethod
    def prepare(cls, lane: Lane) -> SwitchLane:
        """Run, wait until the Deny holds for every caller, and verify.

        Raises:
            RuntimeError: a command failed.
        """
        spool = str(lane.write_log.parent / f"{lane.name}-spool")
        for command in (("run",), ("verify", "--spool", spool)):
            ended = lane.run(*command)
            if ended.code != 0:
                raise RuntimeError(f"{command} ended with {ended}")
            time.sleep(SPREAD_SECONDS)
        return cls(lane)

    def state(self) -> str:
        """The table's state in the journal."""
        return str(self.lane.row()["state"]["S"])

    def items(self, *, target: bool) -> Items:
        """All items of one side, by key."""
        lane = self.lane
        dynamodb, name = (lane.target, lane.replica) if target else (lane.source, lane.name)
        pages = dynamodb.get_paginator("scan").paginate(TableName=name, ConsistentRead=True)
        return {item["pk"]["S"]: item for page in pages for item in page["Items"]}

    def restore(self) -> None:
        """A replica again, which was prepared and verified before, whatever a case has left."""
        lane = self.lane
        for dynamodb, arn in ((lane.source, self._source_arn), (lane.target, self._target_arn)):
            with contextlib.suppress(dynamodb.exceptions.PolicyNotFoundException):
                dynamodb.delete_resource_policy(ResourceArn=arn)
        time.sleep(SPREAD_SECONDS)
        settings = lane.settings()
        lane.target.update_item(
            TableName=lane.values["ledgerTable"],
            Key={"k": {"B": b"settings"}},
            UpdateExpression="REMOVE armed, mark, closed, #primary",
            ExpressionAttributeNames={"#primary": "primary"},
        )
        if "closed" in settings and "armed" not in settings:
            self._forget_promotion()
        uuid = lane.mapping
        lane.functions.update_event_source_mapping(UUID=uuid, Enabled=True)
        expiry = {"Enabled": True, "AttributeName": TTL_ATTRIBUTE}
        lane.source.update_time_to_live(TableName=lane.name, TimeToLiveSpecification=expiry)
        self._copy_source()
        lane.target.put_resource_policy(ResourceArn=self._target_arn, Policy=self._policy)
        lane.target.put_item(TableName=lane.journal_table, Item=self._row)
        time.sleep(SPREAD_SECONDS)

    def _forget_promotion(self) -> None:
        """Wait until the consumer knows that the gate is open again; drop what it has held back."""
        lane = self.lane
        uuid, bucket = lane.mapping, lane.values["quarantineBucket"]
        lane.functions.update_event_source_mapping(UUID=uuid, Enabled=False)
        time.sleep(SettingsRow.CACHE_SECONDS + INVOCATION_SECONDS * SWITCH_SCALE)
        for name in lane.objects(bucket, "open/"):
            lane.s3.delete_object(Bucket=bucket, Key=name)

    def _copy_source(self) -> None:
        """Undo what the application wrote into the primary."""
        lane = self.lane
        source, target = self.items(target=False), self.items(target=True)
        for key, item in source.items():
            if target.get(key) != item:
                lane.target.put_item(TableName=lane.replica, Item=item)
        for key in target.keys() - source.keys():
            lane.target.delete_item(TableName=lane.replica, Key={"pk": {"S": key}})
