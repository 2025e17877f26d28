"""A log of writes: one line of JSON for each write of an item that took effect, and its instant.

For the witness of a switch, which compares the answers that the application got with what the
tables took. No content is kept; the key is a digest.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.local.data.compare import fingerprint
from infra.local.emulator.item_images import Image, key_of
from infra.local.emulator.patching import Ministack


class WriteLog:
    """Appends to a file; does nothing without one. Writes of DynamoDB itself are not logged.

    A line is written while the write's lock is held, so lines are in the order of the writes. `at`
    is in seconds of the machine's monotonic clock, which all its processes share.
    """

    def __init__(self, ministack: Ministack, file: Path | None) -> None:
        self._ministack = ministack
        self._file = file
        self._emit: Callable[..., None]

    def install(self) -> None:
        """Wrap the emission of change records, which every write of an item reaches."""
        if self._file is not None:
            self._emit = self._ministack.replace("dynamodb", "_emit_stream_event", self.emit)

    def emit(
        self,
        table_name: str,
        event: str,
        old: Image | None,
        new: Image | None,
        *arguments: Any,
        **options: Any,
    ) -> None:
        """Record a write that has just been made; called under the write lock."""
        if options.get("identity") is None:
            self._note(table_name, new or old or {})
        self._emit(table_name, event, old, new, *arguments, **options)

    def _note(self, table_name: str, image: Image) -> None:
        table = self._ministack.dynamodb._tables.get(table_name)
        if table is None or self._file is None:
            return
        line = {
            "at": time.monotonic(),
            "account": self._ministack.responses.get_account_id(),
            "table": table_name,
            "caller": str(self._ministack.iam_evaluator.caller_arn()),
            "key": fingerprint(_with_bytes(key_of(table, image))).hex(),
        }
        with self._file.open("a") as file:
            file.write(json.dumps(line) + "\n")


def _with_bytes(key: Image) -> Image:
    """Return the key as boto3 has it: binary as bytes."""
    return {
        name: {"B": base64.b64decode(value["B"])} if "B" in value else value
        for name, value in key.items()
    }
