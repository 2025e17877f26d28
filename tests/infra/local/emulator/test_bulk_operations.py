"""Bulk operations: started once a token, listed, cancelled, and refused as AWS refuses them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from tests.support.infra.bulk_puts import (
    INPUT,
    OUTPUT,
    described,
    ended,
    item,
    keys_in,
    load,
    offer,
    report,
    request,
    start,
)
from tests.support.infra.clouds import (
    as_role,
    bulk_client,
    capture,
    changes,
    make_bucket,
    make_role,
    make_stream,
    make_table,
    policy,
    until,
)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
LINES = [item(f"k{n:03}", text={"S": "x" * 200}) for n in range(100)]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), bulk="seconds=1.5") as running:
        make_bucket(running, TARGET, INPUT)
        make_bucket(running, TARGET, OUTPUT)
        yield running


@pytest.fixture(scope="module")
def dynamodb(cloud: LocalCloud) -> Any:
    return bulk_client(cloud, TARGET)


def refusal(call: Any, **given: Any) -> tuple[str, str]:
    """The code and the message of a call that is refused."""
    with pytest.raises(ClientError) as caught:
        call(**given)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


# -- time ------------------------------------------------------------------------------------------


def test_an_operation_takes_time_and_shows_how_far_it_is(cloud: LocalCloud, dynamodb: Any) -> None:
    make_table(dynamodb, "progress")
    offer(cloud, "progress", LINES[:50], LINES[50:])
    begun = start(dynamodb, "progress")
    arn = begun["BulkOperationArn"]
    assert (begun["BulkOperationStatus"], begun["ProcessedItemCount"]) == ("IN_PROGRESS", 0)
    assert "TotalInputBytes" not in begun, "the objects have not been measured yet"
    assert "EndTime" not in begun

    def halfway() -> dict[str, Any] | None:
        found = described(dynamodb, arn)
        return found if 20 <= found["ProcessedItemCount"] < 95 else None

    half = until(halfway, "the middle of the operation")
    assert half["BulkOperationStatus"] == "IN_PROGRESS"
    assert 0 < half["ProcessedInputBytes"] < half["TotalInputBytes"]
    assert half["BulkOperationUsage"][0]["Table"]["BulkPutBytes"] > 0
    assert 20 <= len(keys_in(dynamodb, "progress")) < 100, "items are in the table as they are put"
    done = ended(dynamodb, arn)
    assert (done["BulkOperationStatus"], done["ProcessedItemCount"]) == ("COMPLETED", 100)


def test_an_operation_outlives_the_process_that_started_it(
    cloud: LocalCloud, dynamodb: Any
) -> None:
    make_table(dynamodb, "outlives")
    offer(cloud, "outlives", LINES)
    code = (
        "import os, signal\n"
        "from bootstrap.aws.sdk import sdk_session\n"
        f"client = sdk_session('target').create_client('dynamodb')\n"
        f"begun = client.start_bulk_put_items(**{request('outlives')!r})\n"
        "print(begun['BulkOperationDescription']['BulkOperationArn'], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=cloud.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == -9, ran.stderr
    arn = ran.stdout.strip()
    assert described(dynamodb, arn)["BulkOperationStatus"] == "IN_PROGRESS"
    assert ended(dynamodb, arn)["BulkOperationStatus"] == "COMPLETED"
    assert len(keys_in(dynamodb, "outlives")) == 100


# -- tokens ----------------------------------------------------------------------------------------


def test_a_token_is_one_operation_while_it_runs_and_after_it(
    cloud: LocalCloud, dynamodb: Any
) -> None:
    make_table(dynamodb, "token")
    offer(cloud, "token", LINES)
    first = start(dynamodb, "token", ClientToken="once")["BulkOperationArn"]
    assert start(dynamodb, "token", ClientToken="once")["BulkOperationArn"] == first
    ended(dynamodb, first)
    again = start(dynamodb, "token", ClientToken="once")
    assert again["BulkOperationArn"] == first
    assert again["BulkOperationStatus"] == "COMPLETED"
    assert start(dynamodb, "token", ClientToken="twice")["BulkOperationArn"] != first


def test_a_token_with_other_parameters_is_refused(cloud: LocalCloud, dynamodb: Any) -> None:
    make_table(dynamodb, "mismatch")
    offer(cloud, "mismatch", LINES)
    start(dynamodb, "mismatch", ClientToken="mine")
    for other in ({"PerformanceTier": "ACCELERATED"}, {"MaxWriteRequestUnits": 4096}):
        changed = request("mismatch", ClientToken="mine", **other)
        code, _ = refusal(dynamodb.start_bulk_put_items, **changed)
        assert code == "IdempotentParameterMismatchException"


# -- list and cancel -------------------------------------------------------------------------------


def test_the_list_is_newest_first_and_has_pages(cloud: LocalCloud, dynamodb: Any) -> None:
    make_table(dynamodb, "listed")
    offer(cloud, "listed", LINES[:1])
    arns = [start(dynamodb, "listed")["BulkOperationArn"] for _ in range(12)]
    page = dynamodb.list_bulk_operations()
    assert len(page["BulkOperationsSummaryList"]) == 10, "the default"
    found, asked = [], {"MaxResults": 5}
    while True:
        answer = dynamodb.list_bulk_operations(**asked)
        found += answer["BulkOperationsSummaryList"]
        if "NextToken" not in answer:
            break
        assert re.fullmatch("([0-9a-f]{16})+", answer["NextToken"])
        asked["NextToken"] = answer["NextToken"]
        start(dynamodb, "listed")  # one that begins meanwhile repeats and hides none
    listed = [each["BulkOperationArn"] for each in found]
    assert [each for each in listed if each in arns] == arns[::-1]
    assert len(set(listed)) == len(listed)
    assert all(
        each.keys() <= {"BulkOperationArn", "BulkOperationStatus", "StartTime", "EndTime"}
        for each in found
    ), "a summary names no table"
    for arn in arns:
        ended(dynamodb, arn)


def test_a_cancelled_operation_stops_later_and_what_it_wrote_stays(
    cloud: LocalCloud, dynamodb: Any
) -> None:
    make_table(dynamodb, "cancelled")
    offer(cloud, "cancelled", LINES)
    arn = start(dynamodb, "cancelled")["BulkOperationArn"]
    until(lambda: described(dynamodb, arn)["ProcessedItemCount"] > 10, "some items")
    answer = dynamodb.cancel_bulk_operation(BulkOperationArn=arn)
    assert (answer["BulkOperationArn"], answer["BulkOperationStatus"]) == (arn, "CANCELLING")
    assert described(dynamodb, arn)["BulkOperationStatus"] == "CANCELLING"
    assert dynamodb.cancel_bulk_operation(BulkOperationArn=arn)["BulkOperationStatus"] == (
        "CANCELLING"
    )
    found = ended(dynamodb, arn)
    assert found["BulkOperationStatus"] == "CANCELLED"
    assert found["FailureCode"] and found["FailureMessage"] and found["EndTime"]
    written = len(keys_in(dynamodb, "cancelled"))
    assert 10 < written == found["ProcessedItemCount"] < 100
    code, _ = refusal(dynamodb.cancel_bulk_operation, BulkOperationArn=arn)
    assert code == "ValidationException", "it has ended"


@pytest.mark.parametrize("call", ["describe_bulk_operation", "cancel_bulk_operation"])
def test_an_unknown_operation_is_not_found(dynamodb: Any, call: str) -> None:
    arn = f"arn:aws:dynamodb:eu-west-1:{TARGET.account_id}:table/no/bulk-operation/none"
    code, _ = refusal(getattr(dynamodb, call), BulkOperationArn=arn)
    assert code == "ResourceNotFoundException"


def test_another_account_sees_no_operation(cloud: LocalCloud, dynamodb: Any) -> None:
    found = load(cloud, dynamodb, "private", LINES[:1])
    other = bulk_client(cloud, SOURCE)
    assert other.list_bulk_operations()["BulkOperationsSummaryList"] == []
    code, _ = refusal(other.describe_bulk_operation, BulkOperationArn=found["BulkOperationArn"])
    assert code == "ResourceNotFoundException"


# -- the table -------------------------------------------------------------------------------------


def test_a_missing_table_is_not_found(dynamodb: Any) -> None:
    for name in ("missing", f"arn:aws:dynamodb:eu-west-1:{SOURCE.account_id}:table/theirs"):
        code, _ = refusal(dynamodb.start_bulk_put_items, **request(name, "missing"))
        assert code == "ResourceNotFoundException"


def test_a_table_that_is_being_imported_is_in_use(cloud: LocalCloud, dynamodb: Any) -> None:
    offer(cloud, "creating", LINES[:1])
    dynamodb.import_table(
        S3BucketSource={"S3Bucket": INPUT, "S3KeyPrefix": "creating/data/"},
        InputFormat="DYNAMODB_JSON",
        InputCompressionType="GZIP",
        TableCreationParameters={
            "TableName": "creating",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )
    code, message = refusal(dynamodb.start_bulk_put_items, **request("creating"))
    assert (code, "CREATING" in message) == ("ResourceInUseException", True)


def test_a_table_with_an_index_being_created_is_in_use_until_the_index_is_active(
    cloud: LocalCloud, dynamodb: Any
) -> None:
    make_table(dynamodb, "indexing")
    offer(cloud, "indexing", LINES[:1])
    dynamodb.update_table(
        TableName="indexing",
        AttributeDefinitions=[{"AttributeName": "word", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "by-word",
                    "KeySchema": [{"AttributeName": "word", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )
    code, message = refusal(dynamodb.start_bulk_put_items, **request("indexing"))
    assert (code, "by-word" in message) == ("ResourceInUseException", True)

    def active() -> bool:
        [index] = dynamodb.describe_table(TableName="indexing")["Table"]["GlobalSecondaryIndexes"]
        return bool(index["IndexStatus"] == "ACTIVE")

    until(active, "the index ACTIVE")
    assert start(dynamodb, "indexing")["BulkOperationStatus"] == "IN_PROGRESS"


def test_a_global_table_is_not_loaded_and_a_loading_table_gets_no_replica(
    cloud: LocalCloud, dynamodb: Any
) -> None:
    replica = [{"Create": {"RegionName": "eu-central-1"}}]
    make_table(dynamodb, "loading")
    offer(cloud, "loading", LINES)
    arn = start(dynamodb, "loading")["BulkOperationArn"]
    code, _ = refusal(dynamodb.update_table, TableName="loading", ReplicaUpdates=replica)
    assert code == "ResourceInUseException"
    ended(dynamodb, arn)
    dynamodb.update_table(TableName="loading", ReplicaUpdates=replica)
    code, message = refusal(dynamodb.start_bulk_put_items, **request("loading"))
    assert (code, "global table" in message) == ("ValidationException", True)


def test_a_table_that_is_made_anew_meanwhile_gets_nothing(cloud: LocalCloud, dynamodb: Any) -> None:
    make_table(dynamodb, "anew")
    offer(cloud, "anew", LINES)
    arn = start(dynamodb, "anew")["BulkOperationArn"]
    until(lambda: described(dynamodb, arn)["ProcessedItemCount"] > 10, "some items")
    dynamodb.delete_table(TableName="anew")
    make_table(dynamodb, "anew")
    assert ended(dynamodb, arn)["BulkOperationStatus"] == "FAILED"
    assert keys_in(dynamodb, "anew") == []


# -- the request -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"MaxWriteRequestUnits": 1023}, "at least 1024"),
        ({"PerformanceTier": "FAST"}, "PerformanceTier"),
        ({"InputS3Configuration": {"S3Bucket": INPUT, "InputFormat": "ION"}}, "no ION"),
        ({"InputS3Configuration": {"S3Bucket": INPUT}}, "InputFormat"),
        ({"OutputS3Configuration": {"S3Bucket": OUTPUT}}, "OutputType"),
        ({"OutputS3Configuration": {"OutputType": ["ERROR"]}}, "OutputS3Configuration.S3Bucket"),
        ({"OutputS3Configuration": {"S3Bucket": OUTPUT, "OutputType": ["ALL"]}}, "OutputType"),
        (
            {
                "OutputS3Configuration": {
                    "S3Bucket": OUTPUT,
                    "OutputType": ["ERROR"],
                    "S3SseKmsKeyId": "a key",
                }
            },
            "S3SseKmsKeyId",
        ),
    ],
)
def test_a_wrong_request_is_refused(cloud: LocalCloud, change: dict[str, Any], says: str) -> None:
    free = bulk_client(cloud, TARGET, parameter_validation=False)
    code, message = refusal(free.start_bulk_put_items, **{**request("wrong"), **change})
    assert (code, says in message) == ("ValidationException", True), message


# -- S3 --------------------------------------------------------------------------------------------


def test_no_objects_and_no_bucket_fail_the_operation(cloud: LocalCloud, dynamodb: Any) -> None:
    make_table(dynamodb, "nothing")
    found = ended(dynamodb, start(dynamodb, "nothing")["BulkOperationArn"])
    assert (found["BulkOperationStatus"], found["FailureCode"]) == ("FAILED", "S3NoSuchKey")
    source = {"S3Bucket": "no-such-bucket", "InputFormat": "DYNAMODB_JSON"}
    begun = start(dynamodb, "nothing", InputS3Configuration=source)
    assert ended(dynamodb, begun["BulkOperationArn"])["FailureCode"] == "S3NoSuchBucket"


def test_an_object_that_changes_meanwhile_fails_the_operation(
    cloud: LocalCloud, dynamodb: Any
) -> None:
    make_table(dynamodb, "changing")
    offer(cloud, "changing", LINES[:50], LINES[50:])
    arn = start(dynamodb, "changing")["BulkOperationArn"]
    until(lambda: described(dynamodb, arn)["ProcessedItemCount"] > 5, "some items")
    cloud.client("s3", TARGET).put_object(
        Bucket=INPUT, Key="changing/data/1.json.gz", Body=b"another"
    )
    found = ended(dynamodb, arn)
    assert (found["BulkOperationStatus"], found["FailureCode"]) == ("FAILED", "S3ObjectModified")
    assert len(keys_in(dynamodb, "changing")) == 50, "what was written stays"


@pytest.mark.parametrize(
    "missing", ["nothing", "s3:GetObject", "s3:ListBucket", "s3:PutObject", "the output's owner"]
)
def test_the_callers_own_permissions_on_both_prefixes_count(
    cloud: LocalCloud, dynamodb: Any, missing: str
) -> None:
    """The output is in another account's bucket, which needs its policy and its owner's number."""
    name = f"denied-{missing.partition(':')[2] or missing.replace(' ', '-').replace(chr(39), '')}"
    arn = make_table(dynamodb, name)
    offer(cloud, name, LINES[:1])
    theirs = f"theirs-{name}".lower()
    s3 = make_bucket(cloud, SOURCE, theirs)
    everything = [
        ("dynamodb:StartBulkPutItems", arn),
        ("s3:GetObject", f"arn:aws:s3:::{INPUT}/{name}/data/*"),
        ("s3:ListBucket", f"arn:aws:s3:::{INPUT}"),
        ("s3:PutObject", f"arn:aws:s3:::{theirs}/report/*"),
    ]
    granted = [each for each in everything if each[0] != missing]
    role = make_role(cloud, TARGET, name, policy(*(([action], [on]) for action, on in granted)))
    s3.put_bucket_policy(
        Bucket=theirs,
        Policy=policy((["s3:PutObject"], [f"arn:aws:s3:::{theirs}/report/*"]), principal=role),
    )
    output = {
        "S3Bucket": theirs,
        "S3BucketOwner": SOURCE.account_id,
        "S3KeyPrefix": "report/",
        "OutputType": ["ERROR"],
    }
    if missing == "the output's owner":
        del output["S3BucketOwner"]
    begun = start(as_role(cloud, TARGET, role, "dynamodb"), name, OutputS3Configuration=output)
    found = ended(dynamodb, begun["BulkOperationArn"])
    if missing == "nothing":
        assert found["BulkOperationStatus"] == "COMPLETED"
        assert s3.list_objects_v2(Bucket=theirs, Prefix="report/")["KeyCount"] == 1
        return
    assert (found["BulkOperationStatus"], found["FailureCode"]) == ("FAILED", "S3AccessDenied")
    assert missing in found["FailureMessage"] or SOURCE.account_id in found["FailureMessage"]
    assert keys_in(dynamodb, name) == []


@pytest.mark.parametrize(
    ("call", "action", "on_table"),
    [
        ("start_bulk_put_items", "dynamodb:StartBulkPutItems", True),
        ("describe_bulk_operation", "dynamodb:DescribeBulkOperation", False),
        ("cancel_bulk_operation", "dynamodb:CancelBulkOperation", False),
        ("list_bulk_operations", "dynamodb:ListBulkOperations", False),
    ],
)
def test_each_call_has_an_action_and_a_resource_of_its_own(
    cloud: LocalCloud, dynamodb: Any, call: str, action: str, on_table: bool
) -> None:
    table = f"action-{action.partition(':')[2]}"
    table_arn = make_table(dynamodb, table)
    offer(cloud, table, LINES)
    listing = call.startswith("list")
    resource = "*" if listing else table_arn if on_table else f"{table_arn}/*"
    elsewhere = (["dynamodb:ListTables"], ["*"]) if listing else ([action], [f"{resource}-other"])
    allowed, refused = (
        as_role(cloud, TARGET, make_role(cloud, TARGET, f"{table}-{n}", policy(grant)), "dynamodb")
        for n, grant in enumerate((([action], [resource]), elsewhere))
    )
    arn = start(dynamodb, table)["BulkOperationArn"]  # late: a cancellation must find it running
    requests: dict[str, dict[str, Any]] = {
        "start_bulk_put_items": request(table),
        "describe_bulk_operation": {"BulkOperationArn": arn},
        "cancel_bulk_operation": {"BulkOperationArn": arn},
        "list_bulk_operations": {},
    }
    getattr(allowed, call)(**requests[call])
    code, message = refusal(getattr(refused, call), **requests[call])
    assert (code, action in message) == ("AccessDeniedException", True)


# -- what AWS does not say -------------------------------------------------------------------------


def stream_of(cloud: LocalCloud, table: str) -> str:
    """A table of the source account whose changes go to a stream; returns the stream's ARN."""
    make_table(cloud.client("dynamodb", SOURCE), table)
    arn = make_stream(cloud.client("kinesis", SOURCE), f"{table}-stream")
    capture(cloud, table, arn)
    return arn


