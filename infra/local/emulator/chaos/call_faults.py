"""Transient errors of DynamoDB, and answers lost after the call took effect.

Only functions meet them, but for the lost answers of calls that create something or change a
table's policy, which any caller meets.
"""

from __future__ import annotations

import contextvars
import json
import threading
from collections.abc import Callable
from functools import partial

from infra.local.emulator.access import PermissionChecks
from infra.local.emulator.chaos.rates import Chaos
from infra.local.emulator.patching import Json, Ministack, Response

SINGLE = ("_put_item", "_update_item", "_delete_item", "_get_item", "_query")
BATCHES = {"_batch_get_item": "UnprocessedKeys", "_batch_write_item": "UnprocessedItems"}
CREATIONS = (
    "_create_table",
    "_enable_kinesis_streaming_destination",
    "_export_table_to_point_in_time",
    "_import_table",
    "_start_bulk_put_items",
    "_put_resource_policy",
    "_delete_resource_policy",
    "_update_continuous_backups",
    "_update_ttl",
)
# AWS's reply to a repetition, once, where the local cloud's own would be another success (API
# reference, UpdateContinuousBackups and UpdateTimeToLive).
REPEATED = {
    "_update_continuous_backups": (
        "ContinuousBackupsUnavailableException",
        "Backups are being enabled for the table. Please retry later",
        400,
    ),
    "_update_ttl": ("ValidationException", "TimeToLive is already enabled", 400),
}
TRANSACTIONS = ("_transact_write_items", "_transact_get_items")

REFUSALS = (
    (
        "ProvisionedThroughputExceededException",
        "The level of configured throughput is exceeded",
        400,
    ),
    ("ThrottlingException", "Throughput exceeds the current capacity of your table or index", 400),
    ("RequestLimitExceeded", "Throughput exceeds the current throughput limit of the account", 400),
    ("InternalServerError", "Internal server error", 500),
)
REASONS = (
    ("TransactionConflict", "Transaction is ongoing for the item"),
    ("ThrottlingError", "Throughput exceeds the current capacity of your table or index"),
    ("ProvisionedThroughputExceeded", "The level of configured throughput is exceeded"),
)

_within_a_creation: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "local_within_a_creation", default=False
)


class CallFaults:
    """Fails calls at the rates of `Chaos`."""

    def __init__(
        self,
        ministack: Ministack,
        access: PermissionChecks,
        chaos: Chaos,
        count: Callable[[str], None],
    ) -> None:
        self._ministack = ministack
        self._access = access
        self._chaos = chaos
        self._count = count
        self._random = chaos.random()
        self._lock = threading.Lock()
        self._lost: set[tuple[str, str, str]] = set()
        self._refused: set[tuple[str, str, str]] = set()

    def install(self) -> None:
        """Wrap the handlers, in front of all other corrections."""
        if self._chaos.lost_create:
            for name in CREATIONS:
                self._lose("dynamodb", name)
            self._lose("lambda_svc", "_create_esm")
            self._lose("dynamodb", "_update_table", only="StreamSpecification")
        if not (self._chaos.throttle or self._chaos.lost):
            return
        for name in SINGLE:
            self._wrap(name, self._refuse_call)
        for name, member in BATCHES.items():
            self._wrap(name, partial(self._leave_unprocessed, member))
        for name in TRANSACTIONS:
            self._wrap(name, self._cancel)

    def _wrap(self, name: str, refuse: Callable[[Json], Response]) -> None:
        handler: Callable[[Json], Response] = getattr(self._ministack.dynamodb, name)

        def faulty(data: Json) -> Response:
            if not self._is_function():
                return handler(data)
            with self._lock:
                draw = self._random.random()
            if draw < self._chaos.throttle:
                self._count("Throttled")
                return refuse(data)
            response = handler(data)
            if draw < self._chaos.throttle + self._chaos.lost:
                self._count("Lost")
                return self._ministack.error(*REFUSALS[-1])
            return response

        self._ministack.replace("dynamodb", name, faulty)

    def _lose(self, module: str, name: str, *, only: str = "") -> None:
        """Withhold the first successful answer to each request; the SDK then repeats it.

        Requests without the member `only`, where there is one, are answered.
        """
        handler: Callable[[Json], Response] = getattr(getattr(self._ministack, module), name)

        def losing(data: Json) -> Response:
            if _within_a_creation.get():  # an import makes its table by ministack's CreateTable
                return handler(data)
            if only and only not in data:
                return handler(data)
            account = self._ministack.responses.get_account_id()
            request = (account, name, json.dumps(data, sort_keys=True, default=str))
            with self._lock:
                repeated = name in REPEATED and request in self._lost
                repeated = repeated and request not in self._refused
                if repeated:
                    self._refused.add(request)
            if repeated:
                return self._ministack.error(*REPEATED[name])
            token = _within_a_creation.set(True)
            try:
                response = handler(data)
            finally:
                _within_a_creation.reset(token)
            with self._lock:
                lost = (
                    response[0] < 300
                    and request not in self._lost
                    and self._random.random() < self._chaos.lost_create
                )
                if lost:
                    self._lost.add(request)
            if not lost:
                return response
            self._count("LostCreate")
            return self._ministack.error(*REFUSALS[-1])

        self._ministack.replace(module, name, losing)

    def _is_function(self) -> bool:
        """Return whether the caller is a function: its session is named after it."""
        caller = self._access.caller()
        session = caller.rpartition("/")[2]
        if ":assumed-role/" not in caller:
            return False
        account = caller.split(":")[4]
        functions = self._ministack.lambda_svc._functions.to_dict()
        return any(key[0] == account and key[-1] == session for key in functions)

    # -- refusals --------------------------------------------------------------------------------

    def _refuse_call(self, data: Json) -> Response:
        with self._lock:
            refusal = self._random.choice(REFUSALS)
        return self._ministack.error(*refusal)

    def _leave_unprocessed(self, member: str, data: Json) -> Response:
        """Do nothing; return the whole request as unprocessed, or an error."""
        with self._lock:
            refuse = self._random.random() < 0.5
        if refuse:
            return self._refuse_call(data)
        answer: Json = {member: data["RequestItems"]}
        if member == "UnprocessedKeys":
            answer["Responses"] = {table: [] for table in data["RequestItems"]}
        return self._ministack.ok(answer)

    def _cancel(self, data: Json) -> Response:
        """Cancel a transaction: some of its items have a transient reason, the others none."""
        members = data.get("TransactItems") or []
        with self._lock:
            if self._random.random() < 0.3:
                return self._ministack.error(*self._random.choice(REFUSALS))
            hit = {i for i in range(len(members)) if self._random.random() < 0.2}
            hit = hit or {self._random.randrange(max(1, len(members)))}
            chosen = {index: self._random.choice(REASONS) for index in hit}
        reasons = [
            {"Code": chosen[i][0], "Message": chosen[i][1]} if i in chosen else {"Code": "None"}
            for i in range(len(members))
        ]
        codes = ", ".join(reason["Code"] for reason in reasons)
        name = "TransactionCanceledException"
        message = (
            "Transaction cancelled, please refer cancellation reasons for specific reasons "
            f"[{codes}]"
        )
        body = {"__type": name, "Message": message, "CancellationReasons": reasons}
        headers = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-errortype": name}
        return 400, headers, json.dumps(body).encode()
