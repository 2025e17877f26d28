"""DynamoDB in memory, with the real semantics of conditions and transactions.

The methods take and give what boto3's low-level client takes and gives, and raise what it raises.
One instance is one account and Region. A call is atomic; what happens between two calls is the
business of their scheduler. Facts: the DynamoDB API reference and developer guide; where
they are silent, captures from AWS in public conformance suites (a key of a wrong type cancels a
transaction, an empty key refuses the whole request).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from botocore.exceptions import ClientError

from tests.support.fakes import expressions
from tests.support.fakes.errors import EXCEPTIONS, REASON_MESSAGES, Call, Faults, client_error
from tests.support.fakes.requests import Paginator, check_shape
from tests.support.fakes.tables import Index, InvalidItemError, InvalidRequestError, Key, Table
from tests.support.fakes.values import InvalidValueError, Item, item_size, normalised_item, order
from tests.support.fakes.writes import PLACEHOLDERS, Write, checked, scope_of, store

TRANSACTION_ACTIONS = 100
TRANSACTION_BYTES = 4 * 1024 * 1024
TOKEN_SECONDS = 600
BATCH_KEYS = 100
BATCH_BYTES = 16 * 1024 * 1024
PAGE_BYTES = 1024 * 1024


class FakeDynamoDB:
    """One account's DynamoDB in one Region.

    `now` gives epoch seconds; `faults` sees every call. `check_shapes` holds each request against
    botocore's model, as boto3 does (0.1 ms and more a call: a simulation turns it off).
    `transaction_validation` says how a transaction refuses an item of a wrong type: "reason" is
    what AWS does; "request" (ValidationException) is what some emulators do.
    """

    exceptions = EXCEPTIONS

    def __init__(
        self,
        now: Callable[[], float],
        *,
        faults: Faults | None = None,
        account_id: str = "222222222222",
        region: str = "eu-west-1",
        check_shapes: bool = True,
    ) -> None:
        self.now = now
        self.faults = faults or Faults()
        self.account_id = account_id
        self.region = region
        self.check_shapes = check_shapes
        self.transaction_validation: Literal["reason", "request"] = "reason"
        self.tables: dict[str, Table] = {}
        self.calls = 0
        #: Told of each item that changes: table, item before, item after.
        self.watchers: list[Callable[[str, Item | None, Item | None], None]] = []
        self._tokens: dict[str, tuple[float, Any]] = {}
        self.lock = threading.RLock()

    # Tables ---------------------------------------------------------------------------------

    def create_table(self, **request: Any) -> dict[str, Any]:
        return self._call("CreateTable", request, self._create_table)

    def describe_table(self, **request: Any) -> dict[str, Any]:
        return self._call(
            "DescribeTable", request, lambda: {"Table": self._table(request).description}
        )

    def delete_table(self, **request: Any) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            table = self._table(request)
            return {"TableDescription": self.tables.pop(table.name).description}

        return self._call("DeleteTable", request, work)

    def update_time_to_live(self, **request: Any) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            settings = request["TimeToLiveSpecification"]
            enabled = settings["Enabled"]
            self._table(request).ttl_attribute = settings["AttributeName"] if enabled else None
            return {"TimeToLiveSpecification": dict(settings)}

        return self._call("UpdateTimeToLive", request, work)

    def describe_time_to_live(self, **request: Any) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            attribute = self._table(request).ttl_attribute
            if attribute is None:
                return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
            return {
                "TimeToLiveDescription": {
                    "TimeToLiveStatus": "ENABLED",
                    "AttributeName": attribute,
                }
            }

        return self._call("DescribeTimeToLive", request, work)

    def expire(self) -> int:
        """What DynamoDB's own sweep does some time after expiry: delete expired items. How many?"""
        expired = 0
        for table in self.tables.values():
            attribute = table.ttl_attribute
            if attribute is None:
                continue
            for key, item in list(table.items.items()):
                moment = item.get(attribute, {}).get("N")
                if moment is not None and math.floor(float(moment)) < self.now():
                    del table.items[key]
                    expired += 1
        return expired

    # Single items ---------------------------------------------------------------------------

    def get_item(self, **request: Any) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            table = self._table(request)
            key = table.key_of(request["Key"])
            item = self._seen(table, key, request)
            project = self._projection(request)
            return {} if item is None else {"Item": project(item)}

        return self._call("GetItem", request, work)

    def put_item(self, **request: Any) -> dict[str, Any]:
        return self._call("PutItem", request, lambda: self._single("Put", "PutItem", request))

    def delete_item(self, **request: Any) -> dict[str, Any]:
        return self._call(
            "DeleteItem", request, lambda: self._single("Delete", "DeleteItem", request)
        )

    def update_item(self, **request: Any) -> dict[str, Any]:
        return self._call(
            "UpdateItem", request, lambda: self._single("Update", "UpdateItem", request)
        )

    # Several items --------------------------------------------------------------------------

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        return self._call("BatchGetItem", request, lambda: self._batch_get_item(request))

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        return self._call(
            "TransactWriteItems", request, lambda: self._transact_write_items(request)
        )

    def scan(self, **request: Any) -> dict[str, Any]:
        return self._call("Scan", request, lambda: self._page(request, lambda item: True))

    def query(self, **request: Any) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            scope = scope_of(request)
            wanted = expressions.condition(request["KeyConditionExpression"])
            return self._page(request, lambda item: wanted.holds(item, scope))

        return self._call("Query", request, work)

    def get_paginator(self, operation: str) -> Paginator:
        return Paginator(getattr(self, operation))

    # How a call is made ---------------------------------------------------------------------

    def _call(
        self, operation: str, request: Mapping[str, Any], work: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        if self.check_shapes:
            check_shape("dynamodb", operation, request)
        self.calls += 1
        call = Call("dynamodb", operation, request, self.calls)
        self._current = call
        self.faults.before(call)
        error: ClientError | None = None
        response: dict[str, Any] = {}
        with self.lock:
            self._current = call
            try:
                response = work()
            except ClientError as refusal:
                error = refusal
            except (InvalidRequestError, InvalidItemError, InvalidValueError) as invalid:
                error = client_error(operation, "ValidationException", str(invalid))
            except expressions.InvalidExpressionError as invalid:
                error = client_error(
                    operation, "ValidationException", f"Invalid Expression: {invalid}"
                )
        self.faults.after(call)
        if error is not None:
            raise error
        response["ResponseMetadata"] = {
            "RequestId": f"FAKE-{call.number}",
            "HTTPStatusCode": 200,
            "HTTPHeaders": {},
            "RetryAttempts": 0,
        }
        return response

    def _create_table(self) -> dict[str, Any]:
        request = self._current.request
        name = request["TableName"]
        if name in self.tables:
            raise client_error(
                "CreateTable", "ResourceInUseException", f"Table already exists: {name}"
            )
        types = {
            each["AttributeName"]: each["AttributeType"] for each in request["AttributeDefinitions"]
        }

        def key_types(schema: Sequence[Mapping[str, str]]) -> dict[str, str]:
            return {each["AttributeName"]: types[each["AttributeName"]] for each in schema}

        indexes = [
            *request.get("GlobalSecondaryIndexes", ()),
            *request.get("LocalSecondaryIndexes", ()),
        ]
        description = {
            **request,
            "TableStatus": "ACTIVE",
            "TableArn": f"arn:aws:dynamodb:{self.region}:{self.account_id}:table/{name}",
            "TableId": f"00000000-0000-4000-8000-{len(self.tables):012d}",
        }
        self.tables[name] = Table(
            name,
            description,
            key_types(request["KeySchema"]),
            {each["AttributeName"]: each["KeyType"] for each in request["KeySchema"]},
            [Index(index["IndexName"], key_types(index["KeySchema"])) for index in indexes],
        )
        return {"TableDescription": description}

    def _table(self, request: Mapping[str, Any]) -> Table:
        name = request["TableName"].rsplit("table/", 1)[-1]
        if name not in self.tables:
            raise client_error(
                self._current.operation, "ResourceNotFoundException", "Requested resource not found"
            )
        return self.tables[name]

    def _seen(self, table: Table, key: Key, request: Mapping[str, Any]) -> Item | None:
        """What a read finds: possibly the state before the last write, unless it is consistent."""
        if (
            key in table.previous
            and not request.get("ConsistentRead", False)
            and self.faults.stale(self._current)
        ):
            return table.previous[key]
        return table.items.get(key)

    def _projection(self, request: Mapping[str, Any]) -> Callable[[Item], Item]:
        scope = scope_of(request)
        if "ProjectionExpression" not in request:
            return normalised_item
        wanted = expressions.projection(request["ProjectionExpression"])
        return lambda item: normalised_item(wanted.project(item, scope))

    # Writes ---------------------------------------------------------------------------------

    def _single(self, kind: str, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        write = checked(self._table(request), kind, request)
        if not write.allowed:
            members: dict[str, Any] = {}
            if write.old is not None and write.returns_old:
                members["Item"] = normalised_item(write.old)
            raise client_error(
                operation,
                "ConditionalCheckFailedException",
                "The conditional request failed",
                **members,
            )
        self._store(write)
        wanted = request.get("ReturnValues", "NONE")
        response: dict[str, Any] = {}
        returned = {"ALL_OLD": write.old, "ALL_NEW": write.new}.get(wanted)
        if wanted == "UPDATED_NEW" and write.new is not None:
            returned = {
                name: value
                for name, value in write.new.items()
                if write.old is None or write.old.get(name) != value
            }
        if returned:
            response["Attributes"] = normalised_item(returned)
        if "ReturnConsumedCapacity" in request:
            response["ConsumedCapacity"] = {
                "TableName": write.table.name,
                "CapacityUnits": float(write.units),
            }
        return response

    def _store(self, write: Write) -> None:
        store(write)
        if write.changes:
            for watcher in self.watchers:
                watcher(write.table.name, write.old, write.new)

    # Transactions ---------------------------------------------------------------------------

    def _transact_write_items(self, request: Mapping[str, Any]) -> dict[str, Any]:
        actions = [next(iter(action.items())) for action in request["TransactItems"]]
        self._check_transaction(request, actions)
        token = request.get("ClientRequestToken")
        if token is not None and self._already_done(token, request["TransactItems"]):
            return self._consumed(request, {})
        writes: list[Write | None] = []
        reasons: list[dict[str, Any]] = []
        for kind, action in actions:
            write, reason = self._prepared(kind, action)
            writes.append(write)
            reasons.append(reason)
        for index, code in self.faults.reasons(self._current).items():
            if index < len(reasons):
                reasons[index] = (
                    {"Code": "None"}
                    if code == "None"
                    else {"Code": code, "Message": REASON_MESSAGES.get(code, code)}
                )
        codes = [reason["Code"] for reason in reasons]
        if any(code != "None" for code in codes):
            raise client_error(
                "TransactWriteItems",
                "TransactionCanceledException",
                "Transaction cancelled, please refer cancellation reasons for specific reasons "
                f"[{', '.join(codes)}]",
                CancellationReasons=reasons,
            )
        units: dict[str, int] = {}
        for write in writes:
            assert write is not None
            self._store(write)
            units[write.table.name] = units.get(write.table.name, 0) + 2 * write.units
        if token is not None:
            self._tokens[token] = (self.now(), request["TransactItems"])
        return self._consumed(request, units)

    def _check_transaction(
        self, request: Mapping[str, Any], actions: Sequence[tuple[str, Any]]
    ) -> None:
        if not 1 <= len(actions) <= TRANSACTION_ACTIONS:
            raise InvalidRequestError(
                "1 validation error detected: Value at 'transactItems' failed to satisfy "
                f"constraint: Member must have length less than or equal to {TRANSACTION_ACTIONS}"
                " and greater than or equal to 1"
            )
        targets = set()
        total = 0
        for kind, action in actions:
            table = self._table(action)
            attributes = action["Item"] if kind == "Put" else action["Key"]
            total += item_size(attributes)
            total += item_size(action.get("ExpressionAttributeValues", {}))
            try:
                key = (
                    table.key_of_item(normalised_item(attributes))
                    if kind == "Put"
                    else table.key_of(attributes)
                )
            except InvalidItemError:
                if self.transaction_validation == "request":
                    raise
                continue
            if (table.name, key) in targets:
                raise InvalidRequestError(
                    "Transaction request cannot include multiple operations on one item"
                )
            targets.add((table.name, key))
        if total > TRANSACTION_BYTES:
            raise InvalidRequestError("Transaction request cannot be larger than 4194304 bytes")

    def _prepared(
        self, kind: str, action: Mapping[str, Any]
    ) -> tuple[Write | None, dict[str, Any]]:
        try:
            write = checked(self._table(action), kind, action)
        except InvalidItemError as invalid:
            if self.transaction_validation == "request":
                raise
            return None, {"Code": "ValidationError", "Message": str(invalid)}
        if write.allowed:
            return write, {"Code": "None"}
        reason: dict[str, Any] = {
            "Code": "ConditionalCheckFailed",
            "Message": REASON_MESSAGES["ConditionalCheckFailed"],
        }
        if write.returns_old and write.old is not None:
            reason["Item"] = normalised_item(write.old)
        return write, reason

    def _already_done(self, token: str, items: Any) -> bool:
        """A token stands for its transaction for ten minutes after that has succeeded."""
        done = self._tokens.get(token)
        if done is None or self.now() - done[0] > TOKEN_SECONDS:
            return False
        if done[1] != items:
            raise client_error(
                "TransactWriteItems",
                "IdempotentParameterMismatchException",
                "Different payload for the same token",
            )
        return True

    @staticmethod
    def _consumed(request: Mapping[str, Any], units: Mapping[str, int]) -> dict[str, Any]:
        if request.get("ReturnConsumedCapacity", "NONE") == "NONE":
            return {}
        return {
            "ConsumedCapacity": [
                {"TableName": name, "CapacityUnits": float(count)} for name, count in units.items()
            ]
        }

    # Reads of several items -----------------------------------------------------------------

    def _batch_get_item(self, request: Mapping[str, Any]) -> dict[str, Any]:
        asked = [
            (name, key)
            for name, wanted in request["RequestItems"].items()
            for key in wanted["Keys"]
        ]
        if len(asked) > BATCH_KEYS:
            raise InvalidRequestError("Too many items requested for the BatchGetItem call")
        seen = set()
        for name, attributes in asked:
            table = self._table({"TableName": name})
            key = (table.name, table.key_of(attributes))
            if key in seen:
                raise InvalidRequestError("Provided list of item keys contains duplicates")
            seen.add(key)
        left = set(self.faults.unprocessed(self._current))
        responses: dict[str, list[Item]] = {name: [] for name in request["RequestItems"]}
        unprocessed: dict[str, dict[str, Any]] = {}
        total = 0
        for index, (name, attributes) in enumerate(asked):
            table = self._table({"TableName": name})
            wanted = request["RequestItems"][name]
            item = self._seen(table, table.key_of(attributes), wanted)
            total += item_size(item) if item is not None else 0
            if index in left or total > BATCH_BYTES:
                others = {member: value for member, value in wanted.items() if member != "Keys"}
                unprocessed.setdefault(name, {**others, "Keys": []})["Keys"].append(attributes)
            elif item is not None:
                responses[name].append(self._projection(wanted)(item))
        return {"Responses": responses, "UnprocessedKeys": unprocessed}

    def _page(self, request: Mapping[str, Any], wanted: Callable[[Item], bool]) -> dict[str, Any]:
        table = self._table(request)
        project = self._projection(
            {
                member: value
                for member, value in request.items()
                if member in ("ProjectionExpression", *PLACEHOLDERS)
            }
            if "ProjectionExpression" in request
            else {}
        )
        items = sorted(
            (item for item in table.items.values() if wanted(item)),
            key=lambda item: [order(item[name]) for name in table.keys],
            reverse=not request.get("ScanIndexForward", True),
        )
        if "ExclusiveStartKey" in request:
            start = table.key_of(request["ExclusiveStartKey"])
            keys = [table.key_of(table.key_attributes(item)) for item in items]
            items = items[keys.index(start) + 1 if start in keys else 0 :]
        page: list[Item] = []
        total = 0
        for item in items:
            total += item_size(item)
            if (total > PAGE_BYTES and page) or len(page) == request.get("Limit", math.inf):
                break
            page.append(item)
        response = {
            "Items": [project(item) for item in page],
            "Count": len(page),
            "ScannedCount": len(page),
        }
        if len(page) < len(items):
            response["LastEvaluatedKey"] = normalised_item(table.key_attributes(page[-1]))
        return response