@pytest.mark.parametrize("switch", ["off", "on"])
def test_bulk_puts_are_change_records_only_where_the_switch_says_so(
    tmp_path: Path, switch: str
) -> None:
    with LocalCloud(tmp_path, bulk=f"seconds=0,changes={switch}") as cloud:
        for account, name in ((SOURCE, INPUT), (SOURCE, OUTPUT)):
            make_bucket(cloud, account, name)
        arn = stream_of(cloud, "captured")
        cloud.client("s3", SOURCE).put_object(
            Bucket=INPUT, Key="captured/data/1", Body=b'{"Item": {"pk": {"S": "bulk"}}}'
        )
        dynamodb = bulk_client(cloud, SOURCE)
        source = {"S3Bucket": INPUT, "S3KeyPrefix": "captured/", "InputFormat": "DYNAMODB_JSON"}
        ended(
            dynamodb, start(dynamodb, "captured", InputS3Configuration=source)["BulkOperationArn"]
        )
        dynamodb.put_item(TableName="captured", Item={"pk": {"S": "plain"}})
        kinesis = cloud.client("kinesis", SOURCE)
        until(lambda: changes(kinesis, arn), "change records")
        seen = {each["dynamodb"]["Keys"]["pk"]["S"] for each in changes(kinesis, arn)}
        assert seen == ({"plain", "bulk"} if switch == "on" else {"plain"})


