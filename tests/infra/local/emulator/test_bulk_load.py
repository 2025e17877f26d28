"""A bulk put: what it writes, what it counts, what it lists in its report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.cloud import TARGET, LocalCloud
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
    start,
)
from tests.support.infra.clouds import bulk_client, make_bucket, make_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as running:
        make_bucket(running, TARGET, INPUT)
        make_bucket(running, TARGET, OUTPUT)
        yield running


@pytest.fixture(scope="module")
def dynamodb(cloud: LocalCloud) -> Any:
    return bulk_client(cloud, TARGET)


def test_items_of_every_object_are_put_into_a_table_that_exists(
    cloud: LocalCloud, dynamodb: Any
) -> None:
    make_table(dynamodb, "existing")
    dynamodb.put_item(TableName="existing", Item={"pk": {"S": "a"}, "old": {"S": "x"}})
    dynamodb.put_item(TableName="existing", Item={"pk": {"S": "z"}})
    offer(cloud, "existing", [item("a", new={"N": "1"}), item("b")], [], [item("c")])
    found = ended(dynamodb, start(dynamodb, "existing")["BulkOperationArn"])
    assert found["BulkOperationStatus"] == "COMPLETED"
    assert (found["ProcessedItemCount"], found["FailedItemCount"]) == (3, 0)
    assert found["ProcessedInputBytes"] == found["TotalInputBytes"] > 0
    assert found["StartTime"] < found["EndTime"]
    assert keys_in(dynamodb, "existing") == ["a", "b", "c", "z"]
    written = dynamodb.get_item(TableName="existing", Key={"pk": {"S": "a"}})["Item"]
    assert written == {"pk": {"S": "a"}, "new": {"N": "1"}}, "a put replaces the whole item"


def test_an_item_that_breaks_a_limit_costs_its_line_alone(cloud: LocalCloud, dynamodb: Any) -> None:
    large = item("large", text={"S": "x" * 410_000})
    found = load(cloud, dynamodb, "too-large", [item("a"), large, item("b")], [item("c")])
    assert found["BulkOperationStatus"] == "COMPLETED_WITH_ERRORS"
    assert (found["ProcessedItemCount"], found["FailedItemCount"]) == (4, 1)
    assert keys_in(dynamodb, "too-large") == ["a", "b", "c"]
    [record] = report(cloud, "too-large", "ERROR")
    assert (record["LineNumber"], record["Item"]["pk"]) == (2, {"S": "large"})
    assert "size" in record["ErrorMessage"]


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("no-json", '{"Item": {"pk": {"S": "b"}'),
        ("no-item", {"Keys": {"pk": {"S": "b"}}}),
        ("no-key", {"Item": {"other": {"S": "b"}}}),
        ("other-type", {"Item": {"pk": {"N": "1"}}}),
        ("a-delete", {"Delete": {"Key": {"pk": {"S": "b"}}}}),
    ],
)
def test_a_line_of_no_such_table_ends_its_object_and_no_other(
    cloud: LocalCloud, dynamodb: Any, name: str, bad: Any
) -> None:
    found = load(cloud, dynamodb, name, [item("a"), bad, item("b"), item("c")], [item("d")])
    assert found["BulkOperationStatus"] == "COMPLETED_WITH_ERRORS"
    assert keys_in(dynamodb, name) == ["a", "d"], "b and c were never read"
    assert (found["ProcessedItemCount"], found["FailedItemCount"]) == (3, 1)
    assert found["ProcessedInputBytes"] == found["TotalInputBytes"]
    [record] = report(cloud, name, "ERROR")
    assert (record["InputObject"], record["LineNumber"]) == (f"{name}/data/0.json.gz", 2)


def test_an_object_that_is_not_compressed_as_told_is_one_failure(
    cloud: LocalCloud, dynamodb: Any
) -> None:
    make_table(dynamodb, "no-gzip")
    offer(cloud, "no-gzip", [item("a")])
    cloud.client("s3", TARGET).put_object(
        Bucket=INPUT, Key="no-gzip/data/9.json.gz", Body=b'{"Item": {"pk": {"S": "b"}}}\n'
    )
    found = ended(dynamodb, start(dynamodb, "no-gzip")["BulkOperationArn"])
    assert (found["BulkOperationStatus"], found["FailedItemCount"]) == ("COMPLETED_WITH_ERRORS", 1)
    [record] = report(cloud, "no-gzip", "ERROR")
    assert record["InputObject"] == "no-gzip/data/9.json.gz"
    assert "LineNumber" not in record


def test_a_condition_that_fails_is_listed_with_the_existing_item_and_is_no_error(
    cloud: LocalCloud, dynamodb: Any
) -> None:
    make_table(dynamodb, "conditions")
    dynamodb.put_item(TableName="conditions", Item={"pk": {"S": "a"}, "v": {"N": "9"}})
    new = {"ConditionExpression": "attribute_not_exists(#k)"}
    names = {"ExpressionAttributeNames": {"#k": "pk"}}
    older = {
        "ConditionExpression": "v < :v",
        "ExpressionAttributeValues": {":v": {"N": "3"}},
    }
    lines = [
        {**item("a", v={"N": "1"}), **new, **names},
        {**item("b"), **new, **names},
        {**item("c"), **older},
        {**item("a", v={"N": "3"}), **older},
    ]
    offer(cloud, "conditions", lines)
    found = ended(dynamodb, start(dynamodb, "conditions")["BulkOperationArn"])
    assert (found["BulkOperationStatus"], found["FailedItemCount"]) == ("COMPLETED", 0)
    assert found["ProcessedItemCount"] == 4
    assert keys_in(dynamodb, "conditions") == ["a", "b"]
    first, absent, last = report(cloud, "conditions", "CONDITION_CHECK_FAILURE")
    assert first["Item"] == {"pk": {"S": "a"}, "v": {"N": "1"}}
    assert first["ExistingItem"] == last["ExistingItem"] == {"pk": {"S": "a"}, "v": {"N": "9"}}
    assert "ExistingItem" not in absent, "there was no item c"
    assert report(cloud, "conditions", "ERROR") == []


def test_only_the_types_of_output_that_were_asked_for_are_written(
    cloud: LocalCloud, dynamodb: Any
) -> None:
    condition = {"ConditionExpression": "attribute_exists(pk)"}
    output = {"S3Bucket": OUTPUT, "S3KeyPrefix": "half", "OutputType": ["CONDITION_CHECK_FAILURE"]}
    lines = [{**item("a"), **condition}, item("b", text={"S": "x" * 410_000})]
    found = load(cloud, dynamodb, "half", lines, OutputS3Configuration=output)
    assert found["BulkOperationStatus"] == "COMPLETED_WITH_ERRORS"
    assert len(report(cloud, "half", "CONDITION_CHECK_FAILURE")) == 1
    assert report(cloud, "half", "ERROR") == []


def test_the_report_of_each_operation_has_a_folder_of_its_own_and_a_manifest(
    cloud: LocalCloud, dynamodb: Any
) -> None:
    make_table(dynamodb, "twice")
    offer(cloud, "twice", [{"Item": {}}])
    arns = [ended(dynamodb, start(dynamodb, "twice")["BulkOperationArn"]) for _ in "12"]
    s3 = cloud.client("s3", TARGET)
    listed = s3.list_objects_v2(Bucket=OUTPUT, Prefix="twice/")["Contents"]
    keys = {each["Key"] for each in listed}
    for found in arns:
        folder = f"twice/{found['BulkOperationArn'].rpartition('/')[2]}/"
        manifest = json.loads(
            s3.get_object(Bucket=OUTPUT, Key=f"{folder}manifest.json")["Body"].read()
        )
        assert manifest["outputObjects"] == [f"{folder}ERROR/00000.json"]
        assert f"{folder}ERROR/00000.json" in keys
    assert len(keys) == 4


def test_usage_is_counted_for_the_table_and_each_index_that_has_the_item(
    cloud: LocalCloud, dynamodb: Any
) -> None:
    attributes = {"pk": "S", "sk": "S", "when": "S", "kind": "S"}
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    dynamodb.create_table(
        TableName="usage",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": kind} for name, kind in attributes.items()
        ],
        KeySchema=keys,
        LocalSecondaryIndexes=[
            {
                "IndexName": "by-when",
                "KeySchema": [keys[0], {"AttributeName": "when", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-kind",
                "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    both = {"sk": {"S": "1"}, "when": {"S": "now"}, "kind": {"S": "k"}, "text": {"S": "x" * 500}}
    offer(cloud, "usage", [item("a", **both), item("b", sk={"S": "1"})])
    found = ended(dynamodb, start(dynamodb, "usage")["BulkOperationArn"])
    [used] = found["BulkOperationUsage"]
    assert used["Table"]["BulkPutBytes"] > used["GlobalSecondaryIndexes"]["by-kind"]["BulkPutBytes"]
    assert 0 < used["LocalSecondaryIndexes"]["by-when"]["BulkPutBytes"] < 500
    assert used["BulkPutBytes"] == (
        used["Table"]["BulkPutBytes"]
        + used["LocalSecondaryIndexes"]["by-when"]["BulkPutBytes"]
        + used["GlobalSecondaryIndexes"]["by-kind"]["BulkPutBytes"]
    )


def test_a_line_ends_at_a_newline_alone(cloud: LocalCloud, dynamodb: Any) -> None:
    line = json.dumps({"Item": {"pk": {"S": "a\u2028\u0085b"}}}, ensure_ascii=False)
    found = load(cloud, dynamodb, "separators", [line, "", item("c")])
    assert (found["BulkOperationStatus"], found["ProcessedItemCount"]) == ("COMPLETED", 2)
    assert keys_in(dynamodb, "separators") == ["a\u2028\u0085b", "c"]


def test_binary_is_base64_once(cloud: LocalCloud, dynamodb: Any) -> None:
    load(cloud, dynamodb, "binary", [item("a", b={"B": "EgIIew=="}, s={"BS": ["AQ=="]})])
    written = dynamodb.get_item(TableName="binary", Key={"pk": {"S": "a"}})["Item"]
    assert written["b"] == {"B": b"\x12\x02\x08\x7b"}
    assert written["s"] == {"BS": [b"\x01"]}


def test_objects_without_compression_are_read(cloud: LocalCloud, dynamodb: Any) -> None:
    make_table(dynamodb, "plain")
    cloud.client("s3", TARGET).put_object(
        Bucket=INPUT, Key="plain/data/1.json", Body=b'{"Item": {"pk": {"S": "a"}}}\n'
    )
    source = {"S3Bucket": INPUT, "S3KeyPrefix": "plain/", "InputFormat": "DYNAMODB_JSON"}
    begun = start(dynamodb, "plain", InputS3Configuration=source)
    assert ended(dynamodb, begun["BulkOperationArn"])["BulkOperationStatus"] == "COMPLETED"
    assert keys_in(dynamodb, "plain") == ["a"]


def test_the_prefix_is_a_plain_prefix(cloud: LocalCloud, dynamodb: Any) -> None:
    make_table(dynamodb, "prefix")
    offer(cloud, "prefix", [item("a")], [item("b")])
    source = {
        "S3Bucket": INPUT,
        "S3KeyPrefix": "prefix/data/0",
        "InputFormat": "DYNAMODB_JSON",
        "InputCompressionType": "GZIP",
    }
    begun = start(dynamodb, "prefix", InputS3Configuration=source)
    assert ended(dynamodb, begun["BulkOperationArn"])["ProcessedItemCount"] == 1
    assert keys_in(dynamodb, "prefix") == ["a"]


def test_the_description_repeats_the_request(cloud: LocalCloud, dynamodb: Any) -> None:
    found = load(
        cloud,
        dynamodb,
        "repeats",
        [item("a")],
        ClientToken="mine",
        MaxWriteRequestUnits=2048,
        PerformanceTier="ACCELERATED",
    )
    table = dynamodb.describe_table(TableName="repeats")["Table"]
    assert found["BulkOperationArn"].startswith(f"{table['TableArn']}/bulk-operation/")
    assert found["TableDetails"] == [{"TableName": "repeats", "TableId": table["TableId"]}]
    assert (found["ClientToken"], found["MaxWriteRequestUnits"]) == ("mine", 2048)
    assert found["PerformanceTier"] == "ACCELERATED"
    assert found["InputS3Configuration"]["S3KeyPrefix"] == "repeats/data/"
    assert found["OutputS3Configuration"]["S3Bucket"] == OUTPUT
    assert described(dynamodb, found["BulkOperationArn"]) == found


def test_a_table_is_named_by_its_arn_too(cloud: LocalCloud, dynamodb: Any) -> None:
    arn = make_table(dynamodb, "by-arn")
    offer(cloud, "by-arn", [item("a")])
    found = ended(dynamodb, start(dynamodb, arn, "by-arn")["BulkOperationArn"])
    assert found["BulkOperationStatus"] == "COMPLETED"
    assert found["TableDetails"][0]["TableName"] == arn
    assert found["PerformanceTier"] == "STANDARD", "the default"
    assert keys_in(dynamodb, "by-arn") == ["a"]
