"""Change records: format and rules of Kinesis Data Streams for DynamoDB."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, LocalCloud
from tests.support.infra.clouds import (
    capture,
    changes,
    destination,
    make_stream,
    make_table,
    raw_records,
    until,
)

pytestmark = pytest.mark.slow

BULK = b"x" * 390_000


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def unhurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """Yield a cloud whose transitions take three seconds."""
    with LocalCloud(tmp_path_factory.mktemp("unhurried"), time_scale=0.05) as running:
        yield running


@pytest.fixture(scope="module")
def dynamodb(cloud: LocalCloud) -> Any:
    return cloud.client("dynamodb", SOURCE)


@pytest.fixture(scope="module")
def kinesis(cloud: LocalCloud) -> Any:
    return cloud.client("kinesis", SOURCE)


def stream_of(cloud: LocalCloud, table: str, key: str = "pk:S", **options: Any) -> str:
    """Make a table with its changes in a stream of its own; return the stream's ARN."""
    make_table(cloud.client("dynamodb", SOURCE), table, key)
    arn = make_stream(cloud.client("kinesis", SOURCE), f"{table}-changes", **options)
    capture(cloud, table, arn)
    return arn


def test_records_have_the_fields_of_captured_records(
    cloud: LocalCloud, dynamodb: Any, kinesis: Any
) -> None:
    arn = stream_of(cloud, "fields")
    key, old, new = {"pk": {"S": "a"}}, {"v": {"N": "1"}}, {"v": {"N": "2"}}
    dynamodb.put_item(TableName="fields", Item=key | old)
    dynamodb.put_item(TableName="fields", Item=key | new)
    dynamodb.delete_item(TableName="fields", Key=key)
    insert, modify, remove = changes(kinesis, arn)
    assert [r["eventName"] for r in (insert, modify, remove)] == ["INSERT", "MODIFY", "REMOVE"]
    for record in (insert, modify, remove):
        assert set(record) == {
            *("awsRegion", "eventID", "eventName", "userIdentity", "recordFormat"),
            *("tableName", "dynamodb", "eventSource"),
        }
        assert record["userIdentity"] is None
        assert record["tableName"] == "fields"
        assert record["recordFormat"] == "application/json"
        assert record["dynamodb"]["Keys"] == key
        assert record["dynamodb"]["ApproximateCreationDateTimePrecision"] == "MICROSECOND"
    shape = {"ApproximateCreationDateTime", "ApproximateCreationDateTimePrecision", "SizeBytes"}
    assert set(insert["dynamodb"]) == shape | {"Keys", "NewImage"}
    assert set(modify["dynamodb"]) == shape | {"Keys", "NewImage", "OldImage"}
    assert set(remove["dynamodb"]) == shape | {"Keys", "OldImage"}
    assert modify["dynamodb"]["OldImage"] == key | old
    assert modify["dynamodb"]["NewImage"] == key | new


def test_timestamps_are_microseconds_and_strictly_increase(
    cloud: LocalCloud, dynamodb: Any, kinesis: Any
) -> None:
    arn = stream_of(cloud, "clock")
    before = time.time_ns() // 1000
    for n in range(50):
        dynamodb.put_item(TableName="clock", Item={"pk": {"S": "a"}, "n": {"N": str(n)}})
    stamps = [r["dynamodb"]["ApproximateCreationDateTime"] for r in changes(kinesis, arn)]
    assert stamps == sorted(set(stamps))
    assert before <= stamps[0] <= stamps[-1] <= time.time_ns() // 1000


def test_millisecond_precision_is_milliseconds(
    cloud: LocalCloud, dynamodb: Any, kinesis: Any
) -> None:
    make_table(dynamodb, "millis")
    arn = make_stream(kinesis, "millis-changes")
    capture(cloud, "millis", arn, "MILLISECOND")
    dynamodb.put_item(TableName="millis", Item={"pk": {"S": "a"}})
    (record,) = changes(kinesis, arn)
    assert abs(record["dynamodb"]["ApproximateCreationDateTime"] / 1000 - time.time()) < 60
    assert record["dynamodb"]["ApproximateCreationDateTimePrecision"] == "MILLISECOND"


def test_a_changed_precision_applies_once_the_update_has_passed(unhurried: LocalCloud) -> None:
    dynamodb, kinesis = unhurried.client("dynamodb", SOURCE), unhurried.client("kinesis", SOURCE)
    arn = stream_of(unhurried, "precision")
    dynamodb.update_kinesis_streaming_destination(
        TableName="precision",
        StreamArn=arn,
        UpdateKinesisStreamingConfiguration={"ApproximateCreationDateTimePrecision": "MILLISECOND"},
    )
    assert destination(dynamodb, "precision")["DestinationStatus"] == "UPDATING"
    dynamodb.put_item(TableName="precision", Item={"pk": {"S": "during"}})
    until(lambda: destination(dynamodb, "precision")["DestinationStatus"] == "ACTIVE", "updated")
    dynamodb.put_item(TableName="precision", Item={"pk": {"S": "after"}})
    found = [r["dynamodb"]["ApproximateCreationDateTimePrecision"] for r in changes(kinesis, arn)]
    assert found == ["MICROSECOND", "MILLISECOND"]


