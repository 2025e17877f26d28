"""ImportTable: reads an export, once per token, with the permissions AWS asks for."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import TARGET, LocalCloud
from tests.support.infra.clouds import as_role, make_bucket, make_role, make_table, policy, until

pytestmark = pytest.mark.slow

LOGS = [
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:DescribeLogGroups",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
    "logs:PutRetentionPolicy",
]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), time_scale=0.03) as running:
        make_bucket(running, TARGET, "imports")
        yield running


@pytest.fixture(scope="module")
def dynamodb(cloud: LocalCloud) -> Any:
    return cloud.client("dynamodb", TARGET)


def request(table: str, **options: Any) -> dict[str, Any]:
    return {
        "S3BucketSource": {"S3Bucket": "imports", "S3KeyPrefix": f"{table}/data/"},
        "InputFormat": "DYNAMODB_JSON",
        "InputCompressionType": "GZIP",
        "TableCreationParameters": {
            "TableName": table,
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
        **options,
    }


def offer(cloud: LocalCloud, table: str, *items: dict[str, Any]) -> None:
    """Put a data file, and an empty one, where `request` looks for them."""
    s3 = cloud.client("s3", TARGET)
    text = "".join(json.dumps({"Item": item}) + "\n" for item in items)
    s3.put_object(
        Bucket="imports", Key=f"{table}/data/1.json.gz", Body=gzip.compress(text.encode())
    )
    s3.put_object(Bucket="imports", Key=f"{table}/data/2.json.gz", Body=gzip.compress(b""))


def finished(dynamodb: Any, arn: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = dynamodb.describe_import(ImportArn=arn)["ImportTableDescription"]
        return found if found["ImportStatus"] != "IN_PROGRESS" else None

    return until(look, "the import's end")


def test_binary_in_an_export_is_base64_once(cloud: LocalCloud, dynamodb: Any) -> None:
    offer(cloud, "binary", {"pk": {"S": "a"}, "b": {"B": "EgIIew=="}, "s": {"BS": ["AQ=="]}})
    begun = dynamodb.import_table(**request("binary"))["ImportTableDescription"]
    assert finished(dynamodb, begun["ImportArn"])["ImportStatus"] == "COMPLETED"
    item = dynamodb.get_item(TableName="binary", Key={"pk": {"S": "a"}})["Item"]
    assert item["b"] == {"B": b"\x12\x02\x08\x7b"}
    assert item["s"] == {"BS": [b"\x01"]}


def test_the_table_is_out_of_reach_until_the_import_is_done(
    cloud: LocalCloud, dynamodb: Any
) -> None:
    offer(cloud, "reach", {"pk": {"S": "a"}})
    begun = dynamodb.import_table(**request("reach"))["ImportTableDescription"]
    assert dynamodb.describe_table(TableName="reach")["Table"]["TableStatus"] == "CREATING"
    item = {"pk": {"S": "b"}}
    with pytest.raises(dynamodb.exceptions.ResourceNotFoundException):
        dynamodb.put_item(TableName="reach", Item=item)
    with pytest.raises(dynamodb.exceptions.ResourceNotFoundException):
        dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": "reach", "Item": item}}])
    with pytest.raises(dynamodb.exceptions.ResourceNotFoundException):
        dynamodb.scan(TableName="reach")
    assert finished(dynamodb, begun["ImportArn"])["ImportedItemCount"] == 1
    assert dynamodb.describe_table(TableName="reach")["Table"]["TableStatus"] == "ACTIVE"
    dynamodb.put_item(TableName="reach", Item=item)


def test_a_client_token_is_one_import(cloud: LocalCloud, dynamodb: Any) -> None:
    offer(cloud, "token", {"pk": {"S": "a"}})
    first = dynamodb.import_table(**request("token", ClientToken="t"))["ImportTableDescription"]
    finished(dynamodb, first["ImportArn"])
    dynamodb.delete_table(TableName="token")
    after = dynamodb.import_table(**request("token", ClientToken="t"))["ImportTableDescription"]
    assert after["ImportArn"] == first["ImportArn"]
    with pytest.raises(dynamodb.exceptions.ImportConflictException):
        dynamodb.import_table(**request("other", ClientToken="t"))


def test_a_repeated_import_is_refused_as_aws_refuses_it(cloud: LocalCloud, dynamodb: Any) -> None:
    """ResourceInUseException while the first import runs, and afterwards: boto3#3463."""
    offer(cloud, "repeated", {"pk": {"S": "a"}})
    begun = request("repeated", ClientToken="again")
    first = dynamodb.import_table(**begun)["ImportTableDescription"]
    with pytest.raises(dynamodb.exceptions.ResourceInUseException, match="Table already exists"):
        dynamodb.import_table(**begun)
    finished(dynamodb, first["ImportArn"])
    with pytest.raises(dynamodb.exceptions.ResourceInUseException, match="Table already exists"):
        dynamodb.import_table(**begun)
    listed = dynamodb.list_imports()["ImportSummaryList"]
    assert [each["ImportArn"] for each in listed if "/repeated/" in each["ImportArn"]] == [
        first["ImportArn"]
    ]


