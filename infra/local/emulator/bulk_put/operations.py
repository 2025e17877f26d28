"""The four calls of bulk put, with AWS's refusals."""

from __future__ import annotations

import itertools
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping

from infra.local.emulator.access import PermissionChecks
from infra.local.emulator.bulk_put.loader import BulkLoader
from infra.local.emulator.bulk_put.operation import CANCELLING, IN_PROGRESS, BulkOperation
from infra.local.emulator.bulk_put.requests import RefusalError, check_request, check_table
from infra.local.emulator.patching import Json, Ministack, Response
from infra.local.emulator.settings import EmulatorSettings

HANDLERS = {
    "StartBulkPutItems": "_start_bulk_put_items",
    "DescribeBulkOperation": "_describe_bulk_operation",
    "ListBulkOperations": "_list_bulk_operations",
    "CancelBulkOperation": "_cancel_bulk_operation",
}
TOKEN_SECONDS = 8 * 3600
LISTED_SECONDS = 90 * 86400
PAGE, LARGEST_PAGE = 10, 25
NEXT_TOKEN = re.compile(r"[0-9a-f]{16}")


class BulkOperations:
    """Starts, shows, lists and cancels operations; they outlive the caller that started them."""

    def __init__(
        self, ministack: Ministack, access: PermissionChecks, settings: EmulatorSettings
    ) -> None:
        self._ministack = ministack
        self._access = access
        self._settings = settings
        self._loader = BulkLoader(ministack, access, settings)
        self._operations: dict[str, BulkOperation] = {}
        self._numbers = itertools.count(1)
        self._handle: Callable[..., Awaitable[Response]]
        self._update: Callable[[Json], Response]

    def install(self) -> None:
        """Add the handlers to ministack, and refuse what AWS refuses while an operation runs."""
        for name, handler in zip(
            HANDLERS.values(), (self.start, self.describe, self.listed, self.cancel), strict=True
        ):
            self._ministack.add("dynamodb", name, self._answering(handler))
        self._handle = self._ministack.replace("dynamodb", "handle_request", self.handle_request)
        self._update = self._ministack.replace("dynamodb", "_update_table", self.update_table)

    async def handle_request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Json
    ) -> Response:
        """Answer a request of DynamoDB."""
        name = HANDLERS.get(headers.get("x-amz-target", "").rpartition(".")[2])
        if name is None:
            return await self._handle(method, path, headers, body, query)
        try:
            data = json.loads(body or b"{}")
        except ValueError:
            return self._ministack.error("SerializationException", "Invalid JSON")
        answer: Response = getattr(self._ministack.dynamodb, name)(data)
        return answer

    # -- operations ------------------------------------------------------------------------------

    def start(self, data: Json) -> Json:
        """Answer StartBulkPutItems; the same token with the same parameters is one operation."""
        check_request(data)
        operation = self._known(data) or self._begin(data)
        return {"BulkOperationDescription": operation.described()}

    def describe(self, data: Json) -> Json:
        """Answer DescribeBulkOperation."""
        return {"BulkOperationDescription": self._found(data).described()}

    def listed(self, data: Json) -> Json:
        """Answer ListBulkOperations, newest first: those of the last 90 days."""
        size, token = data.get("MaxResults") or PAGE, data.get("NextToken")
        if not 1 <= size <= LARGEST_PAGE:
            raise RefusalError("ValidationException", f"MaxResults is {size}, not 1 to 25")
        if token is not None and not NEXT_TOKEN.fullmatch(token):
            raise RefusalError("ValidationException", "NextToken is not one that was handed out")
        oldest = time.time() - LISTED_SECONDS
        older_than = int(token, 16) if token else None
        found = [
            each
            for each in sorted(self._own(), key=lambda each: -each.number)
            if each.started >= oldest and (older_than is None or each.number < older_than)
        ]
        body: Json = {"BulkOperationsSummaryList": [each.summary() for each in found[:size]]}
        if len(found) > size:
            body["NextToken"] = f"{found[size - 1].number:016x}"
        return body

    def cancel(self, data: Json) -> Json:
        """Answer CancelBulkOperation: the operation stops some time later, and may write so long.

        That an operation that has ended is refused, and how, is the local cloud's own.
        """
        operation = self._found(data)
        with operation.lock:
            if operation.status == IN_PROGRESS:
                operation.status = CANCELLING
                operation.stop_at = time.time() + self._settings.bulk_cancel_seconds
            if operation.status != CANCELLING:
                raise RefusalError(
                    "ValidationException",
                    f"The bulk operation is {operation.status} and cannot be cancelled",
                )
        return {"BulkOperationArn": operation.arn, "BulkOperationStatus": CANCELLING}

    def update_table(self, data: Json) -> Response:
        """Answer UpdateTable; refuse a replica for a table that is being loaded
        (BulkPutItems.Considerations).
        """
        name = self._ministack.dynamodb._normalize_table_name(data.get("TableName"))
        adds = any("Create" in each for each in data.get("ReplicaUpdates") or ())
        if adds and any(each.table == name and each.is_running for each in self._own()):
            return self._ministack.error(
                "ResourceInUseException", f"A bulk operation on table {name} is in progress"
            )
        return self._update(data)

    # -- starting --------------------------------------------------------------------------------

    def _known(self, data: Json) -> BulkOperation | None:
        token = data.get("ClientToken")
        if not token:
            return None
        for each in self._own():
            if each.request.get("ClientToken") != token:
                continue
            if time.time() - each.started > TOKEN_SECONDS:
                continue
            if each.request != data:
                raise RefusalError(
                    "IdempotentParameterMismatchException",
                    "The client token is in use for a bulk operation with other parameters",
                )
            return each
        return None

    def _begin(self, data: Json) -> BulkOperation:
        dynamodb, responses = self._ministack.dynamodb, self._ministack.responses
        name = dynamodb._normalize_table_name(data["TableName"])
        table = dynamodb._table_description(name) if name in dynamodb._tables else None
        check_table(table)
        assert table is not None
        running = sum(each.is_running for each in self._own())
        if running >= self._settings.bulk.operations:
            raise RefusalError(
                "LimitExceededException",
                f"Subscriber limit exceeded: {running} bulk operations are running",
            )
        now = time.time()
        operation = BulkOperation(
            number=next(self._numbers),
            arn=f"{table['TableArn']}/bulk-operation/{int(now * 1000):014d}-{uuid.uuid4().hex[:8]}",
            request=data,
            table=name,
            table_id=table["TableId"],
            account=responses.get_account_id(),
            region=responses.get_region(),
            caller=self._access.caller_key(),
            started=round(now, 3),
        )
        self._operations[operation.arn] = operation
        run = self._ministack.concurrency.spawn_background
        run(self._loader.run, operation, thread_name="local-bulk-put")
        return operation

    # -- helpers ---------------------------------------------------------------------------------

    def _own(self) -> list[BulkOperation]:
        """Return the operations of the request's account and Region."""
        responses = self._ministack.responses
        scope = responses.get_account_id(), responses.get_region()
        return [
            each for each in list(self._operations.values()) if (each.account, each.region) == scope
        ]

    def _found(self, data: Json) -> BulkOperation:
        arn = data.get("BulkOperationArn")
        found = next((each for each in self._own() if each.arn == arn), None)
        if found is None:
            raise RefusalError("ResourceNotFoundException", f"Bulk operation not found: {arn}")
        return found

    def _answering(self, handler: Callable[[Json], Json]) -> Callable[[Json], Response]:
        def answering(data: Json) -> Response:
            try:
                return self._ministack.ok(handler(data))
            except RefusalError as refusal:
                return self._ministack.error(*refusal.args)

        return answering