def test_binary_is_twice_base64_in_keys_sets_and_at_depth(
    cloud: LocalCloud, dynamodb: Any, kinesis: Any
) -> None:
    arn = stream_of(cloud, "binary", "pk:S,sk:B")
    raw = b"\x12\x02\x08\x7b"
    nested = {"M": {"l": {"L": [{"B": raw}]}}}
    item = {"pk": {"S": "a"}, "sk": {"B": raw}, "set": {"BS": [raw]}, "deep": nested}
    dynamodb.put_item(TableName="binary", Item=item)
    (record,) = changes(kinesis, arn)
    twice = base64.b64encode(base64.b64encode(raw)).decode()
    assert twice == "RWdJSWV3PT0="
    assert record["dynamodb"]["Keys"]["sk"] == {"B": twice}
    image = record["dynamodb"]["NewImage"]
    assert image["set"] == {"BS": [twice]}
    assert image["deep"]["M"]["l"]["L"] == [{"B": twice}]


def test_a_write_that_changes_nothing_makes_no_record(
    cloud: LocalCloud, dynamodb: Any, kinesis: Any
) -> None:
    arn = stream_of(cloud, "same")
    dynamodb.put_item(
        TableName="same", Item={"pk": {"S": "a"}, "n": {"N": "1"}, "s": {"SS": ["x", "y"]}}
    )
    dynamodb.put_item(
        TableName="same", Item={"pk": {"S": "a"}, "n": {"N": "1.00"}, "s": {"SS": ["y", "x"]}}
    )
    dynamodb.update_item(
        TableName="same",
        Key={"pk": {"S": "a"}},
        UpdateExpression="SET n = :n",
        ExpressionAttributeValues={":n": {"N": "1.0"}},
    )
    dynamodb.delete_item(TableName="same", Key={"pk": {"S": "never there"}})
    assert [r["eventName"] for r in changes(kinesis, arn)] == ["INSERT"]


def test_every_way_to_write_makes_its_records(
    cloud: LocalCloud, dynamodb: Any, kinesis: Any
) -> None:
    arn = stream_of(cloud, "ways")
    one, two, three = ({"pk": {"S": name}} for name in ("1", "2", "3"))
    dynamodb.batch_write_item(
        RequestItems={"ways": [{"PutRequest": {"Item": one}}, {"PutRequest": {"Item": two}}]}
    )
    dynamodb.update_item(
        TableName="ways",
        Key=three,
        UpdateExpression="ADD n :n",
        ExpressionAttributeValues={":n": {"N": "1"}},
    )
    dynamodb.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "ways", "Item": one | {"x": {"S": "y"}}}},
            {"Delete": {"TableName": "ways", "Key": two}},
            {
                "Update": {
                    "TableName": "ways",
                    "Key": three,
                    "UpdateExpression": "SET n = n + :n",
                    "ExpressionAttributeValues": {":n": {"N": "1"}},
                }
            },
        ]
    )
    dynamodb.batch_write_item(RequestItems={"ways": [{"DeleteRequest": {"Key": one}}]})
    dynamodb.execute_statement(Statement="DELETE FROM ways WHERE pk = '3'")
    insert = [{"Statement": f"INSERT INTO ways VALUE {{'pk': '{n}'}}"} for n in (4, 4, 5, 6)]
    answers = dynamodb.batch_execute_statement(Statements=insert[:3])["Responses"]
    assert ["Error" in answer for answer in answers] == [False, True, False]
    dynamodb.execute_transaction(TransactStatements=insert[3:])
    found = [(r["eventName"], r["dynamodb"]["Keys"]["pk"]["S"]) for r in changes(kinesis, arn)]
    assert found == [
        *(("INSERT", "1"), ("INSERT", "2"), ("INSERT", "3")),
        *(("MODIFY", "1"), ("REMOVE", "2"), ("MODIFY", "3")),
        *(("REMOVE", "1"), ("REMOVE", "3")),
        *(("INSERT", "4"), ("INSERT", "5"), ("INSERT", "6")),
    ]