def test_an_existing_table_is_never_imported_into(cloud: LocalCloud, dynamodb: Any) -> None:
    make_table(dynamodb, "existing")
    with pytest.raises(dynamodb.exceptions.ResourceInUseException):
        dynamodb.import_table(**request("existing"))


def test_a_bad_item_fails_the_import_and_is_counted(cloud: LocalCloud, dynamodb: Any) -> None:
    offer(cloud, "bad", {"pk": {"S": "a"}}, {"pk": {"N": "1"}})
    begun = dynamodb.import_table(**request("bad"))["ImportTableDescription"]
    found = finished(dynamodb, begun["ImportArn"])
    assert (found["ImportStatus"], found["ErrorCount"]) == ("FAILED", 1)
    assert found["FailureCode"] == "ItemValidationError"


@pytest.mark.parametrize("missing", ["s3:GetObject", "s3:ListBucket", "logs:PutLogEvents"])
def test_the_caller_needs_what_the_import_does(
    cloud: LocalCloud, dynamodb: Any, missing: str
) -> None:
    table = f"denied-{missing.partition(':')[2]}"
    offer(cloud, table, {"pk": {"S": "a"}})
    arn = f"arn:aws:dynamodb:eu-west-1:{TARGET.account_id}:table/{table}"
    group = f"arn:aws:logs:eu-west-1:{TARGET.account_id}:log-group:/aws-dynamodb/*"
    everything = [
        ("dynamodb:ImportTable", arn),
        ("s3:GetObject", "arn:aws:s3:::imports/*"),
        ("s3:ListBucket", "arn:aws:s3:::imports"),
        *((action, group) for action in LOGS),
    ]

    def run(role: str, statements: list[tuple[str, str]]) -> dict[str, Any]:
        document = policy(*(([action], [resource]) for action, resource in statements))
        importer = as_role(cloud, TARGET, make_role(cloud, TARGET, role, document), "dynamodb")
        begun = importer.import_table(**request(table))["ImportTableDescription"]
        return finished(dynamodb, begun["ImportArn"])

    found = run(f"{table}-less", [each for each in everything if each[0] != missing])
    assert found["FailureCode"] == "S3AccessDenied"
    assert missing in found["FailureMessage"]
    assert run(f"{table}-all", everything)["ImportStatus"] == "COMPLETED"


def test_the_action_itself_is_checked_on_the_table_to_be_made(cloud: LocalCloud) -> None:
    other = f"arn:aws:dynamodb:eu-west-1:{TARGET.account_id}:table/another"
    role = make_role(cloud, TARGET, "elsewhere", policy((["dynamodb:ImportTable"], [other])))
    with pytest.raises(ClientError, match="AccessDenied"):
        as_role(cloud, TARGET, role, "dynamodb").import_table(**request("not-allowed"))


def test_the_list_of_imports_has_pages(cloud: LocalCloud, dynamodb: Any) -> None:
    begun = set()
    for name in ("page-1", "page-2", "page-3"):
        offer(cloud, name, {"pk": {"S": "a"}})
        description = dynamodb.import_table(**request(name))["ImportTableDescription"]
        begun.add(description["ImportArn"])
        finished(dynamodb, description["ImportArn"])
    asked: dict[str, Any] = {"PageSize": 1}
    found = set()
    while True:
        answer = dynamodb.list_imports(**asked)
        (summary,) = answer["ImportSummaryList"]
        found.add(summary["ImportArn"])
        if "NextToken" not in answer:
            break
        asked["NextToken"] = answer["NextToken"]
    assert begun <= found
