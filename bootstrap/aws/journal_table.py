"""The journal table on AWS.

Key `pk` is the source table's name; `sk` is `run` for the row that holds lease and state,
and `event#<run id>#<number>` for each event of a run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bootstrap.aws.calls import Calls, answered_at
from bootstrap.core.errors import AccountError, BlockedError
from bootstrap.core.journal_rows import (
    Event,
    Row,
    RowUpdate,
    RowWrite,
    RunFailure,
    WaitReason,
    from_json,
    updated,
)
from bootstrap.core.state import State

RECORD = "record:"

# The states of a table's row in which a process may take the lease:
LEASE_MAY_BE_TAKEN = " OR ".join(
    (
        "attribute_not_exists(#generation)",  # the table has had no run
        "#generation = :seen",  # no process took it since the row was read
    )
)
# The one state in which a run may write: no other process has taken the lease.
LEASE_IS_OURS = "#generation = :generation"

Attributes = dict[str, dict[str, Any]]


class AwsJournal:
    """`Store` through the importer role."""

    def __init__(self, calls: Calls, dynamodb: Any, table: str) -> None:
        self._calls = calls
        self._dynamodb = dynamodb
        self._table = table

    def read(self, table: str) -> tuple[Row | None, float]:
        answer = self._calls(
            "dynamodb",
            self._dynamodb.get_item,
            self._table,
            TableName=self._table,
            Key=_key(table),
            ConsistentRead=True,
        )
        item = answer.get("Item")
        return (None if item is None else _row(item)), answered_at(answer)

    def history(self, table: str, run_id: str) -> Sequence[Event]:
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "#pk = :pk AND begins_with(#sk, :run)",
            "ExpressionAttributeNames": {"#pk": "pk", "#sk": "sk"},
            "ExpressionAttributeValues": {
                ":pk": {"S": table},
                ":run": {"S": f"event#{run_id}#"},
            },
            "ConsistentRead": True,
        }
        events: list[Event] = []
        while True:
            answer = self._calls("dynamodb", self._dynamodb.query, self._table, **request)
            events += [
                Event(float(item["at"]["N"]), _state(item["state"]["S"]), item["text"]["S"])
                for item in answer["Items"]
            ]
            if "LastEvaluatedKey" not in answer:
                return events
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def claim(self, table: str, seen: int, holder: str, expires: float) -> bool:
        return self._update(
            table,
            {"generation": {"N": str(seen + 1)}, "holder": {"S": holder}, "expires": _n(expires)},
            LEASE_MAY_BE_TAKEN,
            {":seen": {"N": str(seen)}},
        )

    def renew(self, table: str, generation: int, expires: float) -> bool:
        held = {":generation": {"N": str(generation)}}
        return self._update(table, {"expires": _n(expires)}, LEASE_IS_OURS, held)

    def release(self, table: str, generation: int) -> bool:
        held = {":generation": {"N": str(generation)}}
        return self._update(table, {"holder": {"S": ""}}, LEASE_IS_OURS, held)

    def write(self, table: str, row: Row, change: RowUpdate, expires: float) -> bool:
        return self.write_all([RowWrite(table, row, change, expires)])

    def write_all(self, writes: Sequence[RowWrite]) -> bool:
        actions = [action for each in writes for action in self._actions(each)]
        try:
            self._calls(
                "dynamodb",
                self._dynamodb.transact_write_items,
                self._table,
                TransactItems=actions,
            )
        except AccountError as error:
            if (
                error.code == "TransactionCanceledException"
                and "ConditionalCheckFailed" in error.what
            ):
                return False
            raise
        return True

    def _actions(self, write: RowWrite) -> list[dict[str, Any]]:
        table, row, change = write.table, write.row, write.change
        update = _expression(
            {"expires": _n(write.expires), **_attributes(updated(row, change))},
            [f"{RECORD}{key}" for key, text in change.records.items() if text is None],
            LEASE_IS_OURS,
            {":generation": {"N": str(row.generation)}},
        )
        for n, key in enumerate(write.unchanged):
            known = row.records.get(key)
            update["ExpressionAttributeNames"][f"#u{n}"] = f"{RECORD}{key}"
            if known is None:
                update["ConditionExpression"] += f" AND attribute_not_exists(#u{n})"
            else:
                update["ConditionExpression"] += f" AND #u{n} = :u{n}"
                update["ExpressionAttributeValues"][f":u{n}"] = {"S": known}
        actions: list[dict[str, Any]] = [
            {"Update": {"TableName": self._table, "Key": _key(table), **update}}
        ]
        if change.event is not None:
            item = _event_item(table, change.run_id or row.run_id, row.events, change.event)
            actions.append({"Put": {"TableName": self._table, "Item": item}})
        return actions

    def _update(
        self, table: str, attributes: Attributes, condition: str, values: Attributes
    ) -> bool:
        try:
            self._calls(
                "dynamodb",
                self._dynamodb.update_item,
                self._table,
                TableName=self._table,
                Key=_key(table),
                **_expression(attributes, [], condition, values),
            )
        except AccountError as error:
            if error.code == "ConditionalCheckFailedException":
                return False
            raise
        return True


def _key(table: str) -> Attributes:
    return {"pk": {"S": table}, "sk": {"S": "run"}}


def _n(value: float) -> dict[str, str]:
    return {"N": f"{value:.3f}"}


def _expression(
    attributes: Attributes, removed: Sequence[str], condition: str, values: Attributes
) -> dict[str, Any]:
    names = {f"#a{n}": name for n, name in enumerate([*attributes, *removed])}
    sets = [f"#a{n} = :a{n}" for n in range(len(attributes))]
    removes = [f"#a{n}" for n in range(len(attributes), len(names))]
    clauses = [f"SET {', '.join(sets)}"] if sets else []
    if removes:
        clauses.append(f"REMOVE {', '.join(removes)}")
    assigned = {f":a{n}": value for n, value in enumerate(attributes.values())}
    return {
        "UpdateExpression": " ".join(clauses),
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {**names, "#generation": "generation"},
        "ExpressionAttributeValues": {**assigned, **values},
    }


def _attributes(row: Row) -> Attributes:
    """Encode a row without its lease, which only `claim`, `renew` and `release` write."""
    return {
        "runId": {"S": row.run_id},
        "state": {"S": row.state},
        "since": _n(row.since),
        "failure": {"S": json.dumps(asdict(row.failure)) if row.failure else ""},
        "waiting": {"S": json.dumps(asdict(row.waiting)) if row.waiting else ""},
        "events": {"N": str(row.events)},
        **{f"{RECORD}{key}": {"S": text} for key, text in row.records.items()},
    }


def _row(item: Mapping[str, Any]) -> Row:
    def text(name: str) -> str:
        value: str = item.get(name, {}).get("S", "")
        return value

    def number(name: str) -> float:
        return float(item.get(name, {}).get("N", 0))

    return Row(
        generation=int(number("generation")),
        holder=text("holder"),
        expires=number("expires"),
        run_id=text("runId"),
        state=_state(text("state") or State.PLANNED),
        since=number("since"),
        failure=from_json(RunFailure, text("failure")) if text("failure") else None,
        waiting=from_json(WaitReason, text("waiting")) if text("waiting") else None,
        events=int(number("events")),
        records={
            name.removeprefix(RECORD): value["S"]
            for name, value in item.items()
            if name.startswith(RECORD)
        },
    )


def _state(text: str) -> State:
    try:
        return State(text)
    except ValueError:
        raise BlockedError(
            f"The journal is in state {text}, which only a newer version of this program knows.",
            fix="use the version that wrote it, or a newer one",
        ) from None


def _event_item(table: str, run_id: str, number: int, event: Event) -> Attributes:
    return {
        "pk": {"S": table},
        "sk": {"S": f"event#{run_id}#{number:08d}"},
        "at": _n(event.at),
        "state": {"S": event.state},
        "text": {"S": event.text},
    }
