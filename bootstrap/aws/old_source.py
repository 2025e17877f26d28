"""The source table after a switch: its time to live and its stream's destination, switched off."""

from __future__ import annotations

from typing import Any

from bootstrap.aws.calls import Calls
from bootstrap.aws.tables import MISSING, Tables
from bootstrap.core.errors import AccountError
from replicator.stream import destinations_in

STOPPED = ("DISABLING", "DISABLED", "ENABLE_FAILED")
"""States of a destination to which no change goes any more, or soon."""
REFUSED = frozenset({"ResourceInUseException", "ValidationException", *MISSING})
"""AWS's answers for a destination that is off, or being switched (API reference,
DisableKinesisStreamingDestination)."""


class AwsOldSource:
    """`OldSource` through the switch role."""

    def __init__(self, calls: Calls, dynamodb: Any) -> None:
        self._calls = calls
        self._dynamodb = dynamodb
        self._tables = Tables(calls, dynamodb)

    def set_expiry(self, table: str, attribute: str, on: bool) -> None:
        self._tables.set_expiry(table, attribute, on)

    def stop_destination(self, table: str, stream_arn: str) -> None:
        try:
            self._calls(
                "dynamodb",
                self._dynamodb.disable_kinesis_streaming_destination,
                table,
                TableName=table,
                StreamArn=stream_arn,
            )
        except AccountError as error:
            # This call may have stopped it, if its answer was lost and the SDK repeated it.
            if error.code not in REFUSED or not self._stopped(table, stream_arn):
                raise

    def _stopped(self, table: str, stream_arn: str) -> bool:
        try:
            answer = self._calls(
                "dynamodb",
                self._dynamodb.describe_kinesis_streaming_destination,
                table,
                TableName=table,
            )
        except AccountError as error:
            if error.code in MISSING:
                return True  # a table that is gone has no changes to send
            raise
        states = {each.stream_arn: each.status for each in destinations_in(answer)}
        return states.get(stream_arn, "DISABLED") in STOPPED
