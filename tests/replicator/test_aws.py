"""botocore stops at `replicator.aws`, and its errors mean something there."""

from __future__ import annotations

import ast
import json
import logging
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)
from botocore.parsers import ResponseParserError
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator import aws
from replicator.aws import Failure, Kind
from tests.support.fakes import errors
from tests.support.strategies import images

PACKAGE = Path(aws.__file__).parent


def failing(error: Exception) -> Failure:
    def method(**_: Any) -> Any:
        raise error

    failure = aws.call(method, {})
    assert isinstance(failure, Failure)
    return failure


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.throttled(), Kind.THROTTLED),
        (errors.throttling_exception(), Kind.THROTTLED),
        (errors.request_limit_exceeded(), Kind.THROTTLED),
        (errors.client_error("PutObject", "SlowDown", "", status=503), Kind.THROTTLED),
        (errors.transaction_conflict(), Kind.CONFLICT),
        (errors.transaction_in_progress(), Kind.UNKNOWN),
        (errors.server_error(), Kind.UNKNOWN),
        (errors.unavailable(), Kind.UNKNOWN),
        (errors.read_timeout(), Kind.UNKNOWN),
        (errors.connect_timeout(), Kind.UNKNOWN),
        (errors.connection_reset(), Kind.UNKNOWN),
        (EndpointConnectionError(endpoint_url="x"), Kind.UNKNOWN),
        (ResponseParserError("not XML"), Kind.UNKNOWN),
        (errors.client_error("X", "ValidationException", "no"), Kind.INVALID),
        (errors.client_error("X", "SerializationException", "no"), Kind.INVALID),
        (errors.item_collection_too_large(), Kind.INVALID),
        (errors.client_error("X", "413", "", status=413), Kind.INVALID),
        (ParamValidationError(report="no"), Kind.INVALID),
        (errors.access_denied(), Kind.SYSTEMATIC),
        (errors.expired_credentials(), Kind.SYSTEMATIC),
        (NoCredentialsError(), Kind.SYSTEMATIC),
        (errors.client_error("X", "ResourceNotFoundException", "no"), Kind.SYSTEMATIC),
        (errors.client_error("X", "KMSDisabledException", "no"), Kind.SYSTEMATIC),
        (errors.client_error("X", "BrandNewException", "?"), Kind.SYSTEMATIC),
    ],
)
def test_what_an_error_says_about_trying_again(error: Exception, kind: Kind) -> None:
    assert failing(error).kind is kind


def test_only_messages_about_access_may_be_logged() -> None:
    assert "dynamodb:PutItem" in failing(errors.access_denied()).loggable
    assert failing(errors.client_error("X", "ValidationException", "content")).loggable == ""
    assert failing(errors.client_error("X", "BrandNewException", "content")).loggable == ""


def test_the_reasons_of_a_cancellation_are_kept_in_order() -> None:
    error = ClientError(
        {
            "Error": {"Code": "TransactionCanceledException", "Message": "…"},
            "CancellationReasons": [
                {"Code": "None"},
                {"Code": "ConditionalCheckFailed", "Message": "m", "Item": {"k": {"B": b"1"}}},
            ],
        },
        "TransactWriteItems",
    )
    failure = failing(error)
    assert failure.kind is Kind.CANCELLED
    assert [reason.code for reason in failure.reasons] == ["None", "ConditionalCheckFailed"]
    assert failure.reasons[1].item == {"k": {"B": b"1"}}


def test_a_bug_is_not_taken_for_a_failed_call() -> None:
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError())


def test_no_other_module_knows_botocore() -> None:
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] in ("boto3", "botocore") for name in names):
                assert path.name == "aws.py"


def sent(
    client: Any, request: dict[str, Any], method: str = "transact_write_items"
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of the request that a client would send."""
    kept: list[Any] = []

    def keep(request: Any, **_: Any) -> AWSResponse:
        kept.append(request)
        raw = SimpleNamespace(stream=lambda *_, **__: iter([b"{}"]))
        return AWSResponse(request.url, 200, {}, raw)

    operation = client.meta.method_to_api_mapping[method]
    client.meta.events.register(f"before-send.dynamodb.{operation}", keep)
    getattr(client, method)(**request)
    return kept[0].body, dict(kept[0].headers)


@pytest.fixture(scope="module")
def clients() -> tuple[Any, Any]:
    """A client of botocore's own making, and one of ours."""
    plain = botocore.session.get_session().create_client(
        "dynamodb",
        region_name="eu-west-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(parameter_validation=False),
    )
    with mock.patch.dict(os.environ, {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}):
        own, _ = aws.clients("eu-west-1", 1)
    return plain, own


@settings(max_examples=50, deadline=None)
@given(found=st.lists(images, min_size=1, max_size=3))
def test_a_transaction_is_sent_as_botocore_would_send_it(
    clients: tuple[Any, Any], found: list[Any]
) -> None:
    request = {
        "TransactItems": [
            {"Put": {"TableName": "t", "Item": image, "ConditionExpression": "i = :o"}}
            for image in found
        ],
        "ClientRequestToken": "token",
    }
    theirs, ours = (sent(client, request) for client in clients)
    assert json.loads(ours[0]) == json.loads(theirs[0])
    for name in ("X-Amz-Target", "Content-Type"):
        assert ours[1][name] == theirs[1][name]
    assert request["TransactItems"]


def test_clients_have_time_outs_and_retries_chosen_on_purpose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    for client in aws.clients("eu-central-1", 16):
        config = client.meta.config
        assert (config.connect_timeout, config.read_timeout) == (2, 5)
        assert config.max_pool_connections == 16
        assert config.retries["total_max_attempts"] == 1
        assert client.meta.region_name == "eu-central-1"


def test_nothing_of_an_item_is_logged_even_where_everything_is(
    clients: tuple[Any, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The SDK writes whole requests at DEBUG, a level that Lambda lets anybody set."""
    put = {"TableName": "t", "Item": {"pk": {"S": "hunter2"}}}
    batch = {"RequestItems": {"t": {"Keys": [{"pk": {"S": "hunter2"}}]}}}
    with caplog.at_level(logging.DEBUG):
        sent(clients[1], {"TransactItems": [{"Put": put}]})
        for method, request in (("put_item", put), ("batch_get_item", batch)):
            sent(clients[1], request, method)
    assert "hunter2" not in caplog.text