def test_a_refused_write_makes_no_record(cloud: LocalCloud, dynamodb: Any, kinesis: Any) -> None:
    arn = stream_of(cloud, "refused")
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": "refused", "Item": {"pk": {"S": "1"}}}},
                {
                    "ConditionCheck": {
                        "TableName": "refused",
                        "Key": {"pk": {"S": "2"}},
                        "ConditionExpression": "attribute_exists(pk)",
                    }
                },
            ]
        )
    assert changes(kinesis, arn) == []


def test_an_expired_item_is_removed_by_dynamodb_itself(
    cloud: LocalCloud, dynamodb: Any, kinesis: Any
) -> None:
    arn = stream_of(cloud, "expiring")
    specification = {"Enabled": True, "AttributeName": "x"}
    dynamodb.update_time_to_live(TableName="expiring", TimeToLiveSpecification=specification)
    now = int(time.time())
    stays = [{"N": str(now + 3600)}, {"S": str(now - 60)}, {"N": str(now - 6 * 366 * 86400)}]
    for n, value in enumerate(stays):
        dynamodb.put_item(TableName="expiring", Item={"pk": {"S": f"stays-{n}"}, "x": value})
    goes = {"pk": {"S": "goes"}, "x": {"N": str(now - 60)}}
    dynamodb.put_item(TableName="expiring", Item=goes)
    until(lambda: any(r["eventName"] == "REMOVE" for r in changes(kinesis, arn)), "an expiry")
    (removed,) = [r for r in changes(kinesis, arn) if r["eventName"] == "REMOVE"]
    assert removed["userIdentity"] == {
        "type": "Service",
        "principalId": "dynamodb.amazonaws.com",
    }
    assert removed["dynamodb"]["OldImage"] == goes
    assert dynamodb.scan(TableName="expiring", Select="COUNT")["Count"] == len(stays)


def test_a_change_made_before_the_destination_is_active_is_not_in_the_stream(
    unhurried: LocalCloud,
) -> None:
    dynamodb, kinesis = unhurried.client("dynamodb", SOURCE), unhurried.client("kinesis", SOURCE)
    make_table(dynamodb, "early")
    arn = make_stream(kinesis, "early-changes")
    enabled = dynamodb.enable_kinesis_streaming_destination(TableName="early", StreamArn=arn)
    assert enabled["DestinationStatus"] == "ENABLING"
    assert destination(dynamodb, "early")["DestinationStatus"] == "ENABLING"
    dynamodb.put_item(TableName="early", Item={"pk": {"S": "before"}})
    until(lambda: destination(dynamodb, "early")["DestinationStatus"] == "ACTIVE", "active")
    dynamodb.put_item(TableName="early", Item={"pk": {"S": "after"}})
    assert [r["dynamodb"]["Keys"]["pk"]["S"] for r in changes(kinesis, arn)] == ["after"]


def test_a_table_has_one_active_destination(cloud: LocalCloud, dynamodb: Any, kinesis: Any) -> None:
    stream_of(cloud, "single")
    other = make_stream(kinesis, "single-other")
    with pytest.raises(dynamodb.exceptions.ResourceInUseException):
        dynamodb.enable_kinesis_streaming_destination(TableName="single", StreamArn=other)


def test_a_disabled_destination_gets_no_more_records(
    cloud: LocalCloud, dynamodb: Any, kinesis: Any
) -> None:
    arn = stream_of(cloud, "disabled")
    dynamodb.disable_kinesis_streaming_destination(TableName="disabled", StreamArn=arn)
    until(lambda: destination(dynamodb, "disabled")["DestinationStatus"] == "DISABLED", "disabled")
    dynamodb.put_item(TableName="disabled", Item={"pk": {"S": "lost"}})
    assert changes(kinesis, arn) == []


def test_a_record_over_the_streams_maximum_is_skipped_and_counted(
    cloud: LocalCloud, dynamodb: Any, kinesis: Any
) -> None:
    arn = stream_of(cloud, "large")
    bulk = {"b": {"B": BULK}}
    dynamodb.put_item(TableName="large", Item={"pk": {"S": "a"}} | bulk)
    dynamodb.put_item(TableName="large", Item={"pk": {"S": "a"}} | bulk | {"v": {"N": "2"}})
    dynamodb.put_item(TableName="large", Item={"pk": {"S": "b"}})
    found = [(r["eventName"], r["dynamodb"]["Keys"]["pk"]["S"]) for r in changes(kinesis, arn)]
    assert found == [("INSERT", "a"), ("INSERT", "b")]
    assert until(lambda: total(cloud, "large", "FailedToReplicateRecordCount"), "the metric") == 1

    kinesis.update_max_record_size(StreamARN=arn, MaxRecordSizeInKiB=10240)
    dynamodb.put_item(TableName="large", Item={"pk": {"S": "a"}} | bulk | {"v": {"N": "3"}})
    assert changes(kinesis, arn)[-1]["eventName"] == "MODIFY"


