"""The size limit of a transaction: 4 MB of items, where ministack counts the request's text.

"The aggregate size of the items in the transaction cannot exceed 4 MB": API reference,
TransactWriteItems. In the request binary is a third larger, in base64.
"""

from __future__ import annotations

from collections.abc import Callable

from infra.local.emulator.patching import Json, Ministack, Response

MOST_BYTES = 4 * 1024 * 1024
REQUEST_BYTES = 16 * 1024 * 1024


class Transactions:
    """Measures a transaction by its items: what is put, and the keys of the others."""

    def __init__(self, ministack: Ministack) -> None:
        self._ministack = ministack
        self._write: Callable[[Json], Response]

    def install(self) -> None:
        """Take the place of ministack's limit and handler."""
        self._ministack.replace("dynamodb", "_DDB_TXN_MAX_BYTES", REQUEST_BYTES)
        self._write = self._ministack.replace("dynamodb", "_transact_write_items", self.write)

    def write(self, data: Json) -> Response:
        """TransactWriteItems, refused when its items are too large together."""
        if self._size(data) > MOST_BYTES:
            response: Response = self._ministack.responses.error_response_json(
                "ValidationException",
                "Transaction request exceeds the 4MB transaction size limit",
                400,
            )
            return response
        return self._write(data)

    def _size(self, data: Json) -> int:
        size_of = self._ministack.dynamodb._item_size_bytes
        images = [
            action.get("Item") or action.get("Key") or {}
            for member in data.get("TransactItems") or ()
            if isinstance(member, dict)
            for action in member.values()
            if isinstance(action, dict)
        ]
        return sum(size_of(image) for image in images if isinstance(image, dict))
