"""Global indexes that take time to be created, where ministack has them at once.

Developer guide, GSI.OnlineOps.html: the table is UPDATING while resources are allocated, then the
index is CREATING and backfills; it cannot be read before it is ACTIVE.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from infra.local.emulator.patching import Json, Ministack, Response
from infra.local.emulator.settings import EmulatorSettings

READY_AT = "_ReadyAt"
"""A member of ministack's own index records: when the index is ACTIVE, in epoch seconds."""


class IndexCreation:
    """Delays the indexes of UpdateTable. Those of CreateTable are there with their table."""

    def __init__(
        self,
        ministack: Ministack,
        settings: EmulatorSettings,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`now` returns epoch seconds."""
        self._ministack = ministack
        self._seconds = settings.index_seconds
        self._now = now
        self._update: Callable[[Json], Response]
        self._describe: Callable[[str], Json]

    def install(self) -> None:
        """Replace ministack's functions, after those that describe more of an index."""
        replace = self._ministack.replace
        self._update = replace("dynamodb", "_update_table", self.update)
        self._describe = replace("dynamodb", "_table_description", self.describe)
        for name in ("_query", "_scan"):
            handler = getattr(self._ministack.dynamodb, name)
            replace("dynamodb", name, self._unless_creating(handler))

    def update(self, data: Json) -> Response:
        """Answer UpdateTable."""
        response = self._update(data)
        made = {
            each["Create"]["IndexName"]
            for each in data.get("GlobalSecondaryIndexUpdates") or ()
            if "Create" in each
        }
        if response[0] != 200 or not made:
            return response
        name = self._ministack.dynamodb._normalize_table_name(data["TableName"])
        for index in self._ministack.dynamodb._tables[name]["GlobalSecondaryIndexes"]:
            if index["IndexName"] in made:
                index[READY_AT] = self._now() + self._seconds
        return self._ministack.ok({"TableDescription": self.describe(name)})

    def describe(self, name: str) -> Json:
        """Describe a table whose new indexes are CREATING."""
        found = dict(self._describe(name))
        indexes = found.get("GlobalSecondaryIndexes") or ()
        if any(READY_AT in each for each in indexes):
            found["GlobalSecondaryIndexes"] = [self._shown(each) for each in indexes]
            if any(self._is_creating(each) for each in indexes):
                found["TableStatus"] = "UPDATING"
        return found

    def _shown(self, index: Json) -> Json:
        shown = {name: value for name, value in index.items() if name != READY_AT}
        if self._is_creating(index):
            shown |= {"IndexStatus": "CREATING", "Backfilling": True}
        return shown

    def _is_creating(self, index: Json) -> bool:
        ready_at: Any = index.get(READY_AT, 0)
        return bool(self._now() < ready_at)

    def _unless_creating(self, handler: Callable[[Json], Response]) -> Callable[[Json], Response]:
        def guarded(data: Json) -> Response:
            dynamodb = self._ministack.dynamodb
            table = dynamodb._tables.get(dynamodb._normalize_table_name(data.get("TableName")))
            for index in (table or {}).get("GlobalSecondaryIndexes") or ():
                if index["IndexName"] == data.get("IndexName") and self._is_creating(index):
                    return self._ministack.error(
                        "ValidationException",
                        f"Cannot read from backfilling global secondary index: "
                        f"{index['IndexName']}",
                    )
            return handler(data)

        return guarded
