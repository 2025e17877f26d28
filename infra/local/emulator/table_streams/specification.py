"""StreamSpecification: streams switched on and off by CreateTable, UpdateTable and DeleteTable.

Developer guide, Streams.html ("Enabling a stream"); API reference, UpdateTable. A table is UPDATING
while its stream is ENABLING or DISABLING. Of a change made meanwhile AWS says nothing: here it is
in no stream, so that code which does not wait for ENABLED is found out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from infra.local.emulator.patching import Json, Ministack, Response
from infra.local.emulator.refusals import RefusedError, answering
from infra.local.emulator.table_streams.records import VIEWS
from infra.local.emulator.table_streams.store import TableStreams, is_on

INVALID = "One or more parameter values were invalid: "
UNTIL = "_StreamUpdatingUntil"
"""A member of ministack's own table record: when its table is ACTIVE again (epoch seconds)."""


class StreamSpecifications:
    """Replaces what ministack makes of StreamSpecification."""

    def __init__(self, ministack: Ministack, streams: TableStreams) -> None:
        self._ministack = ministack
        self._streams = streams
        self._create: Callable[[Json], Response]
        self._update: Callable[[Json], Response]
        self._describe: Callable[[str], Json]

    def install(self) -> None:
        """Replace ministack's functions."""
        replace = self._ministack.replace
        self._create = replace("dynamodb", "_create_table", answering(self._ministack, self.create))
        self._update = replace("dynamodb", "_update_table", answering(self._ministack, self.update))
        self._describe = replace("dynamodb", "_table_description", self.describe)
        replace("dynamodb", "drop_stream_records", self.drop)

    def create(self, data: Json) -> Response:
        """Answer CreateTable. The stream of a new table is on as soon as the table is there."""
        wanted = data.get("StreamSpecification")
        if wanted is not None:
            _check(wanted)
            if not wanted["StreamEnabled"]:
                data = {key: value for key, value in data.items() if key != "StreamSpecification"}
        return self._create(data)

    def update(self, data: Json) -> Response:
        """Answer UpdateTable: on, as a new stream without a policy, or off."""
        name = self._ministack.dynamodb._normalize_table_name(data.get("TableName"))
        table = self._ministack.dynamodb._tables.get(name)
        if table is not None and self._is_updating(table):
            raise RefusedError(
                "ResourceInUseException",
                "Attempt to change a resource which is still in use: "
                f"Table is being updated: {name}",
            )
        wanted = data.get("StreamSpecification")
        if table is None or wanted is None:
            return self._update(data)
        _check(wanted)
        if is_on(table) == wanted["StreamEnabled"]:
            state = "an enabled" if wanted["StreamEnabled"] else "a disabled"
            raise RefusedError(
                "ValidationException", f"Table already has {state} stream: TableName: {name}"
            )
        response = self._update(data)
        if response[0] != 200:
            return response
        if wanted["StreamEnabled"]:
            self._streams.enable(table)
        table[UNTIL] = self._streams.now() + self._streams.transition
        described = self._ministack.dynamodb._table_description(name)
        # The answer to the call shows what was asked for; DescribeTable, only a stream that is on.
        return self._ministack.ok({"TableDescription": described | {"StreamSpecification": wanted}})

    def describe(self, name: str) -> Json:
        """Describe a table. LatestStreamArn stays when its stream is off."""
        found = dict(self._describe(name))
        table = self._ministack.dynamodb._tables[name]
        if not is_on(table):
            found.pop("StreamSpecification", None)
        for member in ("LatestStreamLabel", "LatestStreamArn"):
            if table.get(member):
                found[member] = table[member]
        if self._is_updating(table) and found["TableStatus"] == "ACTIVE":
            found["TableStatus"] = "UPDATING"
        return found

    def drop(self, table_name: str, table: Json | None = None) -> None:
        """Close a table's stream: ministack calls this when it is switched off, or its table goes.

        The stream "continues to be readable for 24 hours".
        """
        self._streams.disable(table)

    def _is_updating(self, table: Json) -> bool:
        return bool(self._streams.now() < table.get(UNTIL, 0.0))


def _check(wanted: Any) -> None:
    """Refuse a specification that no table could have."""
    enabled, view = wanted.get("StreamEnabled"), wanted.get("StreamViewType")
    if enabled is None:
        raise RefusedError("ValidationException", f"{INVALID}StreamEnabled is required")
    if enabled and view not in VIEWS:
        raise RefusedError(
            "ValidationException",
            f"{INVALID}StreamViewType is {view!r}, but with StreamEnabled it is one of "
            f"[{', '.join(VIEWS)}]",
        )
    if not enabled and view is not None:
        raise RefusedError(
            "ValidationException",
            f"{INVALID}Table is being created with a stream disabled, "
            "UpdateViewType should not be specified",
        )
