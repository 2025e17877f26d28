"""Rows of the ledger table that several containers write, each only over the row that it has read.

They are about the stream, not about a key, so none of them may delay a change for long: a write is
tried a few times, and what cannot be written is left to the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from replicator import aws
from replicator.aws import Failure
from replicator.call_context import CallContext

ATTEMPTS = 3

# Each clause accepts one state of the row, so that a container never undoes what another has just
# written there.
NO_ROW = "attribute_not_exists(k)"
SAME_MEMBER = "#member = :member"


@dataclass(frozen=True)
class SharedRows:
    """Rows by their keys. `dynamodb` needs boto3's methods `get_item`, `put_item` and
    `update_item`."""

    dynamodb: Any
    ledger_table: str

    def get(self, key: bytes, context: CallContext) -> Mapping[str, Any] | None:
        """Return the row, empty where there is none; None if it could not be read."""
        request = {
            "TableName": self.ledger_table,
            "Key": {"k": {"B": key}},
            "ConsistentRead": True,
        }
        answer = aws.call(self.dynamodb.get_item, request)
        if isinstance(answer, Failure):
            context.report_error("GetItem", answer.code, answer.loggable)
            return None
        item: Mapping[str, Any] = answer.get("Item", {})
        return item

    def replace(
        self, known: Mapping[str, Any], item: dict[str, Any], context: CallContext, *, member: str
    ) -> bool:
        """Write a row if it is still absent, or still has this member of the known one."""
        request: dict[str, Any] = {
            "TableName": self.ledger_table,
            "Item": item,
            "ConditionExpression": SAME_MEMBER if known else NO_ROW,
        }
        if known:
            request |= {
                "ExpressionAttributeNames": {"#member": member},
                "ExpressionAttributeValues": {":member": known[member]},
            }
        answer = aws.call(self.dynamodb.put_item, request)
        if not isinstance(answer, Failure):
            return True
        if answer.code != "ConditionalCheckFailedException":
            context.report_error("PutItem", answer.code, answer.loggable)
        return False

    def add(self, key: bytes, member: str, text: str, expiry: int, context: CallContext) -> bool:
        """Add a text to a row's set, whatever others add there; make the row where there is none.

        `expiry`: the row's, in epoch seconds.
        """
        request = {
            "TableName": self.ledger_table,
            "Key": {"k": {"B": key}},
            "UpdateExpression": "SET #expiry = :expiry ADD #member :texts",
            "ExpressionAttributeNames": {"#expiry": "x", "#member": member},
            "ExpressionAttributeValues": {
                ":expiry": {"N": str(expiry)},
                ":texts": {"SS": [text]},
            },
        }
        answer = aws.call(self.dynamodb.update_item, request)
        if isinstance(answer, Failure):
            context.report_error("UpdateItem", answer.code, answer.loggable)
            return False
        return True


def retried(attempt: Callable[[], bool], context: CallContext) -> bool:
    """Return whether one of a few attempts succeeded before the deadline."""
    for failures in range(1, ATTEMPTS + 1):
        if not context.deadline.allows_call():
            return False
        if attempt():
            return True
        if failures < ATTEMPTS and not context.deadline.wait(failures):
            return False
    return False
