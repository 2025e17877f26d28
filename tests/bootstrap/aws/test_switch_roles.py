"""Calls through the roles of a switch: the canary, and what is switched off in the source."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.aws.calls import Calls
from bootstrap.aws.old_source import AwsOldSource
from bootstrap.aws.write_canary import AwsCanary
from bootstrap.core.errors import AccessDeniedError, AccountError, Side, UnavailableError
from tests.support.bootstrap.fake_aws import STREAM_ARN
from tests.support.bootstrap.request_recorder import Recorder
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.dynamodb import FakeDynamoDB
from tests.support.fakes.errors import client_error

pytestmark = pytest.mark.promise("C9")

CALL = "User: arn:aws:sts::222222222222:assumed-role/switch/s is not authorized to perform: "
DENIED = f"{CALL}dynamodb:DeleteItem on resource: arn:aws:dynamodb:eu-west-1:222222222222:table/t"


class Answering:
    """A client of one operation that answers with an error, and of one that describes."""

    def __init__(self, operation: str, code: str, message: str = "", **answers: Any) -> None:
        self._operation, self._code, self._message = operation, code, message
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        def call(**request: Any) -> Any:
            if name in self._answers:
                return self._answers[name]
            raise client_error(self._operation, self._code, self._message)

        return call


def canary(client: Any, types: dict[str, str] | None = None) -> AwsCanary:
    return AwsCanary(Calls(Side.TARGET, "Role switch"), client, lambda _: types or {"pk": "S"})


@pytest.mark.parametrize("types", [{"pk": "S"}, {"pk": "N", "sk": "B"}, {"pk": "B", "sk": "N"}])
def test_the_canary_deletes_nothing_whether_its_item_exists_or_not(types: dict[str, str]) -> None:
    dynamodb = FakeDynamoDB(VirtualClock())
    dynamodb.create_table(
        TableName="replica",
        KeySchema=[
            {"AttributeName": name, "KeyType": kind}
            for name, kind in zip(types, ("HASH", "RANGE"), strict=False)
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": kind} for name, kind in types.items()
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    assert not canary(dynamodb, types).refused("replica")
    asked: list[tuple[str, dict[str, Any]]] = []
    with pytest.raises(AssertionError, match="cannot hold"):  # the recorder accepts everything
        canary(Recorder("dynamodb", asked), types).refused("replica")
    ((operation, request),) = asked
    assert operation == "DeleteItem"
    dynamodb.put_item(TableName="replica", Item=request["Key"])
    assert not canary(dynamodb, types).refused("replica")
    assert dynamodb.get_item(TableName="replica", Key=request["Key"])["Item"] == request["Key"]


@pytest.mark.parametrize(
    "message", [f"{DENIED} with an explicit deny in a resource-based policy", "Access denied"]
)
def test_the_canary_is_refused_by_the_tables_policy(message: str) -> None:
    assert canary(Answering("DeleteItem", "AccessDeniedException", message)).refused("replica")


@pytest.mark.parametrize(
    "message",
    [
        f"{DENIED} because no identity-based policy allows the dynamodb:DeleteItem action",
        f"{DENIED} with an explicit deny in a service control policy",
        f"{DENIED} with an explicit deny in an identity-based policy",
    ],
)
def test_a_refusal_for_another_reason_says_nothing_of_the_tables_policy(message: str) -> None:
    with pytest.raises(AccessDeniedError):
        canary(Answering("DeleteItem", "AccessDeniedException", message)).refused("replica")


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "ThrottlingException"])
def test_the_canary_passes_any_other_failure_on(code: str) -> None:
    with pytest.raises(AccountError):
        canary(Answering("DeleteItem", code)).refused("replica")


# -- the old source -------------------------------------------------------------------------------


def old_source(client: Any) -> AwsOldSource:
    return AwsOldSource(Calls(Side.SOURCE, "Role switch"), client)


def test_the_old_source_is_asked_for_two_changes_of_no_item() -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    source = old_source(Recorder("dynamodb", asked))
    source.set_expiry("orders", "until", False)
    source.stop_destination("orders", STREAM_ARN)
    assert asked == [
        (
            "UpdateTimeToLive",
            {
                "TableName": "orders",
                "TimeToLiveSpecification": {"Enabled": False, "AttributeName": "until"},
            },
        ),
        (
            "DisableKinesisStreamingDestination",
            {"TableName": "orders", "StreamArn": STREAM_ARN},
        ),
    ]


def destinations(status: str) -> dict[str, Any]:
    return {
        "describe_kinesis_streaming_destination": {
            "KinesisDataStreamDestinations": [
                {"StreamArn": f"{STREAM_ARN}-other", "DestinationStatus": "DISABLED"},
                {"StreamArn": STREAM_ARN, "DestinationStatus": status},
            ]
        }
    }


REFUSALS = ["ValidationException", "ResourceInUseException", "ResourceNotFoundException"]
STOP = "DisableKinesisStreamingDestination"


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("status", ["DISABLED", "DISABLING", "ENABLE_FAILED"])
def test_a_destination_that_is_off_already_is_no_failure(code: str, status: str) -> None:
    old_source(Answering(STOP, code, **destinations(status))).stop_destination("orders", STREAM_ARN)


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("status", ["ACTIVE", "ENABLING", "UPDATING", "A_NEW_ONE"])
def test_a_destination_that_is_not_off_is_a_failure(code: str, status: str) -> None:
    source = old_source(Answering(STOP, code, **destinations(status)))
    with pytest.raises(AccountError) as caught:
        source.stop_destination("orders", STREAM_ARN)
    assert isinstance(caught.value, UnavailableError) == (code == "ResourceInUseException")


def test_a_table_that_is_gone_sends_no_changes() -> None:
    gone = Answering(STOP, "ResourceNotFoundException")
    old_source(gone).stop_destination("orders", STREAM_ARN)


@pytest.mark.parametrize("status", ["DISABLED", "DISABLING", "ENABLED", "ENABLING"])
def test_a_time_to_live_that_is_off_already_is_no_failure(status: str) -> None:
    described = {"TimeToLiveDescription": {"TimeToLiveStatus": status, "AttributeName": "until"}}
    client = Answering("UpdateTimeToLive", "ValidationException", describe_time_to_live=described)
    if status.startswith("DIS"):
        old_source(client).set_expiry("orders", "until", False)
    else:
        with pytest.raises(AccountError):
            old_source(client).set_expiry("orders", "until", False)
