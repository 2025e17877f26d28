"""Bulk operations as the importer asks for them: requests, searches, refusals, output."""

from __future__ import annotations

import datetime
import gzip
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bootstrap.aws.bulk_loads import AwsBulkLoads
from bootstrap.aws.calls import Calls
from bootstrap.aws.paging import BrokenListingError
from bootstrap.core.bulk_facts import BulkFacts, BulkFailure, BulkRequest
from bootstrap.core.errors import AccessDeniedError, AccountError, Side, UnavailableError
from replicator.canonical import key_digest
from tests.support.fakes.errors import client_error
from tests.support.fakes.requests import check_shape
from tests.support.fakes.s3 import FakeS3

TABLE = "arn:aws:dynamodb:eu-west-1:222222222222:table/orders"
OTHER = "arn:aws:dynamodb:eu-west-1:222222222222:table/others"
NOW = 1_780_000_000.0

REQUEST = BulkRequest(
    token="token",
    table_arn=TABLE,
    bucket="snapshots",
    bucket_owner="222222222222",
    prefix="orders/run/AWSDynamoDB/1/data/",
    output_prefix="orders/run/bulk-output/token/",
)


def moment(at: float) -> datetime.datetime:
    """A time as AWS answers it: in whole seconds."""
    return datetime.datetime.fromtimestamp(int(at), datetime.UTC)


