"""Calls to another account's table by its ARN, where the table's policy allows them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from infra.local.emulator.patching import Json, Ministack, Response
from infra.local.emulator.table_policies.actions import ACROSS_ACCOUNTS


class OwnersAccount:
    """Runs a call in the account of the table that it names. The dispatcher has allowed it."""

    def __init__(self, ministack: Ministack) -> None:
        self._ministack = ministack
        self._handle: Callable[..., Awaitable[Response]]

    def install(self) -> None:
        """Replace ministack's function."""
        self._handle = self._ministack.replace("dynamodb", "handle_request", self.handle_request)

    async def handle_request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Json
    ) -> Response:
        """Answer a request of DynamoDB."""
        responses = self._ministack.responses
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        own = responses.get_account_id()
        owners = owners_of(body, own) if f"dynamodb:{action}" in ACROSS_ACCOUNTS else {own}
        if owners <= {own}:
            return await self._handle(method, path, headers, body, query)
        if len(owners) > 1:
            return self._ministack.error(
                "ValidationException",
                "The local cloud takes the tables of one account only in one call. "
                "Try: a call for each account",
            )
        with responses.request_scope(owners.pop(), responses.get_region()):
            return await self._handle(method, path, headers, body, query)


def owners_of(body: bytes, own: str) -> set[str]:
    """Return the accounts of a request's tables: those of their ARNs, `own` for plain names."""
    if b"arn:" not in body:
        return {own}
    try:
        data = json.loads(body)
    except ValueError:
        return {own}
    names: list[Any] = [data.get("TableName"), *(data.get("RequestItems") or ())]
    for member in data.get("TransactItems") or ():
        names += [action.get("TableName") for action in member.values()]
    parts = [name.split(":") for name in names if isinstance(name, str)]
    return {each[4] if len(each) == 6 and each[2] == "dynamodb" else own for each in parts}
