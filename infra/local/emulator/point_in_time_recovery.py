"""Point-in-time recovery, and the window of times that can be exported.

LatestRestorableDateTime lies "typically five minutes before the current time" (developer guide,
PointInTimeRecovery); the lag is scaled.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from infra.local.emulator.change_history import ChangeHistory
from infra.local.emulator.patching import Json, Ministack, Response
from infra.local.emulator.replication_metrics import TableOf
from infra.local.emulator.settings import EmulatorSettings


class PointInTimeRecovery:
    """Replaces ministack's continuous backups, whose window always ends now."""

    def __init__(
        self, ministack: Ministack, history: ChangeHistory, settings: EmulatorSettings
    ) -> None:
        self._ministack = ministack
        self._history = history
        self._lag = settings.restorable_lag
        self._delete: Callable[[Json], Response]

    def install(self) -> None:
        """Replace ministack's functions."""
        self._ministack.replace("dynamodb", "_describe_continuous_backups", self.describe)
        self._ministack.replace("dynamodb", "_update_continuous_backups", self.update)
        self._delete = self._ministack.replace("dynamodb", "_delete_table", self.delete_table)

    def delete_table(self, data: Json) -> Response:
        """Answer DeleteTable; forget the history, for a later table of the same name."""
        response = self._delete(data)
        if response[0] == 200:
            name = self._ministack.dynamodb._normalize_table_name(data.get("TableName"))
            self._history.end(self.table_of(name))
        return response

    def window(self, table: TableOf) -> tuple[float, float] | None:
        """Return the earliest and latest restorable time (epoch seconds); None while off."""
        since = self._history.since(table)
        if since is None:
            return None
        earliest = since / 1e6
        return earliest, max(earliest, time.time() - self._lag)

    def update(self, data: Json) -> Response:
        """Answer UpdateContinuousBackups; off and on again resets the window's start."""
        name, refusal = self._table(data)
        if refusal:
            return refusal
        specification = data.get("PointInTimeRecoverySpecification") or {}
        enabled = bool(specification.get("PointInTimeRecoveryEnabled"))
        table = self.table_of(name)
        was_on = self._history.since(table) is not None
        days = specification.get("RecoveryPeriodInDays") or 35
        self._ministack.dynamodb._pitr_settings[name] = {"days": days} if enabled else False
        if enabled and not was_on:
            self._history.begin(table, time.time_ns() // 1000)
        elif was_on and not enabled:
            self._history.end(table)
        return self._answer(name)

    def describe(self, data: Json) -> Response:
        """Answer DescribeContinuousBackups."""
        name, refusal = self._table(data)
        return refusal or self._answer(name)

    def table_of(self, name: str) -> TableOf:
        """Return the table of this name in the current account and Region."""
        responses = self._ministack.responses
        return TableOf(responses.get_account_id(), responses.get_region(), name)

    def _table(self, data: Json) -> tuple[str, Response | None]:
        name = self._ministack.dynamodb._normalize_table_name(data.get("TableName"))
        if name in self._ministack.dynamodb._tables:
            return name, None
        refusal: Response = self._ministack.responses.error_response_json(
            "TableNotFoundException", f"Table not found: {name}", 400
        )
        return name, refusal

    def _answer(self, name: str) -> Response:
        window = self.window(self.table_of(name))
        recovery: Json = {"PointInTimeRecoveryStatus": "ENABLED" if window else "DISABLED"}
        if window:
            recovery["EarliestRestorableDateTime"] = round(window[0], 3)
            recovery["LatestRestorableDateTime"] = round(window[1], 3)
            setting = self._ministack.dynamodb._pitr_settings.get(name)
            recovery["RecoveryPeriodInDays"] = setting["days"]
        body = {
            "ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": recovery,
            }
        }
        return self._ministack.ok(body)
