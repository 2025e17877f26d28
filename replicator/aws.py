"""The edge to AWS: clients with time-outs chosen on purpose, and what their errors mean here.

This is the only module that knows botocore. It is imported when the first client is made or the
first call fails, not with the function: it is most of a cold start.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from json import JSONEncoder
from typing import Any

CONNECT_SECONDS = 2
READ_SECONDS = 5


class Kind(Enum):
    """The kinds of failure, by whether a retry can help."""

    THROTTLED = "not executed: too fast"
    CONFLICT = "not executed: another transaction holds the item"
    CANCELLED = "not executed: one of the transaction's actions was refused"
    INVALID = "not executed, and never will be as it is"
    UNKNOWN = "possibly executed"
    SYSTEMATIC = "not executed: permission, missing resource, key, credentials"


@dataclass(frozen=True)
class CancellationReason:
    """The reason why one action of a transaction was refused; `item` is the item it found."""

    code: str
    item: Mapping[str, Any] | None
    message: str


@dataclass(frozen=True)
class Failure:
    """A call that did not succeed. `message` may quote content of items."""

    kind: Kind
    code: str
    message: str
    reasons: tuple[CancellationReason, ...] = ()

    @property
    def loggable(self) -> str:
        """The message where it names actions, resources and principals only; otherwise empty."""
        return self.message if any(word in self.code for word in _ABOUT_ACCESS) else ""


_THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "BandwidthLimitExceeded",
    }
)
_CONFLICT = frozenset(
    {"TransactionConflict", "TransactionConflictException", "ReplicatedWriteConflictException"}
)
_INVALID = frozenset(
    {
        "ValidationException",
        "ValidationError",
        "SerializationException",
        "ItemCollectionSizeLimitExceeded",
        "ItemCollectionSizeLimitExceededException",
        "RequestEntityTooLarge",
        "RequestTooLargeException",
    }
)
# A transaction with this token is still running, or ran with other contents: ask again.
_UNKNOWN = frozenset({"TransactionInProgressException", "IdempotentParameterMismatchException"})


# Codes whose messages name principal, action and resource, which the fix needs.
_ABOUT_ACCESS = (
    "AccessDenied",
    "Credential",
    "ExpiredToken",
    "InvalidSignature",
    "KMS",
    "NoSuchBucket",
    "NotAuthorized",
    "ResourceNotFound",
    "SecurityToken",
    "UnrecognizedClient",
)


def classify(code: str, status: int = 400) -> Kind:
    """Classify an error code of DynamoDB or S3, or a cancellation reason."""
    if code in _THROTTLED:
        return Kind.THROTTLED
    if code in _CONFLICT:
        return Kind.CONFLICT
    # A request that is too large may be refused before DynamoDB, by its status alone. Retried, its
    # record would block its shard for ever.
    if code in _INVALID or status == 413:
        return Kind.INVALID
    if code == "TransactionCanceledException":
        return Kind.CANCELLED
    if code in _UNKNOWN or status >= 500:
        return Kind.UNKNOWN
    return Kind.SYSTEMATIC


def call(method: Callable[..., Any], request: Mapping[str, Any]) -> dict[str, Any] | Failure:
    """Call a client's method; return a `Failure` for every error that botocore raises."""
    try:
        answer: dict[str, Any] = method(**request)
    except Exception as error:
        return _failure(error)
    return answer


def _failure(error: Exception) -> Failure:
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        return _from_response(error.response)
    name = type(error).__name__
    if isinstance(error, exceptions.ParamValidationError):
        return Failure(Kind.INVALID, name, str(error))
    if isinstance(error, exceptions.BotoCoreError):
        if "Credential" in name or "Token" in name:
            return Failure(Kind.SYSTEMATIC, name, str(error))
        # Time-outs, resets, answers cut short. Some come before anything is sent; which ones is
        # not worth knowing, as to call it unknown is always safe.
        return Failure(Kind.UNKNOWN, name, "")
    if type(error).__module__ == "botocore.parsers":
        return Failure(Kind.UNKNOWN, name, "")  # an answer came, and was not readable
    raise error


def _from_response(response: Mapping[str, Any]) -> Failure:
    error = response.get("Error", {})
    code = str(error.get("Code", "Unknown"))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
    reasons = tuple(
        CancellationReason(
            code=str(reason.get("Code") or "None"),
            item=reason.get("Item"),
            message=str(reason.get("Message") or ""),
        )
        for reason in response.get("CancellationReasons", ())
    )
    return Failure(classify(code, status), code, str(error.get("Message", "")), reasons)


def clients(region: str, threads: int) -> tuple[Any, Any]:
    """A DynamoDB and an S3 client for a Region, safe to share between threads.

    Retries are off: the writer and the store retry by their own rules, until a deadline that
    botocore does not know, and a transaction is sent again with the same token only if it is the
    same. Parameter validation is off: DynamoDB validates, and what it rejects is isolated and
    quarantined.
    """
    import logging

    import botocore.session
    from botocore.config import Config

    # At DEBUG, which anyone who may configure the function can set, it logs whole requests.
    logging.getLogger("botocore").setLevel(logging.INFO)
    session = botocore.session.get_session()
    config = Config(
        region_name=region,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=threads,
        retries={"mode": "standard", "total_max_attempts": 1},
        parameter_validation=False,
        tcp_keepalive=True,
    )
    dynamodb = session.create_client("dynamodb", config=config)
    if dynamodb.meta.service_model.resolved_protocol == "json":
        _write_transactions_in_c(dynamodb)
    return dynamodb, session.create_client("s3", config=config)


def client(service: str, region: str, credentials: Mapping[str, str] | None = None) -> Any:
    """Make a client that retries failed calls itself, for callers without a deadline.

    `credentials` are those of an assumed role, as STS answers them; None: the function's own.
    """
    import botocore.session
    from botocore.config import Config

    given = credentials or {}
    session = botocore.session.get_session()
    session.register_component("data_loader", _loader())
    return session.create_client(
        service,
        config=Config(
            region_name=region,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 3},
        ),
        aws_access_key_id=given.get("AccessKeyId"),
        aws_secret_access_key=given.get("SecretAccessKey"),
        aws_session_token=given.get("SessionToken"),
    )


@cache
def _loader() -> Any:
    """Return what reads AWS's descriptions, and keeps them for the next client."""
    from botocore.loaders import create_loader

    return create_loader()


_BODY = "replicator_body"


def _write_transactions_in_c(dynamodb: Any) -> None:
    """Let the JSON encoder, in C, write the bodies of TransactWriteItems.

    botocore serialises attribute values one by one in Python and walks each transaction for table
    ARNs, which together cost more than all else that is done for a change. In the `json` protocol
    the body is the request itself, with binary as base64 (https://smithy.io, AWS JSON 1.0).
    """

    def take(params: dict[str, Any], context: dict[str, Any], **_: Any) -> dict[str, Any]:
        context[_BODY] = _encode(params).encode()
        return {**params, "TransactItems": []}

    def put(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        params["body"] = context.pop(_BODY)

    events = dynamodb.meta.events
    events.register("provide-client-params.dynamodb.TransactWriteItems", take)
    events.register("before-call.dynamodb.TransactWriteItems", put)


def _binary(value: bytes) -> str:
    return b64encode(value).decode("ascii")


_encode = JSONEncoder(check_circular=False, separators=(",", ":"), default=_binary).encode
