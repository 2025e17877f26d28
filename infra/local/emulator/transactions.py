"""Transactions: their size limit, and what the repetition of a token is compared with.

"The aggregate size of the items in the transaction cannot exceed 4 MB": API reference,
TransactWriteItems. ministack counts the request's text, where binary is a third larger in base64.
It also rewrites the numbers of a request in place (1.50 becomes 1.5) before it keeps the request
for its token, so that the same request made again would count as another.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from infra.local.emulator.patching import Json, Ministack, Response

MOST_BYTES = 4 * 1024 * 1024
REQUEST_BYTES = 16 * 1024 * 1024


class Transactions:
    """Measures a transaction by its items, and keeps it for its token as it was asked."""

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
        token = data.get("ClientRequestToken")
        if not token:
            return self._write(data)
        asked = copy.deepcopy(data)
        del asked["ClientRequestToken"]
        answer = self._write(data)
        done = self._ministack.dynamodb._txn_token_lookup(token)
        if done is not None and answer[0] == 200:
            done["signature"] = self._by_name(asked)
        return answer

    def _by_name(self, request: Json) -> Json:
        """With the names of its tables in place of their ARNs, as ministack compares it."""
        name_of = self._ministack.dynamodb._normalize_table_name
        for member in request["TransactItems"]:
            for action in member.values():
                action["TableName"] = name_of(action["TableName"])
        return request

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
