"""The write units that this program consumes in a target table, noted in the journal by minute.

`resume` subtracts them from the target's write metric. A note that is lost, or of a write whose
answer was lost, leaves units that look like another writer's: `resume` then refuses.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from typing import Any

from bootstrap.aws.calls import Calls, answered_at
from bootstrap.core.errors import BootstrapError

MINUTE = 60


class AwsOwnWrites:
    """`OwnWrites` in the journal table.

    Key `pk` is `own-writes/` and the source table's name, `sk` begins with the minute in epoch
    seconds. No table name has a slash, so no run has this key.
    """

    def __init__(self, calls: Calls, dynamodb: Any, journal: str) -> None:
        self._calls = calls
        self._dynamodb = dynamodb
        self._journal = journal

    def add(self, table: str, answered: float, units: float) -> None:
        """Add write units to the minute of AWS's time in which the write was answered."""
        minute = int(answered // MINUTE * MINUTE)
        # An item of its own, and no sum: the SDK repeats a call whose answer was lost, and units
        # counted twice would hide as many of another writer's.
        item = {
            "pk": {"S": _partition(table)},
            "sk": {"S": f"{_sort(minute)}#{uuid.uuid4().hex}"},
            "units": {"N": f"{units:g}"},
        }
        self._calls(
            "dynamodb",
            self._dynamodb.put_item,
            self._journal,
            TableName=self._journal,
            Item=item,
        )

    def units(self, table: str, since: int) -> float:
        request: dict[str, Any] = {
            "TableName": self._journal,
            "KeyConditionExpression": "#pk = :pk AND #sk >= :since",
            "ExpressionAttributeNames": {"#pk": "pk", "#sk": "sk"},
            "ExpressionAttributeValues": {
                ":pk": {"S": _partition(table)},
                ":since": {"S": _sort(since)},
            },
            "ConsistentRead": True,
        }
        total = 0.0
        while True:
            answer = self._calls("dynamodb", self._dynamodb.query, self._journal, **request)
            total += sum(float(item["units"]["N"]) for item in answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return total
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


class MeteredClient:
    """A DynamoDB client for the guard that notes what its transactions consume in the target."""

    def __init__(self, dynamodb: Any, notes: AwsOwnWrites, *, source: str, target: str) -> None:
        self._dynamodb = dynamodb
        self._notes = notes
        self._source = source
        self._target = target

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dynamodb, name)

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        """Write as the client does, and note the units of the target's items."""
        answer: dict[str, Any] = self._dynamodb.transact_write_items(
            **request, ReturnConsumedCapacity="INDEXES"
        )
        units = sum(
            _write_units(each)
            for each in answer.get("ConsumedCapacity", [])
            if each.get("TableName", "").rsplit("/", 1)[-1] == self._target
        )
        if units:
            # Without the note `resume` refuses, and says why: no reason to fail a write.
            with contextlib.suppress(BootstrapError):
                self._notes.add(self._source, answered_at(answer), units)
        return answer


def _write_units(consumed: Mapping[str, Any]) -> float:
    """Return the table's own write units, as its metric counts them: without its indexes'.

    The answer to a repeated token has the read units of looking the first one up.
    """
    of_table = consumed.get("Table", consumed)
    for each in (of_table, consumed):
        if "WriteCapacityUnits" in each:
            return float(each["WriteCapacityUnits"])
    return 0.0 if "ReadCapacityUnits" in consumed else float(of_table.get("CapacityUnits", 0))


def _partition(table: str) -> str:
    return f"own-writes/{table}"


def _sort(minute: int) -> str:
    return f"{minute:011d}"
