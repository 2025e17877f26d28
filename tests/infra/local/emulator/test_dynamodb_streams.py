"""DynamoDB Streams as AWS documents them, through boto3: switching, reading, shards, retention."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, TARGET, LocalCloud, LocalCloudError
from tests.support.infra.clouds import as_role, make_role, make_table, policy, until
from tests.support.infra.table_streams import TableStream, numbers

pytestmark = pytest.mark.slow

NAMES = (f"streamed-{number}" for number in itertools.count())
MISSING = "arn:aws:dynamodb:eu-west-1:111111111111:table/none/stream/2026-01-01T00:00:00.000"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), time_scale=0.01) as running:
        yield running


@pytest.fixture
def stream(cloud: LocalCloud) -> TableStream:
    return TableStream(cloud, next(NAMES))


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


# -- switching on and off --------------------------------------------------------------------------


def test_a_stream_is_enabling_before_it_is_enabled_and_its_table_is_updating(
    cloud: LocalCloud,
) -> None:
    dynamodb, name = cloud.client("dynamodb", SOURCE), next(NAMES)
    make_table(dynamodb, name)
    wanted = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    described = dynamodb.update_table(TableName=name, StreamSpecification=wanted)
    table = described["TableDescription"]
    assert table["TableStatus"] == "UPDATING"
    assert table["LatestStreamArn"] == f"{table['TableArn']}/stream/{table['LatestStreamLabel']}"
    api = cloud.client("dynamodbstreams", SOURCE)
    shown = api.describe_stream(StreamArn=table["LatestStreamArn"])["StreamDescription"]
    assert shown["StreamStatus"] == "ENABLING"
    with pytest.raises(ClientError) as refused:
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
    assert code(refused) == "ResourceInUseException"
    until(
        lambda: dynamodb.describe_table(TableName=name)["Table"]["TableStatus"] == "ACTIVE",
        "the table ACTIVE again",
    )


def test_a_change_made_before_the_stream_is_enabled_is_not_in_it(cloud: LocalCloud) -> None:
    stream = TableStream(cloud, next(NAMES))
    stream.switch_off()
    stream.update(StreamEnabled=True, StreamViewType="NEW_IMAGE")
    stream.put("too-early")
    stream.arn = stream.table()["LatestStreamArn"]
    until(lambda: stream.status() == "ENABLED", "the stream ENABLED")
    stream.put("in-time")
    (record,) = stream.records()
    assert record["dynamodb"]["Keys"] == {"pk": {"S": "in-time"}}


def test_a_stream_that_is_on_cannot_be_switched_on_and_one_that_is_off_not_off(
    stream: TableStream,
) -> None:
    """Streams.html: a ValidationException; it is "not possible to edit a StreamViewType"."""
    for view in ("NEW_AND_OLD_IMAGES", "NEW_IMAGE"):
        with pytest.raises(ClientError, match="already has an enabled stream") as refused:
            stream.update(StreamEnabled=True, StreamViewType=view)
        assert code(refused) == "ValidationException"
    stream.switch_off()
    with pytest.raises(ClientError, match="already has a disabled stream") as refused:
        stream.update(StreamEnabled=False)
    assert code(refused) == "ValidationException"


@pytest.mark.parametrize(
    "specification",
    [{"StreamEnabled": True}, {"StreamEnabled": False, "StreamViewType": "NEW_IMAGE"}],
)
def test_a_specification_needs_a_view_type_exactly_when_it_is_on(
    stream: TableStream, specification: dict[str, Any]
) -> None:
    stream.switch_off()
    with pytest.raises(ClientError, match="View") as refused:
        stream.update(**specification)
    assert code(refused) == "ValidationException"


def test_a_stream_switched_on_again_is_a_new_one_and_the_old_one_stays_readable_but_closed(
    stream: TableStream,
) -> None:
    stream.put("before")
    old, shards = stream.arn, stream.shards()
    assert not any("EndingSequenceNumber" in s["SequenceNumberRange"] for s in shards.values())
    stream.switch_off()
    table = stream.table()
    assert (table["LatestStreamArn"], table.get("StreamSpecification")) == (old, None)
    stream.put("between")
    stream.switch_on()
    assert stream.arn != old
    assert stream.table()["LatestStreamLabel"] > old.rpartition("/")[2]
    stream.put("after")
    assert [r["dynamodb"]["Keys"]["pk"]["S"] for r in stream.records()] == ["after"]
    stream.arn = old
    assert stream.status() == "DISABLED"
    assert all("EndingSequenceNumber" in s["SequenceNumberRange"] for s in stream.shards().values())
    assert [r["dynamodb"]["Keys"]["pk"]["S"] for r in stream.records()] == ["before"]
    for shard_id in stream.shards():
        answer = stream.api.get_records(ShardIterator=stream.iterator(shard_id, "LATEST"))
        assert "NextShardIterator" not in answer, "a closed shard has no more data"


def test_a_table_created_with_a_stream_has_it_on_and_one_created_without_has_none(
    cloud: LocalCloud,
) -> None:
    dynamodb, api = cloud.client("dynamodb", SOURCE), cloud.client("dynamodbstreams", SOURCE)
    made: list[Any] = []
    for specification in (
        {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        {"StreamEnabled": False},
    ):
        made.append(
            dynamodb.create_table(
                TableName=next(NAMES),
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                BillingMode="PAY_PER_REQUEST",
                StreamSpecification=specification,
            )["TableDescription"]
        )
    shown = api.describe_stream(StreamArn=made[0]["LatestStreamArn"])["StreamDescription"]
    assert (shown["StreamStatus"], shown["StreamViewType"]) == ("ENABLED", "KEYS_ONLY")
    assert not {"LatestStreamArn", "StreamSpecification"} & made[1].keys()


def test_the_stream_of_a_deleted_table_can_still_be_read(stream: TableStream) -> None:
    stream.put("last")
    stream.dynamodb.delete_table(TableName=stream.name)
    assert len(stream.records()) == 1
    until(lambda: stream.status() == "DISABLED", "the stream DISABLED")
    listed = stream.api.list_streams(TableName=stream.name)["Streams"]
    assert [each["StreamArn"] for each in listed] == [stream.arn]


# -- records ---------------------------------------------------------------------------------------


def test_each_change_is_one_record_with_the_documented_members(stream: TableStream) -> None:
    before = int(time.time())
    stream.put("a", n={"N": "1"})
    stream.put("a", n={"N": "2"})
    stream.dynamodb.delete_item(TableName=stream.name, Key={"pk": {"S": "a"}})
    records = stream.records()
    assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "REMOVE"]
    old, new = {"pk": {"S": "a"}, "n": {"N": "1"}}, {"pk": {"S": "a"}, "n": {"N": "2"}}
    images = [
        (record["dynamodb"].get("OldImage"), record["dynamodb"].get("NewImage"))
        for record in records
    ]
    assert images == [(None, old), (old, new), (new, None)]
    for record in records:
        assert record["eventSource"] == "aws:dynamodb"
        assert record["awsRegion"] == "eu-west-1"
        assert "userIdentity" not in record
        body = record["dynamodb"]
        assert body["StreamViewType"] == "NEW_AND_OLD_IMAGES"
        created = body["ApproximateCreationDateTime"]
        assert created.microsecond == 0, "rounded down to the closest second"
        assert before <= created.timestamp() <= time.time()
    assert len({record["eventID"] for record in records}) == 3
    # keys, and each image that is there: "pk" + "a", "n" + a number of one digit
    assert [record["dynamodb"]["SizeBytes"] for record in records] == [9, 15, 9]


@pytest.mark.parametrize(
    ("view", "images"),
    [
        ("KEYS_ONLY", set()),
        ("NEW_IMAGE", {"NewImage"}),
        ("OLD_IMAGE", {"OldImage"}),
        ("NEW_AND_OLD_IMAGES", {"NewImage", "OldImage"}),
    ],
)
def test_the_view_type_decides_which_images_a_record_has(
    cloud: LocalCloud, view: str, images: set[str]
) -> None:
    stream = TableStream(cloud, next(NAMES), view)
    stream.put("a")
    stream.put("a", n={"N": "1"})
    record = stream.records()[-1]["dynamodb"]
    assert {"NewImage", "OldImage"} & record.keys() == images
    assert record["Keys"] == {"pk": {"S": "a"}}
    assert (record["StreamViewType"], stream.described()["StreamViewType"]) == (view, view)


def test_a_write_that_changes_nothing_makes_no_record(stream: TableStream) -> None:
    stream.put("a", s={"NS": ["1", "2"]})
    stream.put("a", s={"NS": ["2", "1"]})
    stream.dynamodb.update_item(
        TableName=stream.name,
        Key={"pk": {"S": "a"}},
        UpdateExpression="SET s = :s",
        ExpressionAttributeValues={":s": {"NS": ["1", "2"]}},
    )
    stream.dynamodb.delete_item(TableName=stream.name, Key={"pk": {"S": "never"}})
    assert len(stream.records()) == 1


def test_every_way_to_write_makes_its_records(stream: TableStream) -> None:
    dynamodb, name = stream.dynamodb, stream.name
    put = {"PutRequest": {"Item": {"pk": {"S": "batch"}}}}
    dynamodb.batch_write_item(RequestItems={name: [put]})
    dynamodb.transact_write_items(
        TransactItems=[{"Put": {"TableName": name, "Item": {"pk": {"S": "transaction"}}}}]
    )
    dynamodb.execute_statement(Statement=f"INSERT INTO \"{name}\" VALUE {{'pk': 'partiql'}}")
    keys = {record["dynamodb"]["Keys"]["pk"]["S"] for record in stream.records()}
    assert keys == {"batch", "transaction", "partiql"}


def test_binary_is_base64_once(cloud: LocalCloud, stream: TableStream) -> None:
    stream.put("a", b={"B": b"\x00\xff"}, s={"BS": [b"\x01"]}, m={"M": {"b": {"B": b"\x02"}}})
    (record,) = stream.records()
    image = record["dynamodb"]["NewImage"]
    assert (image["b"], image["s"]) == ({"B": b"\x00\xff"}, {"BS": [b"\x01"]})
    assert image["m"] == {"M": {"b": {"B": b"\x02"}}}


def test_an_expired_item_is_removed_by_dynamodb_itself(stream: TableStream) -> None:
    stream.dynamodb.update_time_to_live(
        TableName=stream.name,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"},
    )
    stream.put("a", until={"N": str(int(time.time()) - 5)})
    records = until(lambda: found if len(found := stream.records()) == 2 else None, "the expiry")
    assert records[1]["eventName"] == "REMOVE"
    assert records[1]["userIdentity"] == {
        "PrincipalId": "dynamodb.amazonaws.com",
        "Type": "Service",
    }


def test_sequence_numbers_are_21_to_40_digits_and_increase_for_an_item_only_as_numbers(
    stream: TableStream,
) -> None:
    for number in range(30):
        stream.put("a", n={"N": str(number)})
    records = stream.records()
    texts = [record["dynamodb"]["SequenceNumber"] for record in records]
    assert all(text.isdecimal() and 21 <= len(text) <= 40 for text in texts)
    found = list(numbers(records))
    assert found == sorted(found)
    assert len(set(found)) == 30
    assert texts != sorted(texts), "compared as text without padding, the order is another one"
    images = [record["dynamodb"]["NewImage"]["n"]["N"] for record in records]
    assert images == [str(number) for number in range(30)]


# -- reading ---------------------------------------------------------------------------------------


def test_a_reader_starts_where_its_iterator_says(stream: TableStream) -> None:
    for number in range(4):
        stream.put("a", n={"N": str(number)})
    (shard_id,) = [s for s in stream.shards() if stream.read(s)]
    third = stream.read(shard_id)[2]["dynamodb"]["SequenceNumber"]
    latest = stream.iterator(shard_id, "LATEST")

    def found(records: list[dict[str, Any]]) -> list[str]:
        return [record["dynamodb"]["NewImage"]["n"]["N"] for record in records]

    assert found(stream.read(shard_id, "TRIM_HORIZON")) == ["0", "1", "2", "3"]
    assert found(stream.read(shard_id, "AT_SEQUENCE_NUMBER", third)) == ["2", "3"]
    assert found(stream.read(shard_id, "AFTER_SEQUENCE_NUMBER", third)) == ["3"]
    stream.put("a", n={"N": "4"})
    assert found(stream.api.get_records(ShardIterator=latest)["Records"]) == ["4"]


def test_a_page_has_at_most_1000_records_or_1_mb(cloud: LocalCloud, stream: TableStream) -> None:
    big = {"S": "x" * 300_000}
    for number in range(3):
        stream.put("a", text=big, n={"N": str(number)})
    (shard_id,) = [s for s in stream.shards() if stream.read(s)]
    first = stream.api.get_records(ShardIterator=stream.iterator(shard_id))
    assert len(first["Records"]) == 2, "300 KB, then twice 600 KB: the third does not fit"
    rest = stream.api.get_records(ShardIterator=first["NextShardIterator"])
    assert len(rest["Records"]) == 1
    limited = stream.api.get_records(ShardIterator=stream.iterator(shard_id), Limit=1)
    assert len(limited["Records"]) == 1
    with pytest.raises(ClientError) as refused:
        stream.api.get_records(ShardIterator=stream.iterator(shard_id), Limit=1001)
    assert code(refused) == "LimitExceededException"


def test_an_iterator_expires_after_15_minutes(stream: TableStream) -> None:
    (shard_id, *_rest) = stream.shards()
    token = json.loads(base64.b64decode(stream.iterator(shard_id)))
    for age, answer in ((14 * 60, None), (16 * 60, "ExpiredIteratorException")):
        aged = base64.b64encode(json.dumps({**token, "made": time.time() - age}).encode()).decode()
        if answer is None:
            stream.api.get_records(ShardIterator=aged)
            continue
        with pytest.raises(ClientError) as refused:
            stream.api.get_records(ShardIterator=aged)
        assert code(refused) == answer


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"StreamArn": MISSING}, "ResourceNotFoundException"),
        ({"ShardId": "shardId-00000001573689847184-864758bb"}, "ResourceNotFoundException"),
        ({"ShardIteratorType": "AT_TIMESTAMP"}, "ValidationException"),
        ({"ShardIteratorType": "AT_SEQUENCE_NUMBER"}, "ValidationException"),
        (
            {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "1" * 21},
            "ValidationException",
        ),
    ],
)
def test_an_iterator_of_nothing_that_is_there_is_refused(
    stream: TableStream, options: dict[str, Any], answer: str
) -> None:
    (shard_id, *_rest) = stream.shards()
    asked = {
        "StreamArn": stream.arn,
        "ShardId": shard_id,
        "ShardIteratorType": "TRIM_HORIZON",
        **options,
    }
    with pytest.raises(ClientError) as refused:
        stream.api.get_shard_iterator(**asked)
    assert code(refused) == answer


def test_an_iterator_that_is_none_is_refused(stream: TableStream) -> None:
    with pytest.raises(ClientError) as refused:
        stream.api.get_records(ShardIterator="none of ours")
    assert code(refused) == "ValidationException"


def test_a_shard_has_two_readers_and_the_third_is_throttled(
    cloud: LocalCloud, stream: TableStream
) -> None:
    allowed = policy((["dynamodb:*"], [stream.arn]))
    role = make_role(cloud, SOURCE, f"{stream.name}-reader", allowed)
    readers = [as_role(cloud, SOURCE, role, "dynamodbstreams") for _ in range(3)]
    shard_id, other, *_rest = stream.shards()
    for reader in readers[:2]:
        reader.get_records(ShardIterator=stream.iterator(shard_id))
    with pytest.raises(ClientError) as refused:
        readers[2].get_records(ShardIterator=stream.iterator(shard_id))
    assert code(refused) == "LimitExceededException"
    readers[2].get_records(ShardIterator=stream.iterator(other))

    def again() -> bool:
        try:
            return bool(readers[2].get_records(ShardIterator=stream.iterator(shard_id)))
        except ClientError:
            return False

    until(again, "the third's turn, once the others have read no more for a second")


# -- listing ---------------------------------------------------------------------------------------


def test_streams_are_listed_in_pages_in_their_own_account_and_region(cloud: LocalCloud) -> None:
    made = [TableStream(cloud, next(NAMES), account=TARGET) for _ in range(3)]
    made[0].switch_off()
    api = made[0].api
    arns: list[str] = []
    after: dict[str, Any] = {}
    while True:
        answer = api.list_streams(Limit=1, **after)
        arns += [each["StreamArn"] for each in answer["Streams"]]
        if "LastEvaluatedStreamArn" not in answer:
            break
        after = {"ExclusiveStartStreamArn": answer["LastEvaluatedStreamArn"]}
    assert arns == sorted(stream.arn for stream in made)
    (only,) = api.list_streams(TableName=made[1].name)["Streams"]
    assert only == {
        "StreamArn": made[1].arn,
        "TableName": made[1].name,
        "StreamLabel": made[1].arn.rpartition("/")[2],
    }
    elsewhere = cloud.client("dynamodbstreams", TARGET, "us-west-2")
    assert elsewhere.list_streams()["Streams"] == []
    with pytest.raises(ClientError) as refused:
        elsewhere.describe_stream(StreamArn=made[1].arn)
    assert code(refused) == "ResourceNotFoundException"


def test_a_stream_describes_its_table(cloud: LocalCloud) -> None:
    stream = TableStream(cloud, next(NAMES), key="pk:S,sk:N")
    described = stream.described()
    assert described["TableName"] == stream.name
    assert [each["KeyType"] for each in described["KeySchema"]] == ["HASH", "RANGE"]
    assert described["StreamLabel"] == stream.arn.rpartition("/")[2]
    assert abs(described["CreationRequestDateTime"].timestamp() - time.time()) < 60


# -- lineage and retention -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rolling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    limits = "shard_records=5,first_shards=1,most_shards=3"
    with LocalCloud(tmp_path_factory.mktemp("rolling"), streams=limits) as running:
        yield running


def test_shards_close_and_have_children_and_each_item_keeps_its_order_along_the_lineage(
    rolling: LocalCloud,
) -> None:
    stream = TableStream(rolling, "rolling")
    for number in range(60):
        stream.put(f"k{number % 4}", n={"N": str(number)})
    shards = stream.shards()
    parents = {shard_id: shard.get("ParentShardId") for shard_id, shard in shards.items()}
    opened = [
        s
        for s, shard in shards.items()
        if "EndingSequenceNumber" not in shard["SequenceNumberRange"]
    ]
    assert len(shards) > 8
    assert 1 < len(opened) <= 3
    assert list(parents.values()).count(None) == 1, "one root"
    families = [list(parents.values()).count(shard_id) for shard_id in shards]
    assert {1, 2} <= set(families), "some shards split, others have one child"
    for shard_id, parent in parents.items():
        low = int(shards[shard_id]["SequenceNumberRange"]["StartingSequenceNumber"])
        if parent:
            high = int(shards[parent]["SequenceNumberRange"]["EndingSequenceNumber"])
            assert low > high
        assert all(low < number for number in numbers(stream.read(shard_id)))
    seen: dict[str, list[int]] = {}
    for record in stream.records():  # parents first
        body = record["dynamodb"]
        seen.setdefault(body["Keys"]["pk"]["S"], []).append(int(body["NewImage"]["n"]["N"]))
    assert seen == {f"k{key}": list(range(key, 60, 4)) for key in range(4)}


def test_a_closed_shard_ends_with_no_next_iterator_and_its_children_are_found(
    rolling: LocalCloud,
) -> None:
    stream = TableStream(rolling, "ends")
    for number in range(6):
        stream.put("k", n={"N": str(number)})
    root, *children = stream.shards()
    answer = stream.api.get_records(ShardIterator=stream.iterator(root))
    assert len(answer["Records"]) == 5
    assert "NextShardIterator" not in answer
    found = stream.described(ShardFilter={"Type": "CHILD_SHARDS", "ShardId": root})["Shards"]
    assert [shard["ShardId"] for shard in found] == children
    assert {shard["ParentShardId"] for shard in found} == {root}
    assert (
        stream.described(ShardFilter={"Type": "CHILD_SHARDS", "ShardId": children[0]})["Shards"]
        == []
    )


def test_shards_are_described_in_pages_of_at_most_100(rolling: LocalCloud) -> None:
    stream = TableStream(rolling, "pages")
    for number in range(30):
        stream.put("k", n={"N": str(number)})
    whole = list(stream.shards())
    found: list[str] = []
    after: dict[str, Any] = {}
    while True:
        answer = stream.described(Limit=3, **after)
        assert len(answer["Shards"]) <= 3
        found += [shard["ShardId"] for shard in answer["Shards"]]
        if "LastEvaluatedShardId" not in answer:
            break
        after = {"ExclusiveStartShardId": answer["LastEvaluatedShardId"]}
    assert found == whole
    with pytest.raises(ClientError) as refused:
        stream.described(Limit=101)
    assert code(refused) == "ValidationException"


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    limits = "retention_seconds=6,shard_seconds=2,first_shards=1"
    with LocalCloud(tmp_path_factory.mktemp("forgetful"), streams=limits) as running:
        yield running


def test_records_and_shards_are_trimmed_when_their_time_is_over(forgetful: LocalCloud) -> None:
    stream = TableStream(forgetful, "trimmed")
    stream.put("a")
    shard_id = next(s for s in stream.shards() if stream.read(s))
    number = stream.read(shard_id)[0]["dynamodb"]["SequenceNumber"]
    early = stream.iterator(shard_id)

    def kept() -> list[str]:
        return [s for s in stream.shards() if s == shard_id and stream.read(s)]

    until(lambda: not kept(), "the record trimmed")
    for kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        with pytest.raises(ClientError) as refused:
            stream.iterator(shard_id, kind, number)
        assert code(refused) in ("TrimmedDataAccessException", "ResourceNotFoundException")
    with pytest.raises(ClientError) as refused:
        stream.api.get_records(ShardIterator=early)
    assert code(refused) == "TrimmedDataAccessException"
    until(lambda: shard_id not in stream.shards(), "the shard gone")
    assert stream.shards(), "its children are there"
    stream.put("b")
    assert [r["dynamodb"]["Keys"]["pk"]["S"] for r in stream.records()] == ["b"]


def test_a_shard_also_closes_with_age_and_has_one_child(forgetful: LocalCloud) -> None:
    stream = TableStream(forgetful, "aged")
    first = next(iter(stream.shards()))
    shards = until(lambda: found if len(found := stream.shards()) > 1 else None, "a child")
    child = next(s for s in shards.values() if s.get("ParentShardId") == first)
    assert "EndingSequenceNumber" not in child["SequenceNumberRange"]
    assert "EndingSequenceNumber" in shards[first]["SequenceNumberRange"]


def test_a_stream_that_was_switched_off_is_gone_when_its_time_is_over(
    forgetful: LocalCloud,
) -> None:
    stream = TableStream(forgetful, "gone")
    stream.put("a")
    stream.switch_off()

    def gone() -> bool:
        try:
            return not stream.described()
        except stream.api.exceptions.ResourceNotFoundException:
            return True

    assert not gone()
    until(gone, "the stream gone")
    assert stream.api.list_streams(TableName=stream.name)["Streams"] == []


def test_limits_that_cannot_be_read_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match=r"(?m)^Try: .* --streams shard_records="):
        LocalCloud(tmp_path, streams="shards=1").__enter__()
