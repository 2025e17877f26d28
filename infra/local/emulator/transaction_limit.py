"""The size limit of transactions.

"The aggregate size of the items in the transaction cannot exceed 4 MB": API reference,
TransactWriteItems. ministack counts the request's text, where binary is a third larger in base64.
"""

from __future__ import annotations

from collections.abc import Callable

from infra.local.emulator.patching import Json, Ministack, Response

MOST_BYTES = 4 * 1024 * 1024
REQUEST_BYTES = 16 * 1024 * 1024


class TransactionLimit:
    """Measures a transaction by its items."""

    def __init__(self, ministack: Ministack) -> None:
        self._ministack = ministack
        self._write: Callable[[Json], Response]

    def install(self) -> None:
        """Replace ministack's limit and handler."""
        self._ministack.replace("dynamodb", "_DDB_TXN_MAX_BYTES", REQUEST_BYTES)
        self._write = self._ministack.replace("dynamodb", "_transact_write_items", self.write)

    def write(self, data: Json) -> Response:
        """Answer TransactWriteItems; refuse items that are too large together."""
        if self._size(data) > MOST_BYTES:
            return self._ministack.error(
                "ValidationException",
                "Transaction request exceeds the 4MB transaction size limit",
            )
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
