"""One write: its placeholders, its condition against the item of now, and what it would leave."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.fakes import expressions, updates
from tests.support.fakes.tables import INVALID, InvalidItemError, InvalidRequestError, Key, Table
from tests.support.fakes.values import ITEM_LIMIT, Item, item_size, normalised_item


@dataclasses.dataclass(frozen=True)
class Write:
    """A checked write: where it goes, when it may, and what it leaves (None: nothing)."""

    table: Table
    key: Key
    allowed: bool
    old: Item | None
    new: Item | None
    changes: bool
    returns_old: bool
    units: int


PLACEHOLDERS = ("ExpressionAttributeNames", "ExpressionAttributeValues")
_EXPRESSIONS: dict[str, Callable[[str], expressions.Expression]] = {
    "ConditionExpression": expressions.condition,
    "UpdateExpression": updates.update,
    "ProjectionExpression": expressions.projection,
    "KeyConditionExpression": expressions.condition,
    "FilterExpression": expressions.condition,
}


def scope_of(request: Mapping[str, Any]) -> expressions.Scope:
    """The placeholders of a request, all of them defined and all of them used."""
    names = request.get("ExpressionAttributeNames")
    values = request.get("ExpressionAttributeValues")
    used: list[expressions.Expression] = []
    for member, parse in _EXPRESSIONS.items():
        if member in request:
            try:
                used.append(parse(request[member]))
            except expressions.InvalidExpressionError as invalid:
                raise InvalidRequestError(f"Invalid {member}: {invalid}") from None
    used_names = frozenset[str]().union(*(each.names for each in used))
    used_values = frozenset[str]().union(*(each.values for each in used))
    for what, given, wanted in (
        ("Names", names, used_names),
        ("Values", values, used_values),
    ):
        if given and not used:
            raise InvalidRequestError(
                f"ExpressionAttribute{what} can only be specified when using expressions"
            )
        missing = sorted(wanted - (given or {}).keys())
        if missing:
            noun = "name" if what == "Names" else "value"
            raise InvalidRequestError(
                f"Invalid expression: An expression attribute {noun} used in expression is "
                f"not defined; attribute {noun}: {missing[0]}"
            )
        unused = sorted((given or {}).keys() - wanted)
        if unused:
            raise InvalidRequestError(
                f"Value provided in ExpressionAttribute{what} unused in expressions: keys: "
                f"{{{', '.join(unused)}}}"
            )
    return expressions.Scope(names, values)


def checked(table: Table, kind: str, request: Mapping[str, Any]) -> Write:
    """What `request` would do to `table` now. Raises what makes DynamoDB refuse it."""
    scope = scope_of(request)
    item: Item | None = None
    if kind == "Put":
        item = normalised_item(request["Item"])
        key = table.key_of_item(item)
    else:
        key = table.key_of(request["Key"])
    old = table.items.get(key)
    allowed = True
    if "ConditionExpression" in request:
        condition = expressions.condition(request["ConditionExpression"])
        allowed = condition.holds(old or {}, scope)
    if kind == "Update" and allowed:
        before = old if old is not None else normalised_item(request["Key"])
        item = before
        if "UpdateExpression" in request:
            item = updates.update(request["UpdateExpression"]).apply(before, scope)
        if table.key_of_item(item) != key:
            raise InvalidItemError(
                INVALID + "Cannot update attribute. This attribute is part of the key"
            )
    bytes_after = item_size(item) if item is not None else 0
    if bytes_after > ITEM_LIMIT:
        verb = "to update has" if kind == "Update" else "has"
        raise InvalidItemError(f"Item size {verb} exceeded the maximum allowed size")
    bytes_before = item_size(old) if old is not None else 0
    return Write(
        table,
        key,
        allowed,
        old,
        item,
        kind != "ConditionCheck",
        request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD",
        max(1, math.ceil(max(bytes_after, bytes_before) / 1024)),
    )


def store(write: Write) -> None:
    if not write.changes:
        return
    write.table.previous[write.key] = write.old
    if write.new is None:
        write.table.items.pop(write.key, None)
    else:
        write.table.items[write.key] = write.new
