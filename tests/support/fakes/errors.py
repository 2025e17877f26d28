"""How AWS fails: botocore's exceptions with the shapes boto3 callers look into.

`Faults` is the hook of every fake: it sees each call before and after the work, and may raise.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    ReadTimeoutError,
)

ENDPOINT = "https://fake.amazonaws.com/"

#: Messages of TransactWriteItems' cancellation reasons, where AWS's are known.
REASON_MESSAGES = {
    "ConditionalCheckFailed": "The conditional request failed",
    "TransactionConflict": "Transaction is ongoing for the item",
    "ItemCollectionSizeLimitExceeded": "Collection size exceeded.",
    "ProvisionedThroughputExceeded": "The level of configured provisioned throughput for the table "
    "was exceeded. Consider increasing your provisioning level with the UpdateTable API.",
    "ThrottlingError": "Throughput exceeds the current capacity for one or more global secondary "
    "indexes. DynamoDB is automatically scaling your index so please try again shortly.",
    "ValidationError": "One or more parameter values were invalid",
}


class Killed(BaseException):
    """The process is gone. Not an Exception: a dead process handles nothing."""


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One call of one fake. `number` counts the calls of that fake from 1."""

    service: str
    operation: str
    request: Mapping[str, Any]
    number: int


class Faults:
    """No faults. Override what should go wrong; an exception raised in a method is the answer."""

    def before(self, call: Call) -> None:
        """Before the work: what is raised here leaves the world unchanged."""

    def after(self, call: Call) -> None:
        """After the work, done or refused: what is raised here hides the outcome."""

    def reasons(self, call: Call) -> Mapping[int, str]:
        """TransactWriteItems: cancellation codes by action; "None" hides that action's own."""
        return {}

    def unprocessed(self, call: Call) -> Sequence[int]:
        """BatchGetItem: indexes (over all tables, in request order) left in UnprocessedKeys."""
        return ()

    def stale(self, call: Call) -> bool:
        """A read without ConsistentRead: does it show what was there before the last write?"""
        return False


class ScriptedFaults(Faults):
    """Faults for unit tests, each used once, in the order they were added."""

    def __init__(self) -> None:
        self._before: deque[tuple[str | None, BaseException]] = deque()
        self._after: deque[tuple[str | None, BaseException]] = deque()
        self._reasons: deque[Mapping[int, str]] = deque()
        self._unprocessed: deque[Sequence[int]] = deque()

    def fail(
        self,
        error: BaseException,
        *,
        operation: str | None = None,
        after_the_work: bool = False,
        times: int = 1,
    ) -> None:
        """Answer the next `times` calls (of `operation`, such as "PutItem") with `error`."""
        (self._after if after_the_work else self._before).extend([(operation, error)] * times)

    def cancel(self, reasons: Mapping[int, str], *, times: int = 1) -> None:
        """Cancel the next transactions for these reasons, by action index."""
        self._reasons.extend([reasons] * times)

    def leave_unprocessed(self, indexes: Sequence[int], *, times: int = 1) -> None:
        self._unprocessed.extend([indexes] * times)

    def before(self, call: Call) -> None:
        self._raise_first(self._before, call)

    def after(self, call: Call) -> None:
        self._raise_first(self._after, call)

    def reasons(self, call: Call) -> Mapping[int, str]:
        return self._reasons.popleft() if self._reasons else {}

    def unprocessed(self, call: Call) -> Sequence[int]:
        return self._unprocessed.popleft() if self._unprocessed else ()

    @staticmethod
    def _raise_first(planned: deque[tuple[str | None, BaseException]], call: Call) -> None:
        for index, (operation, error) in enumerate(planned):
            if operation in (None, call.operation):
                del planned[index]
                raise error


class Exceptions:
    """`client.exceptions`: one subclass of ClientError for each code, made when first asked for."""

    _made: dict[str, type[ClientError]] = {"ClientError": ClientError}  # noqa: RUF012

    def __getattr__(self, code: str) -> type[ClientError]:
        if code.startswith("_"):
            raise AttributeError(code)
        return self._made.setdefault(code, type(code, (ClientError,), {}))


EXCEPTIONS = Exceptions()


def client_error(
    operation: str,
    code: str,
    message: str,
    *,
    status: int = 400,
    **members: Any,
) -> ClientError:
    """A ClientError as boto3 raises it; `members` are the modelled members of the error shape."""
    response = {
        **members,
        "Error": {"Message": message, "Code": code},
        "message": message,
        "ResponseMetadata": {
            "RequestId": "FAKE",
            "HTTPStatusCode": status,
            "HTTPHeaders": {},
            "RetryAttempts": 0,
        },
    }
    error: ClientError = getattr(EXCEPTIONS, code)(response, operation)
    return error


def throttled(
    operation: str = "PutItem", reason: str = "TableWriteProvisionedThroughputExceeded"
) -> ClientError:
    return client_error(
        operation,
        "ProvisionedThroughputExceededException",
        "The level of configured provisioned throughput for the table was exceeded.",
        ThrottlingReasons=[{"reason": reason, "resource": "arn:aws:dynamodb:table"}],
    )


def throttling_exception(operation: str = "PutItem") -> ClientError:
    """The other throttling answer, whose list of reasons is spelled in lower case."""
    return client_error(
        operation,
        "ThrottlingException",
        "Throughput exceeds the current capacity of your table or index.",
        throttlingReasons=[{"reason": "TableWriteKeyRangeThroughputExceeded", "resource": "arn"}],
    )


def request_limit_exceeded(operation: str = "PutItem") -> ClientError:
    return client_error(
        operation, "RequestLimitExceeded", "Throughput exceeds the current throughput limit."
    )


def server_error(operation: str = "PutItem") -> ClientError:
    """500: the outcome of the call is unknown to the caller."""
    return client_error(operation, "InternalServerError", "Internal server error", status=500)


def unavailable(operation: str = "PutItem") -> ClientError:
    return client_error(
        operation,
        "ServiceUnavailable",
        "The service is temporarily unavailable.",
        status=503,
    )


def access_denied(operation: str = "PutItem") -> ClientError:
    return client_error(
        operation,
        "AccessDeniedException",
        f"User: arn:aws:sts::222222222222:assumed-role/consumer/f is not authorized to perform: "
        f"dynamodb:{operation} because no identity-based policy allows the dynamodb:{operation} "
        "action",
    )


def expired_credentials(operation: str = "PutItem") -> ClientError:
    return client_error(
        operation,
        "ExpiredTokenException",
        "The security token included in the request is expired",
    )


def transaction_conflict(operation: str = "PutItem") -> ClientError:
    """What a plain write gets when it collides with a transaction."""
    return client_error(
        operation, "TransactionConflictException", "Transaction is ongoing for the item"
    )


def transaction_in_progress() -> ClientError:
    return client_error(
        "TransactWriteItems",
        "TransactionInProgressException",
        "The transaction with the given request token is already in progress.",
    )


def item_collection_too_large(operation: str = "PutItem") -> ClientError:
    return client_error(
        operation, "ItemCollectionSizeLimitExceededException", "Collection size exceeded."
    )


def read_timeout() -> ReadTimeoutError:
    return ReadTimeoutError(endpoint_url=ENDPOINT)


def connect_timeout() -> ConnectTimeoutError:
    return ConnectTimeoutError(endpoint_url=ENDPOINT)


def connection_reset() -> ConnectionClosedError:
    return ConnectionClosedError(endpoint_url=ENDPOINT)