class Operations:
    """DynamoDB with bulk operations, newest first; each request is held against the model."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.asked: list[dict[str, Any]] = []
        self.operations: dict[str, dict[str, Any]] = {}
        self.trouble: Callable[[str], None] = lambda name: None
        self.allowed = ""
        """What the ARN of an operation begins with that the caller may describe."""

    def add(
        self,
        at: float,
        table: str | None = OTHER,
        token: str = "theirs",
        status: str = "COMPLETED",
        gone: bool = False,
        of: str = TABLE,
        ended: float | None = None,
    ) -> str:
        """Add an operation on `table`, whose ARN begins with `of`."""
        arn = f"{of}/bulk-operation/{len(self.operations):05}"
        self.operations[arn] = {
            "BulkOperationArn": arn,
            "BulkOperationStatus": status,
            "StartTime": moment(at),
            "ClientToken": token,
            "gone": gone,
            **({} if ended is None else {"EndTime": moment(ended)}),
            **({} if table is None else {"TableDetails": [{"TableName": table, "TableId": "id"}]}),
        }
        return arn

    def _call(self, name: str, request: dict[str, Any]) -> None:
        check_shape("dynamodb", name, request)
        self.calls[name] += 1
        self.asked.append(request)
        self.trouble(name)

    def start_bulk_put_items(self, **request: Any) -> dict[str, Any]:
        self._call("StartBulkPutItems", request)
        arn = self.add(NOW, request["TableName"], request["ClientToken"], "IN_PROGRESS")
        return {"BulkOperationDescription": self.operations[arn]}

    def describe_bulk_operation(self, **request: Any) -> dict[str, Any]:
        self._call("DescribeBulkOperation", request)
        found = self.operations.get(request["BulkOperationArn"])
        if not request["BulkOperationArn"].startswith(self.allowed):
            raise client_error("DescribeBulkOperation", "AccessDeniedException", "not authorized")
        if found is None or found["gone"]:
            raise client_error("DescribeBulkOperation", "ResourceNotFoundException", "not found")
        return {"BulkOperationDescription": found}

    def list_bulk_operations(self, **request: Any) -> dict[str, Any]:
        self._call("ListBulkOperations", request)
        rows = sorted(self.operations.values(), key=lambda each: each["StartTime"], reverse=True)
        names = ("BulkOperationArn", "BulkOperationStatus", "StartTime", "EndTime")
        first, size = int(request.get("NextToken") or "0", 16), request["MaxResults"]
        page = [
            {name: each[name] for name in names if name in each}
            for each in rows[first : first + size]
        ]
        more = first + size < len(rows)
        return {
            "BulkOperationsSummaryList": page,
            **({"NextToken": f"{first + size:016x}"} if more else {}),
        }

    def cancel_bulk_operation(self, **request: Any) -> dict[str, Any]:
        self._call("CancelBulkOperation", request)
        return {"BulkOperationArn": request["BulkOperationArn"], "BulkOperationStatus": "-"}


@pytest.fixture
def aws() -> Operations:
    return Operations()


@pytest.fixture
def s3() -> FakeS3:
    made = FakeS3(lambda: NOW)
    made.create_bucket(Bucket="out")
    return made


@pytest.fixture
def loads(aws: Operations, s3: FakeS3) -> AwsBulkLoads:
    return AwsBulkLoads(Calls(Side.TARGET, "Role importer"), aws, s3)


def fail(name: str, code: str, times: int = 99) -> Callable[[str], None]:
    left = [times]

    def trouble(called: str) -> None:
        if called == name and left[0]:
            left[0] -= 1
            raise client_error(name, code, "it is refused")

    return trouble


# -- start -----------------------------------------------------------------------------------------


def test_a_load_names_its_token_its_table_and_both_prefixes_and_nothing_that_is_not_asked(
    loads: AwsBulkLoads, aws: Operations
) -> None:
    facts = loads.start(REQUEST)
    assert (facts.status, facts.terminal, facts.token) == ("IN_PROGRESS", False, "token")
    assert aws.asked == [
        {
            "TableName": TABLE,
            "ClientToken": "token",
            "InputS3Configuration": {
                "S3Bucket": "snapshots",
                "S3BucketOwner": "222222222222",
                "S3KeyPrefix": "orders/run/AWSDynamoDB/1/data/",
                "InputFormat": "DYNAMODB_JSON",
                "InputCompressionType": "GZIP",
            },
            "OutputS3Configuration": {
                "S3Bucket": "snapshots",
                "S3BucketOwner": "222222222222",
                "S3KeyPrefix": "orders/run/bulk-output/token/",
                "OutputType": ["ERROR"],
            },
        }
    ]


def test_a_load_takes_a_tier_a_limit_and_the_buckets_key(
    loads: AwsBulkLoads, aws: Operations
) -> None:
    loads.start(
        replace(REQUEST, tier="ACCELERATED", max_write_request_units=2048, key_arn="arn:key")
    )
    [asked] = aws.asked
    assert (asked["PerformanceTier"], asked["MaxWriteRequestUnits"]) == ("ACCELERATED", 2048)
    output = asked["OutputS3Configuration"]
    assert (output["S3SseAlgorithm"], output["S3SseKmsKeyId"]) == ("KMS", "arn:key")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("LimitExceededException", UnavailableError),
        ("ResourceInUseException", UnavailableError),
        ("IdempotentParameterMismatchException", AccountError),
        ("ResourceNotFoundException", AccountError),
        ("ValidationException", AccountError),
    ],
)
def test_a_refused_load_is_tried_again_only_if_the_refusal_passes(
    loads: AwsBulkLoads, aws: Operations, code: str, error: type[AccountError]
) -> None:
    aws.trouble = fail("StartBulkPutItems", code)
    with pytest.raises(AccountError) as refused:
        loads.start(REQUEST)
    assert type(refused.value) is error
    assert refused.value.code == code
    assert TABLE in refused.value.what


# -- describe and cancel ---------------------------------------------------------------------------


def test_a_description_is_read_with_what_it_leaves_out(
    loads: AwsBulkLoads, aws: Operations
) -> None:
    arn = aws.add(NOW, TABLE, "mine", "CANCELLED")
    aws.operations[arn] |= {
        "EndTime": moment(NOW + 60),
        "ProcessedItemCount": 10,
        "FailedItemCount": 2,
        "ProcessedInputBytes": 500,
        "InputS3Configuration": {"S3Bucket": "in", "S3KeyPrefix": "p/"},
        "OutputS3Configuration": {"S3Bucket": "out", "S3KeyPrefix": "o/"},
        "FailureCode": "Cancelled",
        "FailureMessage": "it was",
    }
    assert loads.describe(arn) == BulkFacts(
        arn=arn,
        status="CANCELLED",
        table_arn=TABLE,
        table_id="id",
        token="mine",
        prefix="p/",
        processed_items=10,
        failed_items=2,
        processed_bytes=500,
        total_bytes=None,
        started=NOW,
        ended=NOW + 60,
        failure_code="Cancelled",
        failure="it was",
        output_bucket="out",
        output_prefix="o/",
    )


def test_an_unknown_operation_is_none(loads: AwsBulkLoads) -> None:
    assert loads.describe("arn:" + "x" * 40) is None


def test_a_cancellation_of_an_ended_operation_is_no_failure(
    loads: AwsBulkLoads, aws: Operations
) -> None:
    aws.trouble = fail("CancelBulkOperation", "ValidationException")
    loads.cancel(aws.add(NOW, status="COMPLETED"))
    with pytest.raises(AccountError, match="ValidationException"):
        loads.cancel(aws.add(NOW, status="IN_PROGRESS"))
    with pytest.raises(AccountError, match="ValidationException"):
        loads.cancel(aws.add(NOW, gone=True))


# -- searches --------------------------------------------------------------------------------------


def test_an_operation_is_found_by_its_token_among_the_latest_alone(
    loads: AwsBulkLoads, aws: Operations
) -> None:
    for hour in range(200):
        aws.add(NOW - hour * 3600)
    mine = aws.add(NOW - 1800, TABLE, "mine")
    facts = loads.find("mine", TABLE, NOW - 7200.4)
    assert facts is not None
    assert facts.arn == mine
    assert aws.calls["ListBulkOperations"] == 1
    assert aws.calls["DescribeBulkOperation"] <= 4, "only those that can be ours"


def test_an_operation_that_began_in_the_second_of_the_search_is_found(
    loads: AwsBulkLoads, aws: Operations
) -> None:
    mine = aws.add(NOW, TABLE, "mine")
    facts = loads.find("mine", TABLE, NOW + 0.9)
    assert facts is not None and facts.arn == mine


def test_an_operation_that_never_began_is_missed_without_reading_all(
    loads: AwsBulkLoads, aws: Operations
) -> None:
    for hour in range(500):
        aws.add(NOW - hour * 3600)
    assert loads.find("mine", TABLE, NOW - 30 * 3600) is None
    assert aws.calls["ListBulkOperations"] == 3
    assert aws.calls["DescribeBulkOperation"] == 31


def test_all_pages_are_read_for_the_operations_on_a_table(
    loads: AwsBulkLoads, aws: Operations
) -> None:
    for hour in range(60):
        aws.add(NOW - hour * 3600)
    old = aws.add(NOW - 80 * 86400, TABLE, "old", "IN_PROGRESS")
    named = aws.add(NOW - 70 * 86400, "orders", "by name", "CANCELLING")
    aws.add(NOW, "others", "another's name", "IN_PROGRESS")
    aws.add(NOW - 60 * 86400, TABLE, "ended", "COMPLETED")
    assert {each.arn for each in loads.on_table(TABLE)} == {old, named}
    assert aws.calls["ListBulkOperations"] == 3
    assert aws.calls["DescribeBulkOperation"] == 3, "ended ones need no description"


@pytest.mark.promise("C7")
def test_operations_are_listed_that_ended_since_a_moment_whenever_they_began(
    loads: AwsBulkLoads, aws: Operations
) -> None:
    aws.add(NOW - 7200, TABLE, "before", "COMPLETED", ended=NOW - 62)
    later = aws.add(NOW - 7200, TABLE, "theirs", "FAILED", ended=NOW - 60)
    unsaid = aws.add(NOW - 7200, TABLE, "without a time", "COMPLETED")
    running = aws.add(NOW - 7200, TABLE, "running", "IN_PROGRESS")
    assert {each.arn for each in loads.on_table(TABLE, NOW - 60.5)} == {later, unsaid, running}


@pytest.mark.parametrize("unknown", ["no table", "not described", "a state of a later release"])
def test_what_is_not_known_of_an_operation_counts_as_on_the_table(
    loads: AwsBulkLoads, aws: Operations, unknown: str
) -> None:
    if unknown == "no table":
        arn = aws.add(NOW, None, status="IN_PROGRESS")
    elif unknown == "not described":
        arn = aws.add(NOW, OTHER, status="IN_PROGRESS", gone=True)
    else:
        arn = aws.add(NOW, TABLE, status="PAUSED")
    [found] = loads.on_table(TABLE)
    assert (found.arn, found.terminal) == (arn, False)


def test_an_operation_that_ends_between_list_and_description_is_over(
    loads: AwsBulkLoads, aws: Operations
) -> None:
    arn = aws.add(NOW, TABLE, status="IN_PROGRESS")

    def end(name: str) -> None:
        if name == "DescribeBulkOperation":
            aws.operations[arn]["BulkOperationStatus"] = "COMPLETED"

    aws.trouble = end
    assert loads.on_table(TABLE) == []


def test_a_listing_whose_later_page_is_refused_begins_anew_and_then_is_unknown(
    loads: AwsBulkLoads, aws: Operations
) -> None:
    for hour in range(60):
        aws.add(NOW - hour * 3600)
    refused = [0]

    def refuse(name: str) -> None:
        if name == "ListBulkOperations" and "NextToken" in aws.asked[-1]:
            refused[0] += 1
            raise client_error(name, "ValidationException", "the token")

    aws.trouble = refuse
    with pytest.raises(BrokenListingError, match="what follows is unknown"):
        loads.on_table(TABLE)
    with pytest.raises(BrokenListingError):
        loads.find("mine", TABLE, 0)
    assert refused[0] == 4, "each search began once more"


FORMLESS = "arn:aws:dynamodb:eu-west-1:222222222222:bulk"
"""An ARN that names no table."""


@pytest.mark.promise("C8")
@pytest.mark.parametrize("status", ["IN_PROGRESS", "COMPLETED"])
def test_an_operation_on_another_table_needs_no_right_to_describe_it(
    loads: AwsBulkLoads, aws: Operations, status: str
) -> None:
    aws.allowed = f"{TABLE}/bulk-operation/"
    aws.add(NOW, OTHER, "mine", status, of=OTHER)
    aws.add(NOW, f"{TABLE}-2", "mine", status, of=f"{TABLE}-2")
    assert loads.on_table(TABLE, NOW) == []
    assert loads.find("mine", TABLE, NOW) is None
    mine = aws.add(NOW, TABLE, "mine", status)
    assert [each.arn for each in loads.on_table(TABLE, NOW)] == [mine]
    found = loads.find("mine", TABLE, NOW)
    assert found is not None and found.arn == mine
    assert aws.calls["DescribeBulkOperation"] == 2


def test_an_operation_that_may_not_be_described_and_names_no_table_counts_as_on_it(
    loads: AwsBulkLoads, aws: Operations
) -> None:
    aws.allowed = f"{TABLE}/bulk-operation/"
    arn = aws.add(NOW, OTHER, status="IN_PROGRESS", of=FORMLESS)
    [found] = loads.on_table(TABLE)
    assert (found.arn, found.terminal, found.counted) == (arn, False, False)
    with pytest.raises(AccessDeniedError):
        loads.find("mine", TABLE, NOW)


def test_a_missing_right_to_describe_the_tables_own_operations_is_an_error(
    loads: AwsBulkLoads, aws: Operations
) -> None:
    aws.allowed = "nothing"
    aws.add(NOW, TABLE, "mine", "IN_PROGRESS")
    for ask in (lambda: loads.on_table(TABLE), lambda: loads.find("mine", TABLE, NOW)):
        with pytest.raises(AccessDeniedError, match="DescribeBulkOperation"):
            ask()


# -- output ----------------------------------------------------------------------------------------

FACTS = BulkFacts("arn", "COMPLETED", output_bucket="out", output_prefix="o/")


def digest(key: dict[str, Any]) -> str:
    return key_digest(key).hex()


def put(s3: FakeS3, key: str, *records: Any, zipped: bool = False) -> None:
    text = "".join(
        (each if isinstance(each, str) else json.dumps(each, ensure_ascii=False)) + "\n"
        for each in records
    ).encode()
    s3.put_object(Bucket="out", Key=f"o/{key}", Body=gzip.compress(text) if zipped else text)


def record(item: dict[str, Any], message: str, **more: Any) -> dict[str, Any]:
    return {
        "Item": item,
        "ErrorCode": "ValidationException",
        "ErrorMessage": message,
        "InputObject": "data/1",
        **more,
    }


def test_refused_items_are_listed_by_digest_and_reason(loads: AwsBulkLoads, s3: FakeS3) -> None:
    put(
        s3,
        "1/ERROR/0.json",
        record({"pk": {"S": "a"}, "sk": {"N": "1.0"}, "x": {"S": "s"}}, "Item size has exceeded"),
        record({"pk": {"S": "a"}, "sk": {"B": "AQI="}}, "Type mismatch for Index Key by-day"),
    )
    put(s3, "1/manifest.json", {"processedItemCount": 2})
    found = loads.failures(FACTS, ["pk", "sk"], 10)
    assert found.first == (
        BulkFailure(
            digest({"pk": {"S": "a"}, "sk": {"N": "1"}}),
            "ValidationException: the item is too large",
        ),
        BulkFailure(
            digest({"pk": {"S": "a"}, "sk": {"B": b"\x01\x02"}}),
            "ValidationException: an index key has another type",
        ),
    )
    assert (found.more, found.unreadable) == (False, 0)


@pytest.mark.parametrize("zipped", [False, True])
def test_the_output_is_read_as_far_as_is_asked_for(
    loads: AwsBulkLoads, s3: FakeS3, zipped: bool
) -> None:
    many = [record({"pk": {"S": f"k{n}"}}, "") for n in range(5)]
    put(s3, "1", *many[:3], zipped=zipped)
    put(s3, "2", *many[3:], zipped=zipped)
    found = loads.failures(FACTS, ["pk"], 4)
    assert [each.key for each in found.first] == [digest({"pk": {"S": f"k{n}"}}) for n in range(4)]
    assert found.more
    assert not loads.failures(FACTS, ["pk"], 5).more


@pytest.mark.parametrize(
    "other",
    [
        {"record": {"item": {"pk": {"S": "a"}}}, "code": "ValidationException"},
        {"Keys": {"pk": {"S": "a"}}, "failureCode": "ValidationException"},
        {
            "rawRecord": json.dumps({"Item": {"pk": {"S": "a"}}}),
            "error-code": "ValidationException",
        },
    ],
)
def test_a_key_is_found_under_other_names_too(
    loads: AwsBulkLoads, s3: FakeS3, other: dict[str, Any]
) -> None:
    put(s3, "1", other)
    [failure] = loads.failures(FACTS, ["pk"], 1).first
    assert failure == BulkFailure(digest({"pk": {"S": "a"}}), "ValidationException")


def test_an_item_without_a_key_is_listed_without_one(loads: AwsBulkLoads, s3: FakeS3) -> None:
    put(s3, "1", record({"x": {"S": "a"}}, "Missing the key pk in the item"), {"LineNumber": 3})
    first, second = loads.failures(FACTS, ["pk"], 9).first
    assert first == BulkFailure("", "ValidationException: a key attribute is missing")
    assert second == BulkFailure("", "the output names no known reason")


def test_lines_and_objects_of_an_unknown_form_are_counted(loads: AwsBulkLoads, s3: FakeS3) -> None:
    good = record({"pk": {"S": "a"}}, "")
    put(s3, "1", "no json", good, "[1]", '"text"')
    damaged = gzip.compress(json.dumps(good).encode() * 100)[:-20]
    s3.put_object(Bucket="out", Key="o/2", Body=damaged)
    put(s3, "3", good)
    found = loads.failures(FACTS, ["pk"], 9)
    assert (len(found.first), found.more, found.unreadable) == (2, False, 4)


def test_every_stream_of_a_gzipped_object_is_read(loads: AwsBulkLoads, s3: FakeS3) -> None:
    texts = [json.dumps(record({"pk": {"S": each}}, "")) + "\n" for each in "abc"]
    body = b"".join(gzip.compress(each.encode()) for each in texts)
    s3.put_object(Bucket="out", Key="o/1", Body=body)
    s3.put_object(Bucket="out", Key="o/2", Body=body + b"no gzip")
    found = loads.failures(FACTS, ["pk"], 9)
    assert (len(found.first), found.unreadable) == (6, 1)


def test_nothing_of_an_item_is_in_a_reason(loads: AwsBulkLoads, s3: FakeS3) -> None:
    secret = "SecretException"
    put(
        s3,
        "1",
        record({"pk": {"S": "a"}, "code": {"S": secret}}, f"the value {secret} of a is wrong"),
        {"Item": {"pk": {"S": "a"}}, "Message": f"unexpected {secret}", "Code": f"{secret} at 1"},
        {"Message": f"not valid JSON: {secret}"},
    )
    found = loads.failures(FACTS, ["pk"], 9)
    assert [each.reason for each in found.first] == [
        "ValidationException",
        "the output names no known reason",
        "the line is not a record of DynamoDB's JSON",
    ]


def test_an_unknown_output_location_is_not_read_as_no_failures(loads: AwsBulkLoads) -> None:
    assert loads.failures(replace(FACTS, output_bucket=""), ["pk"], 9).unreadable == 1
