"""The calls of a writer's steps, and the changes that they make."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from infra.local.data.compare import same
from infra.local.data.items import Item
from infra.local.workload.plan import COUNTER, Write, WriteStep

REFUSED = "AccessDeniedException"
"""The one answer that says for sure that nothing was written, and that SDKs do not retry."""


@dataclass(frozen=True)
class StepOutcome:
    """The writes of a step: how many were acknowledged, which a policy refused, which not sent."""

    writes: int
    changes: int
    """Acknowledged writes that changed something."""
    refused: tuple[Write, ...] = ()
    unsent: tuple[Write, ...] = ()


class CallExecutor:
    """Makes a step's calls and counts the resulting changes.

    A call that fails in another way than by a refusal raises botocore's error: what it wrote is
    not known.
    """

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def run(self, step: WriteStep) -> StepOutcome:
        """Make the calls, up to the first that is refused."""
        if step.way == "transaction":
            return self._transact(step.writes)
        if step.way == "batch":
            return self._batch(step.writes)
        one = {"single": self._put_or_delete, "update": self._update, "count": self._add}
        changes = 0
        for done, write in enumerate(step.writes):
            try:
                changes += one[step.way](write)
            except ClientError as error:
                _raise_unless_refused(error)
                rest = step.writes[done + 1 :]
                return StepOutcome(done, changes, (write,), rest)
        return StepOutcome(len(step.writes), changes)

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

    def _transact(self, writes: tuple[Write, ...]) -> StepOutcome:
        table = {"TableName": self._table}
        items = [
            {"Delete": {**table, "Key": write.key}}
            if write.after is None
            else {"Put": {**table, "Item": write.after}}
            for write in writes
        ]
        try:
            self._dynamodb.transact_write_items(TransactItems=items)
        except ClientError as error:
            _raise_unless_refused(error)
            return StepOutcome(0, 0, writes)
        return _all_done(writes)

    def _batch(self, writes: tuple[Write, ...]) -> StepOutcome:
        requests = [_batch_request(write) for write in writes]
        left = requests
        try:
            for unprocessed in send_batch(self._dynamodb, self._table, requests):
                left = unprocessed
        except ClientError as error:
            _raise_unless_refused(error)
        refused = tuple(write for write, each in zip(writes, requests, strict=True) if each in left)
        done = _all_done(tuple(write for write in writes if write not in refused))
        return replace(done, refused=refused)


def write_batch(dynamodb: Any, table: str, requests: list[dict[str, Any]]) -> None:
    """Repeat BatchWriteItem until nothing is left unprocessed."""
    for _ in send_batch(dynamodb, table, requests):
        pass


def send_batch(
    dynamodb: Any, table: str, requests: list[dict[str, Any]]
) -> Iterator[list[dict[str, Any]]]:
    """Repeat BatchWriteItem; yield what each call has left unprocessed, at last an empty list."""
    pause = 0.05
    while requests:
        answer = dynamodb.batch_write_item(RequestItems={table: requests})
        requests = answer.get("UnprocessedItems", {}).get(table, [])
        yield requests
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


def _all_done(writes: tuple[Write, ...]) -> StepOutcome:
    return StepOutcome(len(writes), sum(write.is_change for write in writes))


def _raise_unless_refused(error: ClientError) -> None:
    if error.response["Error"]["Code"] != REFUSED:
        raise error


def _batch_request(write: Write) -> dict[str, Any]:
    if write.after is None:
        return {"DeleteRequest": {"Key": write.key}}
    return {"PutRequest": {"Item": write.after}}