def test_the_age_of_the_oldest_record_has_datapoints_only_while_there_are_changes(
    cloud: LocalCloud, dynamodb: Any
) -> None:
    stream_of(cloud, "aged")
    dynamodb.put_item(TableName="aged", Item={"pk": {"S": "a"}})
    (point,) = until(lambda: datapoints(cloud, "aged", "AgeOfOldestUnreplicatedRecord"), "a point")
    assert 0 <= point["Maximum"] < 1000
    time.sleep(2.5)
    assert len(datapoints(cloud, "aged", "AgeOfOldestUnreplicatedRecord")) == 1


def datapoints(cloud: LocalCloud, table: str, metric: str) -> list[dict[str, Any]]:
    dimensions = {"TableName": table, "DelegatedOperation": "KinesisDataStream"}
    found: list[dict[str, Any]] = cloud.client("cloudwatch", SOURCE).get_metric_statistics(
        Namespace="AWS/DynamoDB",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=time.time() - 600,
        EndTime=time.time() + 60,
        Period=1,
        Statistics=["Maximum", "Sum"],
    )["Datapoints"]
    return found


def total(cloud: LocalCloud, table: str, metric: str) -> float:
    return float(sum(point["Sum"] for point in datapoints(cloud, table, metric)))


def test_the_records_of_one_item_are_in_the_order_of_its_writes_under_concurrency(
    cloud: LocalCloud, dynamodb: Any, kinesis: Any
) -> None:
    arn = stream_of(cloud, "order", shards=4)

    def add(_n: int) -> None:
        dynamodb.update_item(
            TableName="order",
            Key={"pk": {"S": "hot"}},
            UpdateExpression="ADD n :n",
            ExpressionAttributeValues={":n": {"N": "1"}},
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(200)))
    images = [r["dynamodb"]["NewImage"]["n"]["N"] for r in changes(kinesis, arn)]
    assert images == [str(n) for n in range(1, 201)]


def test_arithmetic_keeps_38_digits_in_canonical_text(
    cloud: LocalCloud, dynamodb: Any, kinesis: Any
) -> None:
    arn = stream_of(cloud, "numbers")
    key = {"pk": {"S": "a"}}
    dynamodb.put_item(
        TableName="numbers", Item=key | {"n": {"N": "12345678901234567890123456789012345678"}}
    )

    def update(expression: str, value: str) -> str:
        number: str = dynamodb.update_item(
            TableName="numbers",
            Key=key,
            UpdateExpression=expression,
            ExpressionAttributeValues={":v": {"N": value}},
            ReturnValues="ALL_NEW",
        )["Attributes"]["n"]["N"]
        return number

    assert update("ADD n :v", "1") == "12345678901234567890123456789012345679"
    assert update("SET n = n - :v", "12345678901234567890123456789012345579") == "100"
    assert update("ADD n :v", "0.0") == "100"
    assert update("SET n = :v", "1E+3") == "1000"
    dynamodb.transact_write_items(
        TransactItems=[
            {
                "Update": {
                    "TableName": "numbers",
                    "Key": key,
                    "UpdateExpression": "SET n = :v",
                    "ExpressionAttributeValues": {":v": {"N": "00.50"}},
                }
            }
        ]
    )
    assert changes(kinesis, arn)[-1]["dynamodb"]["NewImage"]["n"] == {"N": "0.5"}


def test_a_transaction_is_measured_by_its_items_not_by_its_text(dynamodb: Any) -> None:
    make_table(dynamodb, "sizes")

    def put(count: int) -> None:
        dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": "sizes", "Item": {"pk": {"S": str(n)}, "b": {"B": BULK}}}}
                for n in range(count)
            ]
        )

    put(10)  # 3.9 MB of items, 5.2 MB of text
    with pytest.raises(ClientError, match="4MB"):
        put(11)


def test_the_partition_key_looks_like_dynamodbs_and_an_item_keeps_its_shard(
    cloud: LocalCloud, dynamodb: Any, kinesis: Any
) -> None:
    arn = stream_of(cloud, "spread", shards=4)
    for n in range(3):
        for name in range(20):
            item = {"pk": {"S": str(name)}, "n": {"N": str(n)}}
            dynamodb.put_item(TableName="spread", Item=item)
    keys: dict[str, set[str]] = {}
    for record in raw_records(kinesis, arn):
        name = json.loads(record["Data"])["dynamodb"]["Keys"]["pk"]["S"]
        keys.setdefault(name, set()).add(record["PartitionKey"])
    assert all(len(found) == 1 for found in keys.values())
    every = {key for found in keys.values() for key in found}
    assert len(every) == 20
    assert all(len(key) == 32 and key == key.upper() for key in every)
