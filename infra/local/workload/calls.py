"""The calls of a writer's steps, and the changes that they make."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from infra.local.data.compare import same
from infra.local.data.items import Item
from infra.local.workload.plan import COUNTER, Write, WriteStep


class CallExecutor:
    """Makes a step's calls and counts the resulting changes."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def run(self, step: WriteStep) -> int:
        """Return the number of changes; a write that leaves an item as it was is none."""
        if step.way == "transaction":
            self._transact(step.writes)
        elif step.way == "batch":
            self._batch(step.writes)
        else:
            one = {"single": self._put_or_delete, "update": self._update, "count": self._add}
            return sum(one[step.way](write) for write in step.writes)
        return sum(write.is_change for write in step.writes)

    def _put_or_delete(self, write: Write) -> bool:
        arguments = {"TableName": self._table, "ReturnValues": "ALL_OLD"}
        if write.after is None:
            answer = self._dynamodb.delete_item(Key=write.key, **arguments)
        else:
            answer = self._dynamodb.put_item(Item=write.after, **arguments)
        # The answer has the old item: another writer or the time to live may have changed it.
        return not same(answer.get("Attributes"), write.after)

    def _update(self, write: Write) -> bool:
        assert write.before is not None and write.after is not None
        self._dynamodb.update_item(
            TableName=self._table, Key=write.key, **update_expression(write.before, write.after)
        )
        return write.is_change

    def _add(self, write: Write) -> bool:
        self._dynamodb.update_item(
            TableName=self._table,
            Key=write.key,
            UpdateExpression="ADD #count :one",
            ExpressionAttributeNames={"#count": COUNTER},
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        return True

    def _transact(self, writes: Sequence[Write]) -> None:
        table = {"TableName": self._table}
        items = [
            {"Delete": {**table, "Key": write.key}}
            if write.after is None
            else {"Put": {**table, "Item": write.after}}
            for write in writes
        ]
        self._dynamodb.transact_write_items(TransactItems=items)

    def _batch(self, writes: Sequence[Write]) -> None:
        write_batch(self._dynamodb, self._table, [_batch_request(write) for write in writes])


def write_batch(dynamodb: Any, table: str, requests: list[dict[str, Any]]) -> None:
    """Repeat BatchWriteItem until nothing is left unprocessed."""
    pause = 0.05
    while requests:
        answer = dynamodb.batch_write_item(RequestItems={table: requests})
        requests = answer.get("UnprocessedItems", {}).get(table, [])
        if requests:
            time.sleep(pause)
            pause = min(2.0, pause * 2)


def update_expression(before: Item, after: Item) -> dict[str, Any]:
    """Return UpdateItem's arguments that turn one item into the other."""
    changed = [name for name in after if name not in before or before[name] != after[name]]
    removed = [name for name in before if name not in after]
    if not changed and not removed:
        changed = list(after)[-1:]  # set to what it is: a call without a change
    names = {f"#{index}": name for index, name in enumerate([*changed, *removed])}
    places = dict(zip(names.values(), names, strict=True))
    clauses = []
    if changed:
        clauses.append(
            "SET " + ", ".join(f"{places[each]} = :{places[each][1:]}" for each in changed)
        )
    if removed:
        clauses.append("REMOVE " + ", ".join(places[each] for each in removed))
    expression = {
        "UpdateExpression": " ".join(clauses),
        "ExpressionAttributeNames": names,
    }
    values = {f":{places[name][1:]}": after[name] for name in changed}
    return expression | ({"ExpressionAttributeValues": values} if values else {})


def _batch_request(write: Write) -> dict[str, Any]:
    if write.after is None:
        return {"DeleteRequest": {"Key": write.key}}
    return {"PutRequest": {"Item": write.after}}