def test_operations_over_the_limit_are_refused(tmp_path: Path) -> None:
    with LocalCloud(tmp_path, bulk="seconds=2,operations=1") as cloud:
        for name in (INPUT, OUTPUT):
            make_bucket(cloud, TARGET, name)
        dynamodb = bulk_client(cloud, TARGET)
        make_table(dynamodb, "limited")
        offer(cloud, "limited", LINES)
        first = start(dynamodb, "limited")["BulkOperationArn"]
        code, _ = refusal(dynamodb.start_bulk_put_items, **request("limited"))
        assert code == "LimitExceededException"
        ended(dynamodb, first)
        assert start(dynamodb, "limited")["BulkOperationStatus"] == "IN_PROGRESS"


def test_a_lost_answer_to_a_start_leaves_one_operation(tmp_path: Path) -> None:
    with LocalCloud(tmp_path, chaos="lost_create=1", bulk="seconds=0") as cloud:
        for name in (INPUT, OUTPUT):
            make_bucket(cloud, TARGET, name)
        dynamodb = bulk_client(cloud, TARGET)
        with pytest.raises(ClientError):  # the first answer is lost, and the SDK repeats the call
            make_table(dynamodb, "lost")
        offer(cloud, "lost", LINES[:3], ["no item"])
        answer = dynamodb.start_bulk_put_items(**request("lost", ClientToken="mine"))
        assert answer["ResponseMetadata"]["RetryAttempts"] == 1, "one answer was lost"
        begun = answer["BulkOperationDescription"]
        listed = dynamodb.list_bulk_operations()["BulkOperationsSummaryList"]
        assert [each["BulkOperationArn"] for each in listed] == [begun["BulkOperationArn"]]
        ended(dynamodb, begun["BulkOperationArn"])
        assert keys_in(dynamodb, "lost") == ["k000", "k001", "k002"]
        assert len(report(cloud, "lost", "ERROR")) == 1
