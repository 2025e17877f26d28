"""Corrections of ministack's secondary indexes: AWS's limits, and attributes not projected.

Developer guide, LSI.html and GSI.html: a local index reads from the table what it does not hold, a
global one cannot. Constraints: 5 local and 20 global indexes a table; a local index has the table's
partition key and one sort key, a global one up to four attributes of each kind. 400 KB hold an item
and its entries in all local indexes.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable
from typing import Any

from infra.local.emulator.patching import Json, Ministack, Response

MOST_LOCAL, MOST_GLOBAL = 5, 20
MOST_ATTRIBUTES = 4
"""Of each kind, in a global index's key."""
LARGEST = 400 * 1024

_from_table: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "local_from_table", default=False
)
"""Whether the read in hand takes whole items, through a local index."""


class LocalIndexes:
    """Corrects CreateTable, UpdateTable's new indexes, Query, Scan, and the check of a write."""

    def __init__(self, ministack: Ministack) -> None:
        self._ministack = ministack
        self._create: Callable[[Json], Response]
        self._update: Callable[[Json], Response]
        self._project: Callable[[Json, Json, str | None], Json]
        self._reason: Callable[[Json, Json], str | None]

    def install(self) -> None:
        """Replace ministack's functions."""
        replace = self._ministack.replace
        self._create = replace("dynamodb", "_create_table", self.create)
        self._update = replace("dynamodb", "_update_table", self.update)
        self._project = replace("dynamodb", "_apply_index_projection", self.project)
        self._reason = replace("dynamodb", "_index_key_type_reason", self.write_fault)
        for name in ("_query", "_scan"):
            handler = getattr(self._ministack.dynamodb, name)
            replace("dynamodb", name, self._reading(handler))

    def create(self, data: Json) -> Response:
        """Answer CreateTable; refuse indexes over AWS's limits."""
        local = data.get("LocalSecondaryIndexes") or ()
        fault = local_fault(local) or global_fault(data.get("GlobalSecondaryIndexes") or ())
        return self._refused(fault) if fault else self._create(data)

    def update(self, data: Json) -> Response:
        """Answer UpdateTable; refuse a new global index over AWS's limits."""
        updates = data.get("GlobalSecondaryIndexUpdates") or ()
        fault = global_fault([each["Create"] for each in updates if "Create" in each])
        return self._refused(fault) if fault else self._update(data)

    def project(self, item: Json, table: Json, index_name: str | None) -> Json:
        """Return what a read through an index shows of an item."""
        return item if _from_table.get() else self._project(item, table, index_name)

    def write_fault(self, table: Json, item: Json) -> str | None:
        """Return why an item may not be written, if its indexes forbid it."""
        fault = self._reason(table, item)
        if fault or not table.get("LocalSecondaryIndexes"):
            return fault
        dynamodb = self._ministack.dynamodb
        views = (
            dynamodb._index_write_view(table, index, item)
            for index in table["LocalSecondaryIndexes"]
        )
        sizes = [dynamodb._item_size_bytes(view[1]) for view in views if view is not None]
        if dynamodb._item_size_bytes(item) + sum(sizes) > LARGEST:
            return "Item size has exceeded the maximum allowed size, with its local index entries"
        return None

    def _reading(self, handler: Callable[[Json], Response]) -> Callable[[Json], Response]:
        def reading(data: Json) -> Response:
            dynamodb = self._ministack.dynamodb
            table = dynamodb._tables.get(dynamodb._normalize_table_name(data.get("TableName")))
            name = data.get("IndexName")
            if table is None or name is None:
                return handler(data)
            index = _named(table.get("GlobalSecondaryIndexes"), name)
            if index is not None:
                fault = self._global_read_fault(table, index, data)
                return self._refused(fault) if fault else handler(data)
            whole = data.get("Select") == "ALL_ATTRIBUTES" or bool(
                data.get("ProjectionExpression") or data.get("AttributesToGet")
            )
            token = _from_table.set(whole)
            try:
                return handler(data)
            finally:
                _from_table.reset(token)

        return reading

    def _global_read_fault(self, table: Json, index: Json, data: Json) -> str | None:
        """Return why a global index cannot answer: it holds what it projects, and no more."""
        projection = index.get("Projection") or {}
        name = index["IndexName"]
        if projection.get("ProjectionType", "ALL") == "ALL":
            return None
        if data.get("Select") == "ALL_ATTRIBUTES":
            return (
                "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not "
                f"supported for global secondary index {name} because its projection type is not "
                "ALL"
            )
        names = data.get("ExpressionAttributeNames") or {}
        parse = self._ministack.dynamodb._parse_projection_path
        expression = filter(str.strip, (data.get("ProjectionExpression") or "").split(","))
        asked = {parse(path, names)[0][1] for path in expression}
        keys = {each["AttributeName"] for each in (*table["KeySchema"], *index["KeySchema"])}
        held = keys | set(projection.get("NonKeyAttributes") or ())
        missing = sorted((asked | set(data.get("AttributesToGet") or ())) - held)
        if missing:
            return (
                f"One or more parameter values were invalid: Global secondary index {name} does "
                f"not project [{', '.join(missing)}]"
            )
        return None

    def _refused(self, fault: str) -> Response:
        return self._ministack.error("ValidationException", fault)


def local_fault(indexes: Iterable[Json]) -> str | None:
    """Return what is wrong with the local indexes of a new table, if anything."""
    indexes = list(indexes)
    if len(indexes) > MOST_LOCAL:
        return f"{_INVALID}Number of LocalSecondaryIndexes exceeds per-table limit of {MOST_LOCAL}"
    for index in indexes:
        kinds = [each.get("KeyType") for each in index.get("KeySchema") or ()]
        if kinds != ["HASH", "RANGE"]:
            return f"{_INVALID}Index KeySchema does not have a range key for index: {_name(index)}"
    return None


def global_fault(indexes: Iterable[Json]) -> str | None:
    """Return what is wrong with new global indexes, if anything."""
    indexes = list(indexes)
    if len(indexes) > MOST_GLOBAL:
        return f"{_INVALID}GlobalSecondaryIndex count exceeds the per-table limit of {MOST_GLOBAL}"
    for index in indexes:
        kinds = [each.get("KeyType") for each in index.get("KeySchema") or ()]
        if kinds[:1] != ["HASH"] or kinds != sorted(kinds):
            return f"{_INVALID}The KeySchema of index {_name(index)} does not begin with HASH"
        if max(kinds.count("HASH"), kinds.count("RANGE")) > MOST_ATTRIBUTES:
            return (
                f"{_INVALID}The KeySchema of index {_name(index)} has more than {MOST_ATTRIBUTES} "
                "HASH or RANGE attributes"
            )
    return None


_INVALID = "One or more parameter values were invalid: "


def _name(index: Json) -> Any:
    return index.get("IndexName")


def _named(indexes: Iterable[Json] | None, name: str) -> Json | None:
    return next((each for each in indexes or () if each["IndexName"] == name), None)
