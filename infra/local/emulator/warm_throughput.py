"""Warm throughput of tables and indexes, which ministack accepts and forgets.

A table or an index on demand starts with 4,000 writes and 12,000 reads a second, and neither
number can be lowered (developer guide, warm-throughput).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from infra.local.emulator.patching import Json, Ministack, Response

NEW_TABLE_UNITS = {"WriteUnitsPerSecond": 4_000, "ReadUnitsPerSecond": 12_000}
KEPT = "_WarmThroughput"
"""A member of ministack's own table and index records."""


class WarmThroughput:
    """Keeps what UpdateTable and CreateTable ask for, and shows it in DescribeTable."""

    def __init__(self, ministack: Ministack) -> None:
        self._ministack = ministack
        self._update: Callable[[Json], Response]
        self._describe: Callable[[str], Json]

    def install(self) -> None:
        """Replace ministack's handlers."""
        self._update = self._ministack.replace("dynamodb", "_update_table", self.update)
        self._describe = self._ministack.replace("dynamodb", "_table_description", self.describe)

    def update(self, data: Json) -> Response:
        """Answer UpdateTable; refuse less than a table or an index has."""
        table = self._ministack.dynamodb._tables.get(
            self._ministack.dynamodb._normalize_table_name(data.get("TableName"))
        )
        wanted = list(_wanted(table, data)) if table else []
        for holder, units in wanted:
            has = _warmth(holder)
            if any(int(value) < has[kind] for kind, value in units.items()):
                return self._ministack.error(
                    "ValidationException",
                    "One or more parameter values were invalid: Requested WarmThroughput for "
                    "table or index is lower than the current WarmThroughput",
                )
        status, headers, body = self._update(data)
        if status != 200:
            return status, headers, body
        for holder, units in wanted:
            holder[KEPT] = _warmth(holder) | {kind: int(value) for kind, value in units.items()}
        return self._ministack.ok({"TableDescription": self.describe(table["TableName"])})

    def describe(self, name: str) -> Json:
        """Describe a table with the warm throughput of table and indexes."""
        found = dict(self._describe(name))
        table = self._ministack.dynamodb._tables[name]
        found["WarmThroughput"] = _warmth(table) | {"Status": "ACTIVE"}
        if found.get("GlobalSecondaryIndexes"):
            found["GlobalSecondaryIndexes"] = [
                {key: value for key, value in each.items() if key != KEPT}
                | {"WarmThroughput": _warmth(each) | {"Status": "ACTIVE"}}
                for each in found["GlobalSecondaryIndexes"]
            ]
        return found


def _warmth(holder: Json) -> dict[str, int]:
    """Return the units of a table's or an index's record."""
    asked = {
        kind: int(value)
        for kind, value in holder.get("WarmThroughput", {}).items()
        if kind in NEW_TABLE_UNITS
    }
    return {**NEW_TABLE_UNITS, **asked, **holder.get(KEPT, {})}


def _wanted(table: Json, data: Json) -> Iterator[tuple[Json, Json]]:
    """List the records that a request warms, each with what it asks for."""
    if "WarmThroughput" in data:
        yield table, data["WarmThroughput"]
    indexes = {each["IndexName"]: each for each in table.get("GlobalSecondaryIndexes", ())}
    for change in data.get("GlobalSecondaryIndexUpdates", ()):
        update = change.get("Update", {})
        if update.get("IndexName") in indexes and "WarmThroughput" in update:
            yield indexes[update["IndexName"]], update["WarmThroughput"]
