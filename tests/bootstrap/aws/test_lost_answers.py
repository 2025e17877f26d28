"""Calls whose answer is lost: the SDK repeats them, and AWS has its own reply to the repetition."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.config import Config

from bootstrap.aws.bulk_loads import AwsBulkLoads
from bootstrap.aws.calls import Calls
from bootstrap.aws.exports import AwsExports
from bootstrap.aws.journal_table import AwsJournal
from bootstrap.aws.ledger import AwsLedger
from bootstrap.aws.own_writes import AwsOwnWrites
from bootstrap.aws.sdk import sdk_session
from bootstrap.aws.source import AwsSource
from bootstrap.aws.target import AwsTarget
from bootstrap.core.bulk_facts import BulkRequest
from bootstrap.core.errors import AccountError, Side, UnavailableError
from bootstrap.core.facts import ExportRequest, ExportSpec, ImportRequest

pytestmark = [pytest.mark.promise("C6"), pytest.mark.slow]

ARN = "arn:aws:dynamodb:eu-west-1:111111111111:table/orders"
EXPORT = {"ExportArn": f"{ARN}/export/0001", "ExportStatus": "IN_PROGRESS", "S3Prefix": "p"}
LOST = (500, "InternalServerError", {"message": "the work was done"})

Reply = tuple[int, str, dict[str, Any]]


def ok(**body: Any) -> Reply:
    return 200, "", body


def refused(code: str, message: str = "as AWS says") -> Reply:
    return 400, code, {"message": message}


class Service:
    """AWS over HTTP: the replies to each operation, in order; the last one stays."""

    def __init__(self, **replies: list[Reply]) -> None:
        self.replies = replies
        self.asked: dict[str, list[Any]] = {}
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self._answer(self.headers["X-Amz-Target"].rpartition(".")[2])

            def do_PUT(self) -> None:
                self._answer("UpdateEventSourceMapping")

            def _answer(self, operation: str) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"]))
                status, code, body = service.answer(operation, json.loads(text or b"{}"))
                data = json.dumps({**body, "__type": code} if code else body).encode()
                self.send_response(status)
                if code:
                    self.send_header("x-amzn-errortype", code)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def answer(self, operation: str, request: Any) -> Reply:
        self.asked.setdefault(operation, []).append(request)
        left = self.replies[operation]
        return left.pop(0) if len(left) > 1 else left[0]

    def client(self, name: str) -> Any:
        session = sdk_session()
        return session.create_client(
            name,
            region_name="eu-west-1",
            endpoint_url=f"http://127.0.0.1:{self.server.server_port}",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=Config(retries={"mode": "standard", "total_max_attempts": 6}),
        )

    def twice(self, operation: str) -> Any:
        """Return the request that was made and repeated."""
        first, again = self.asked[operation]
        assert first == again
        return first


@pytest.fixture
def service() -> Iterator[Callable[..., Service]]:
    made: list[Service] = []

    def make(**replies: list[Reply]) -> Service:
        made.append(Service(**replies))
        return made[-1]

    yield make
    for each in made:
        each.server.shutdown()
        each.server.server_close()
        each.thread.join()


SCHEMA: dict[str, Any] = {
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
}


def target_of(service: Service) -> AwsTarget:
    calls = Calls(Side.TARGET, "Role importer")
    return AwsTarget(calls, service.client("dynamodb"), service.client("lambda"))


def test_the_repetition_of_an_export_is_the_same_export(service: Callable[..., Service]) -> None:
    aws = service(ExportTableToPointInTime=[LOST, ok(ExportDescription=EXPORT)])
    source = AwsSource(Calls(Side.SOURCE, "-"), aws.client("dynamodb"), None, None)
    found = source.export(ExportRequest(ARN, 1_000, "token", "b", "222222222222", "p"))
    assert found is not None
    assert found.arn == EXPORT["ExportArn"]
    assert aws.twice("ExportTableToPointInTime")["ClientToken"] == "token"


def test_the_repetition_of_a_verifications_export_is_the_same_export(
    service: Callable[..., Service],
) -> None:
    aws = service(ExportTableToPointInTime=[LOST, ok(ExportDescription=EXPORT)])
    exports = AwsExports(
        Calls(Side.TARGET, "-"),
        aws.client("dynamodb"),
        "orders",
        bucket="b",
        bucket_owner="2",
        key="",
    )
    found = exports.start(ARN, ExportSpec("token", "p", 1_000))
    assert found is not None
    assert found.arn == EXPORT["ExportArn"]
    assert aws.twice("ExportTableToPointInTime")["ClientToken"] == "token"


def test_the_repetition_of_an_import_says_that_the_table_exists(
    service: Callable[..., Service],
) -> None:
    aws = service(ImportTable=[LOST, refused("ResourceInUseException")])
    schema = {"TableName": "orders"} | SCHEMA
    with pytest.raises(AccountError) as caught:
        target_of(aws).import_table(ImportRequest("token", "b", "2", "p", schema))
    assert caught.value.code == "ResourceInUseException"
    assert aws.twice("ImportTable")["ClientToken"] == "token"


def test_the_repetition_of_making_a_table_is_tried_again_and_finds_it(
    service: Callable[..., Service],
) -> None:
    aws = service(CreateTable=[LOST, refused("ResourceInUseException")])
    with pytest.raises(UnavailableError):
        target_of(aws).create_table({"TableName": "orders"} | SCHEMA)
    aws.twice("CreateTable")


def test_the_repetition_of_a_bulk_load_is_the_same_operation(
    service: Callable[..., Service],
) -> None:
    arn = f"{ARN}/bulk-operation/01"
    begun = {"BulkOperationArn": arn, "BulkOperationStatus": "IN_PROGRESS"}
    aws = service(StartBulkPutItems=[LOST, ok(BulkOperationDescription=begun)])
    loads = AwsBulkLoads(Calls(Side.TARGET, "-"), aws.client("dynamodb"), None)
    assert loads.start(BulkRequest("token", ARN, "b", "222222222222", "p/", "o/")).arn == arn
    assert aws.twice("StartBulkPutItems")["ClientToken"] == "token"


def test_the_repetition_of_a_cancellation_finds_it_cancelling_or_over(
    service: Callable[..., Service],
) -> None:
    arn = f"{ARN}/bulk-operation/01"
    asked = {"BulkOperationArn": arn, "BulkOperationStatus": "CANCELLING"}
    aws = service(CancelBulkOperation=[LOST, ok(**asked)])
    AwsBulkLoads(Calls(Side.TARGET, "-"), aws.client("dynamodb"), None).cancel(arn)
    aws.twice("CancelBulkOperation")
    over = {"BulkOperationArn": arn, "BulkOperationStatus": "CANCELLED"}
    aws = service(
        CancelBulkOperation=[LOST, refused("ValidationException")],
        DescribeBulkOperation=[ok(BulkOperationDescription=over)],
    )
    AwsBulkLoads(Calls(Side.TARGET, "-"), aws.client("dynamodb"), None).cancel(arn)
    aws.twice("CancelBulkOperation")


@pytest.mark.parametrize(
    "reply", [ok(), refused("ContinuousBackupsUnavailableException")], ids=["done", "in progress"]
)
def test_the_repetition_of_switching_recovery_on_is_done_or_tried_again(
    reply: Reply, service: Callable[..., Service]
) -> None:
    aws = service(UpdateContinuousBackups=[LOST, reply])
    if reply[0] == 200:
        target_of(aws).enable_backups("orders")
    else:
        with pytest.raises(UnavailableError):
            target_of(aws).enable_backups("orders")
    aws.twice("UpdateContinuousBackups")


def test_the_repetition_of_a_change_of_time_to_live_is_no_failure(
    service: Callable[..., Service],
) -> None:
    aws = service(
        UpdateTimeToLive=[LOST, refused("ValidationException", "TimeToLive is already enabled")],
        DescribeTimeToLive=[
            ok(TimeToLiveDescription={"TimeToLiveStatus": "ENABLING", "AttributeName": "until"})
        ],
    )
    target_of(aws).set_expiry("orders", "until", True)
    aws.twice("UpdateTimeToLive")


def test_the_repetition_of_a_change_of_a_table_is_tried_again(
    service: Callable[..., Service],
) -> None:
    aws = service(UpdateTable=[LOST, refused("ResourceInUseException")])
    with pytest.raises(UnavailableError):
        target_of(aws).protect("orders")
    aws.twice("UpdateTable")


@pytest.mark.parametrize("code", ["ResourceInUseException", "ResourceConflictException"])
def test_the_repetition_of_switching_the_consumer_on_is_no_failure(
    code: str, service: Callable[..., Service]
) -> None:
    aws = service(UpdateEventSourceMapping=[LOST, refused(code)])
    target_of(aws).enable_mapping("12345678-1234-1234-1234-123456789012")
    aws.twice("UpdateEventSourceMapping")


def test_the_repetition_of_a_deletion_finds_no_table(service: Callable[..., Service]) -> None:
    aws = service(DeleteTable=[LOST, refused("ResourceNotFoundException")])
    target_of(aws).drop("orders")
    aws.twice("DeleteTable")


def test_the_repetition_of_a_deletion_in_progress_is_tried_again(
    service: Callable[..., Service],
) -> None:
    aws = service(DeleteTable=[LOST, refused("ResourceInUseException")])
    with pytest.raises(UnavailableError):
        target_of(aws).drop("orders")


def test_the_repetition_of_a_claim_meets_the_first(service: Callable[..., Service]) -> None:
    aws = service(UpdateItem=[LOST, refused("ConditionalCheckFailedException")])
    journal = AwsJournal(Calls(Side.TARGET, "-"), aws.client("dynamodb"), "journal")
    assert journal.claim("orders", 0, "holder", 1.0) is False, "the lease reads the row then"


def test_the_repetition_of_storing_the_floor_reads_what_is_stored(
    service: Callable[..., Service],
) -> None:
    row = {"k": {"B": "c2V0dGluZ3M="}, "floor": {"N": "5"}}
    aws = service(
        UpdateItem=[LOST, refused("ConditionalCheckFailedException")], GetItem=[ok(Item=row)]
    )
    ledger = AwsLedger(Calls(Side.TARGET, "-"), aws.client("dynamodb"), "ledger")
    assert ledger.store_floor(5, "snapshot").floor == 5


def test_the_repetition_of_a_note_of_own_writes_counts_them_once(
    service: Callable[..., Service],
) -> None:
    aws = service(PutItem=[LOST, ok()])
    notes = AwsOwnWrites(Calls(Side.TARGET, "-"), aws.client("dynamodb"), "journal")
    notes.add("orders", 120.0, 4.0)
    assert aws.twice("PutItem")["Item"]["units"] == {"N": "4"}
