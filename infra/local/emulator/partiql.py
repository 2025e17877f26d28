"""PartiQL writes, which ministack makes without change records."""

from __future__ import annotations

from collections.abc import Callable

from infra.local.emulator.change_capture import ChangeCapture
from infra.local.emulator.item_images import Image
from infra.local.emulator.patching import Json, Ministack, Response

STATEMENTS = ("_execute_statement", "_execute_transaction")
"""BatchExecuteStatement runs its statements by the first of these, one by one."""


class PartiQLWrites:
    """Emits a statement's changes once it has succeeded; a transaction may roll back."""

    def __init__(self, ministack: Ministack, capture: ChangeCapture) -> None:
        self._ministack = ministack
        self._capture = capture
        self._stored: list[tuple[Json, Image | None, Image | None]] | None = None
        self._set: Callable[..., Image | None] = lambda *args: None
        self._remove: Callable[..., Image | None] = lambda *args: None

    def install(self) -> None:
        """Replace ministack's functions, outside the write lock of `ChangeCapture`."""
        replace = self._ministack.replace
        self._set = replace("dynamodb", "_set_item", self.set_item)
        self._remove = replace("dynamodb", "_remove_item", self.remove_item)
        for name in STATEMENTS:
            replace("dynamodb", name, self._recorded(getattr(self._ministack.dynamodb, name)))

    def set_item(self, table: Json, pk: str, sk: str, item: Image) -> Image | None:
        """Store an item; record it while a statement runs. The caller holds the write lock."""
        old = self._set(table, pk, sk, item)
        if self._stored is not None:
            self._stored.append((table, old, item))
        return old

    def remove_item(self, table: Json, pk: str, sk: str) -> Image | None:
        """Remove an item; record it while a statement runs. The caller holds the write lock."""
        old = self._remove(table, pk, sk)
        if self._stored is not None and old is not None:
            self._stored.append((table, old, None))
        return old

    def _recorded(self, handler: Callable[[Json], Response]) -> Callable[[Json], Response]:
        def recorded(data: Json) -> Response:
            with self._capture.lock:
                self._stored = []
                try:
                    response = handler(data)
                    stored = self._stored
                finally:
                    self._stored = None
                if response[0] == 200:
                    for table, old, new in stored:
                        event = "REMOVE" if new is None else "MODIFY" if old else "INSERT"
                        name = table["TableArn"].rpartition("/")[2]
                        self._capture.emit(name, event, old, new)
                return response

        return recorded
