"""Time to live: DynamoDB's own deletes of expired items, with change records that say so."""

from __future__ import annotations

import logging
import time

from infra.local.emulator.change_capture import EXPIRY_IDENTITY, ChangeCapture
from infra.local.emulator.item_images import Value
from infra.local.emulator.patching import Json, Ministack
from infra.local.emulator.settings import EmulatorSettings

log = logging.getLogger("local.expiry")

# Items that expired longer ago are not deleted (developer guide, howitworks-ttl.html).
FIVE_YEARS = 5 * 365.25 * 86400


def is_expired(value: Value | None, now: float) -> bool:
    """Return whether a time-to-live attribute has passed: epoch seconds, not too long ago."""
    if not value or "N" not in value:
        return False
    return now - FIVE_YEARS < float(value["N"]) <= now


class TtlSweeper:
    """Sweeps the tables that have time to live enabled."""

    def __init__(
        self, ministack: Ministack, capture: ChangeCapture, settings: EmulatorSettings
    ) -> None:
        self._ministack = ministack
        self._capture = capture
        self._interval = settings.expiry_interval

    def run(self) -> None:
        """Sweep periodically, forever."""
        while True:
            time.sleep(self._interval)
            try:
                self.sweep(time.time())
            except Exception:
                log.exception("The sweep for expired items failed and will be repeated")

    def sweep(self, now: float) -> None:
        """Delete the items that have expired by `now` (epoch seconds)."""
        for (account, region, name), setting in list(
            self._ministack.dynamodb._ttl_settings.all_items()
        ):
            table = self._ministack.dynamodb._tables.get_scoped(account, region, name)
            if table is None or setting.get("TimeToLiveStatus") != "ENABLED":
                continue
            with self._ministack.responses.request_scope(account, region):
                self._sweep_table(name, table, setting["AttributeName"], now)

    def _sweep_table(self, name: str, table: Json, attribute: str, now: float) -> None:
        with self._capture.lock:
            partitions = [(pk, list(rows.items())) for pk, rows in table["items"].items()]
        for pk, rows in partitions:
            for sk, item in rows:
                if is_expired(item.get(attribute), now):
                    self._delete(name, table, pk, sk, attribute, now)

    def _delete(self, name: str, table: Json, pk: str, sk: str, attribute: str, now: float) -> None:
        with self._capture.lock:
            item = table["items"].get(pk, {}).get(sk)
            if item is None or not is_expired(item.get(attribute), now):
                return  # it was written again since the sweep looked at it
            self._ministack.dynamodb._remove_item(table, pk, sk)
            self._capture.emit(name, "REMOVE", item, None, identity=EXPIRY_IDENTITY)
