"""DynamoDB's bulk operations beside an SDK that does not know them, and one that does."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore.awsrequest
import botocore.session
import pytest
from botocore.exceptions import ParamValidationError

from bootstrap.aws import sdk
from bootstrap.aws.login import Logins
from bootstrap.aws.sdk import MODEL, sdk_session, with_newer_operations
from bootstrap.aws.sessions import Session
from bootstrap.core.durations import Timing
from bootstrap.core.errors import Side
from bootstrap.core.stack_outputs import AccountOutputs

ROOT = Path(__file__).parents[3]
ACCOUNT = "222222222222"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/importer"
OPERATIONS = (
    "StartBulkPutItems",
    "DescribeBulkOperation",
    "ListBulkOperations",
    "CancelBulkOperation",
)
START = {
    "TableName": "orders",
    "InputS3Configuration": {"S3Bucket": "in", "InputFormat": "DYNAMODB_JSON"},
    "OutputS3Configuration": {"S3Bucket": "out", "OutputType": ["ERROR"]},
}


@pytest.fixture(autouse=True)
def _own_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_DATA_PATH", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")


def dynamodb(session: Any) -> Any:
    return session.create_client("dynamodb", region_name="eu-west-1")


def models(folder: Path, name: str, content: object) -> str:
    """A folder of botocore's layout with one file for DynamoDB; returns its path."""
    file = folder / f"{MODEL.rpartition('/')[0]}/{name}.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(content))
    return str(folder)


def newer_model() -> dict[str, Any]:
    """A model of DynamoDB with the bulk operations, and one more member than ours."""
    loader = with_newer_operations(botocore.session.Session()).get_component("data_loader")
    model: dict[str, Any] = json.loads(
        json.dumps(loader.load_service_model("dynamodb", "service-2"))
    )
    summary = model["shapes"]["BulkOperationSummary"]
    summary["members"]["Newer"] = {"shape": "String"}
    summary["required"] = ["BulkOperationArn"]
    return model


@pytest.mark.parametrize("role", [ROLE, ""], ids=["role", "before there is a role"])
def test_every_client_of_the_tool_knows_the_bulk_operations(role: str) -> None:
    account = AccountOutputs(ACCOUNT, "eu-west-1", role)
    client = Session(Side.TARGET, account, Timing(), login=Logins().of(None)).client("dynamodb")
    assert set(OPERATIONS) <= set(client.meta.service_model.operation_names)
    assert client.start_bulk_put_items and client.list_bulk_operations


def test_one_place_of_the_tool_makes_sessions() -> None:
    made = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "bootstrap").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func)
        in ("botocore.session.Session", "botocore.session.get_session", "boto3.client")
    }
    assert made == {"bootstrap/aws/sdk.py"}


def test_a_request_is_sent_and_an_answer_read_as_their_shapes_say() -> None:
    sent: list[Any] = []

    def answer(request: Any, **_: Any) -> Any:
        sent.append(request)
        described = {
            "BulkOperationArn": "arn",
            "StartTime": 1.5,
            "BulkOperationUsage": [{"LocalSecondaryIndexes": {"by-date": {"BulkPutBytes": 7}}}],
        }
        body = json.dumps({"BulkOperationDescription": described}).encode()
        return botocore.awsrequest.AWSResponse(request.url, 200, {}, _Raw(body))

    client = dynamodb(sdk_session())
    client.meta.events.register("before-send.dynamodb", answer)
    described = client.start_bulk_put_items(**START)["BulkOperationDescription"]
    assert described["StartTime"].timestamp() == 1.5
    assert described["BulkOperationUsage"][0]["LocalSecondaryIndexes"]["by-date"] == {
        "BulkPutBytes": 7
    }
    [request] = sent
    assert request.headers["X-Amz-Target"] == b"DynamoDB_20120810.StartBulkPutItems"
    body = json.loads(request.body)
    assert body.pop("ClientToken"), "each call has a token"
    assert body == START


@pytest.mark.parametrize(
    "wrong",
    [
        {"MaxWriteRequestUnits": 1023},
        {"InputS3Configuration": {"S3Bucket": "in"}},
        {"OutputS3Configuration": {"S3Bucket": "out"}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_wrong_request_is_refused_before_it_is_sent(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParamValidationError):
        dynamodb(sdk_session()).start_bulk_put_items(**{**START, **wrong})


def test_an_sdk_that_knows_the_operations_uses_its_own_description(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_DATA_PATH", models(tmp_path / "newer", "service-2", newer_model()))
    session = sdk_session()
    assert str(sdk.DATA) not in session.get_component("data_loader").search_paths
    shape = dynamodb(session).meta.service_model.shape_for("BulkOperationSummary")
    assert "Newer" in shape.members
    assert shape.required_members == ["BulkOperationArn"], "nothing of the older one is merged in"


def test_extras_of_the_users_own_do_not_hide_the_operations(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mine = models(tmp_path / "mine", "service-2.sdk-extras", {"version": 1.0, "merge": {}})
    monkeypatch.setenv("AWS_DATA_PATH", mine)
    assert dynamodb(sdk_session()).list_bulk_operations


def test_an_iterator_by_time_is_sent_as_the_streams_api_takes_it() -> None:
    sent: list[Any] = []

    def answer(request: Any, **_: Any) -> Any:
        sent.append(request)
        return botocore.awsrequest.AWSResponse(
            request.url, 200, {}, _Raw(json.dumps({"ShardIterator": "token"}).encode())
        )

    client = sdk_session().create_client("dynamodbstreams", region_name="eu-west-1")
    client.meta.events.register("before-send.dynamodb-streams", answer)
    client.get_shard_iterator(
        StreamArn="arn:aws:dynamodb:eu-west-1:111111111111:table/orders/stream/1",
        ShardId="shardId-00000001573689847184-864758bb",
        ShardIteratorType="AT_TIMESTAMP",
        Timestamp=1791316726.5,
    )
    [request] = sent
    assert json.loads(request.body)["Timestamp"] == 1791316726.5


def test_an_sdk_that_knows_iterators_by_time_uses_its_own_description(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loader = sdk_session().get_component("data_loader")
    model = json.loads(json.dumps(loader.load_service_model("dynamodbstreams", "service-2")))
    file = tmp_path / f"{sdk.STREAM_MODEL}.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(model))
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    paths = sdk_session().get_component("data_loader").search_paths
    assert str(sdk.STREAM_DATA) not in paths
    assert str(sdk.DATA) in paths, "the bulk operations are another service's"


def test_other_sessions_of_the_process_stay_as_they_are() -> None:
    assert dynamodb(sdk_session()).list_bulk_operations
    assert not hasattr(dynamodb(botocore.session.Session()), "list_bulk_operations"), (
        "the pinned SDK knows the bulk operations: bootstrap/aws/sdk.py and its data can go"
    )


def test_the_operations_are_found_from_any_directory_and_nothing_is_said(tmp_path: Path) -> None:
    code = (
        "from bootstrap.aws.sdk import sdk_session\n"
        "client = sdk_session().create_client('dynamodb', region_name='eu-west-1')\n"
        "print(callable(client.cancel_bulk_operation))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("True\n", "", 0)


class _Raw:
    """The body of an answer, as urllib3 hands it over."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> list[bytes]:
        return [self._body]
