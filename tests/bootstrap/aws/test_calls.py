"""AWS's refusals become our errors, each with an account's exit code and a command to try."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from botocore import exceptions

from bootstrap.aws.calls import Calls
from bootstrap.core.errors import (
    AccessDeniedError,
    AccountError,
    BootstrapError,
    LeaseLostError,
    Side,
    UnavailableError,
)
from tests.support.fakes.errors import (
    client_error,
    connect_timeout,
    expired_credentials,
    read_timeout,
    server_error,
    throttled,
    throttling_exception,
)

ROLE = "Role arn:aws:iam::111111111111:role/exporter"
TABLE = "arn:aws:dynamodb:eu-west-1:111111111111:table/orders"


def failure_of(error: Exception, side: Side = Side.SOURCE) -> BootstrapError:
    def method(**request: Any) -> NoReturn:
        raise error

    with pytest.raises(BootstrapError) as failure:
        Calls(side, ROLE)("dynamodb", method, TABLE)
    assert "\nTry: " in str(failure.value)
    return failure.value


@pytest.mark.parametrize(("side", "code"), [(Side.SOURCE, 3), (Side.TARGET, 4)])
def test_the_exit_code_names_the_account_that_refused(side: Side, code: int) -> None:
    assert failure_of(client_error("DescribeTable", "SomeError", "no"), side).exit_code == code


def test_a_missing_permission_names_role_action_and_resource() -> None:
    error = client_error("DescribeTable", "AccessDeniedException", "no")
    failure = failure_of(error)
    assert isinstance(failure, AccessDeniedError)
    assert f"{ROLE} may not dynamodb:DescribeTable on {TABLE}" in failure.what
    assert "pulumi up" in failure.fix


def test_the_action_that_aws_names_is_the_one_that_is_missing() -> None:
    said = (
        "User: arn:aws:sts::1:assumed-role/exporter/x is not authorized to perform: "
        "s3:PutObject on resource: arn:aws:s3:::snapshots/orders because no policy allows it"
    )
    failure = failure_of(client_error("ExportTableToPointInTime", "AccessDenied", said))
    assert f"{ROLE} may not s3:PutObject on arn:aws:s3:::snapshots/orders" in failure.what


@pytest.mark.parametrize(
    "error",
    [
        throttled(),
        throttling_exception(),
        server_error(),
        client_error("ExportTableToPointInTime", "LimitExceededException", "too many exports"),
        client_error("UpdateTable", "ResourceInUseException", "Table is being updated"),
        connect_timeout(),
        read_timeout(),
        exceptions.EndpointConnectionError(endpoint_url="https://x"),
    ],
)
def test_passing_errors_are_told_from_lasting_ones(error: Exception) -> None:
    assert isinstance(failure_of(error), UnavailableError)


@pytest.mark.parametrize(
    ("reasons", "passes"),
    [
        ("[TransactionConflict, None]", True),
        ("[None, ThrottlingError]", True),
        ("[ProvisionedThroughputExceeded, None]", True),
        ("[ConditionalCheckFailed, TransactionConflict]", False),
        ("[ValidationError, None]", False),
    ],
)
def test_a_transaction_in_conflict_is_retried(reasons: str, passes: bool) -> None:
    said = (
        f"Transaction cancelled, please refer cancellation reasons for specific reasons {reasons}"
    )
    failure = failure_of(client_error("TransactWriteItems", "TransactionCanceledException", said))
    assert isinstance(failure, UnavailableError) is passes


@pytest.mark.parametrize(
    "error",
    [
        expired_credentials(),
        exceptions.NoCredentialsError(),
        exceptions.ProfileNotFound(profile="shop"),
        client_error("AssumeRole", "InvalidClientTokenId", "unknown"),
    ],
)
def test_unusable_credentials_name_the_profile_option(error: Exception) -> None:
    failure = failure_of(error, Side.TARGET)
    assert not isinstance(failure, UnavailableError)
    assert "--target-profile" in failure.fix


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than …"),
        ("SignatureDoesNotMatch", "Signature not yet current: 20260101T010000Z is still later …"),
        ("RequestTimeTooSkewed", "The difference between the request time and … is too large."),
        ("RequestExpired", "Request has expired."),
    ],
)
def test_a_wrong_clock_is_named_rather_than_the_credentials(code: str, message: str) -> None:
    failure = failure_of(client_error("DescribeTable", code, message))
    assert "This machine's clock is wrong" in failure.what
    assert "set the clock" in failure.fix
    assert "profile" not in failure.fix
    forged = failure_of(client_error("DescribeTable", "SignatureDoesNotMatch", "of another key"))
    assert "clock" not in forged.what


def test_a_bug_is_not_reported_as_an_error_of_aws() -> None:
    def method(**request: Any) -> NoReturn:
        raise exceptions.ParamValidationError(report="our mistake")

    with pytest.raises(exceptions.ParamValidationError):
        Calls(Side.SOURCE, ROLE)("dynamodb", method, TABLE)


def test_the_lease_is_checked_before_each_call() -> None:
    made: list[str] = []

    def gone() -> NoReturn:
        raise LeaseLostError("gone", fix="-")

    with pytest.raises(LeaseLostError):
        Calls(Side.SOURCE, ROLE, gone)("dynamodb", lambda **request: made.append("call"), TABLE)
    assert not made


def test_an_error_keeps_awss_code() -> None:
    failure = failure_of(client_error("DescribeTable", "ResourceNotFoundException", "no table"))
    assert isinstance(failure, AccountError)
    assert failure.code == "ResourceNotFoundException"
