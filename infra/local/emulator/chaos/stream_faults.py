"""DynamoDB streams that are switched off and on again, as by a program that knows nothing of us."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable

from infra.local.emulator.change_capture import CapturedChange, TableStreamWriter
from infra.local.emulator.chaos.rates import Chaos
from infra.local.emulator.patching import Json, Ministack
from infra.local.emulator.table_streams.store import is_on

log = logging.getLogger("local.chaos")

REPEATED = "ResourceInUseException"
PAUSE = 0.1


class ChaosTableStreams:
    """Wraps the real writer, and calls UpdateTable after some of the records."""

    def __init__(
        self,
        chaos: Chaos,
        ministack: Ministack,
        streams: TableStreamWriter,
        count: Callable[[str], None],
    ) -> None:
        self._chaos = chaos
        self._ministack = ministack
        self._streams = streams
        self._count = count
        self._random = chaos.random()

    def append(self, change: CapturedChange, table: Json) -> None:
        """Append the change; the caller holds the write lock: random numbers are drawn in order."""
        self._streams.append(change, table)
        if not is_on(table) or self._random.random() >= self._chaos.stream_off:
            return
        view = table["StreamSpecification"]["StreamViewType"]
        if self._update(change, {"StreamEnabled": False}) is None:
            self._count("StreamOff")
            delay = self._random.uniform(0, self._chaos.delay_seconds)
            again = {"StreamEnabled": True, "StreamViewType": view}
            threading.Thread(
                target=self._later, args=(change, again, delay), name="local-stream-on", daemon=True
            ).start()

    def _later(self, change: CapturedChange, again: Json, delay: float) -> None:
        time.sleep(delay)
        while (refused := self._update(change, again)) is not None:
            if refused != REPEATED:
                log.warning("A stream was not switched on again: %s", refused)
                return
            time.sleep(PAUSE)

    def _update(self, change: CapturedChange, specification: Json) -> str | None:
        """Call UpdateTable in the table's account; return the error's code, None for success."""
        table = change.table
        with self._ministack.responses.request_scope(table.account_id, table.region):
            status, _, body = self._ministack.dynamodb._update_table(
                {"TableName": table.name, "StreamSpecification": specification}
            )
        return None if status == 200 else str(json.loads(body)["__type"]).rpartition("#")[2]
