"""Mappings of DynamoDB streams: of another account, their refusals, batches, failures, lineage."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from tests.support.infra.clouds import as_role, make_bucket, make_role, policy, until
from tests.support.infra.table_streams import (
    TABLE_STREAM_READS,
    StreamPipeline,
    TableStream,
)

pytestmark = pytest.mark.slow

NAMES = (f"mapped-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(
        tmp_path_factory.mktemp("cloud"),
        time_scale=0.01,
        chaos="policy_spread=0",
        streams="first_shards=1",
    ) as running:
        yield running


@pytest.fixture
def pipeline(cloud: LocalCloud) -> StreamPipeline:
    return StreamPipeline(cloud, next(NAMES))


# -- creation and its refusals ---------------------------------------------------------------------


def test_a_mapping_of_another_accounts_stream_delivers_from_the_horizon(
    pipeline: StreamPipeline,
) -> None:
    for number in range(5):
        pipeline.stream.put(str(number))
    pipeline.start(Enabled=False)
    assert pipeline.state() == "Disabled"
    assert pipeline.seen() == []
    pipeline.update(Enabled=True)
    until(lambda: pipeline.seen() == ["0", "1", "2", "3", "4"], "all records in their order")
    assert pipeline.result() == "OK"
    pipeline.update(Enabled=False)
    pipeline.stream.put("5")
    time.sleep(0.5)
    assert "5" not in pipeline.seen()
    pipeline.update(Enabled=True)
    until(lambda: pipeline.seen()[5:] == ["5"], "the rest, once")


def test_a_mapping_is_creating_first_and_has_the_documented_defaults(
    pipeline: StreamPipeline,
) -> None:
    pipeline.allow()
    made = until(lambda: pipeline.create(), "the mapping created")
    assert made["State"] == "Creating"
    expected = {
        "BatchSize": 100,
        "BisectBatchOnFunctionError": False,
        "MaximumBatchingWindowInSeconds": 0,
        "MaximumRecordAgeInSeconds": -1,
        "MaximumRetryAttempts": -1,
        "ParallelizationFactor": 1,
        "StartingPosition": "TRIM_HORIZON",
    }
    assert {name: made[name] for name in expected} == expected
    pipeline.settle()
    assert pipeline.state() == "Enabled"


def test_latest_starts_with_what_is_written_later(pipeline: StreamPipeline) -> None:
    pipeline.stream.put("early")
    pipeline.start(StartingPosition="LATEST")
    time.sleep(0.5)
    pipeline.stream.put("late")
    until(lambda: pipeline.seen() == ["late"], "the later record")


@pytest.mark.parametrize("position", ["AT_TIMESTAMP", None])
def test_the_starting_position_is_trim_horizon_or_latest(
    pipeline: StreamPipeline, position: str | None
) -> None:
    pipeline.allow()
    options = {
        "EventSourceArn": pipeline.stream.arn,
        "FunctionName": pipeline.name,
        **({"StartingPosition": position, "StartingPositionTimestamp": 1} if position else {}),
    }
    with pytest.raises(ClientError, match="starting position") as refused:
        pipeline.functions.create_event_source_mapping(**options)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"


def test_without_a_policy_of_the_stream_no_other_account_reads_it(
    pipeline: StreamPipeline,
) -> None:
    with pytest.raises(ClientError, match=r"Cannot access stream .*dynamodb:DescribeStream"):
        pipeline.create()


@pytest.mark.parametrize("missing", TABLE_STREAM_READS)
def test_a_policy_of_the_stream_names_each_read(pipeline: StreamPipeline, missing: str) -> None:
    pipeline.allow(*(action for action in TABLE_STREAM_READS if action != missing))
    with pytest.raises(ClientError, match=rf"Cannot access stream .*{missing} on resource: arn:"):
        pipeline.create()


@pytest.mark.parametrize("missing", [*TABLE_STREAM_READS, "dynamodb:ListStreams"])
def test_the_functions_role_needs_each_read_itself(cloud: LocalCloud, missing: str) -> None:
    kept = [each for each in [*TABLE_STREAM_READS, "dynamodb:ListStreams"] if each != missing]
    name = next(NAMES)
    pipeline = StreamPipeline(cloud, name, permissions=[(kept, ["*"])])
    pipeline.allow()
    with pytest.raises(ClientError, match=rf"Cannot access stream .*{missing} on resource: arn:"):
        pipeline.create()


def test_the_same_accounts_function_needs_no_policy_of_the_stream(cloud: LocalCloud) -> None:
    everything = [([*TABLE_STREAM_READS, "dynamodb:ListStreams"], ["*"])]
    pipeline = StreamPipeline(cloud, next(NAMES), permissions=everything)
    pipeline.stream = TableStream(cloud, f"{pipeline.name}-own", account=TARGET)
    pipeline.stream.put("own")
    pipeline.create()
    until(lambda: pipeline.seen() == ["own"], "the record")


def test_a_stream_of_another_region_is_refused(cloud: LocalCloud, pipeline: StreamPipeline) -> None:
    """Services-dynamodb-eventsourcemapping.html: "Cross-region triggers are not supported"."""
    pipeline.allow()
    arn = pipeline.stream.arn.replace("eu-west-1", "us-west-2")
    with pytest.raises(ClientError, match=r"(?i)region") as refused:
        pipeline.create(EventSourceArn=arn)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"


def test_a_stream_that_is_not_there_is_refused(pipeline: StreamPipeline) -> None:
    arn = pipeline.stream.arn[:-3] + "xyz"
    with pytest.raises(ClientError, match="Stream not found") as refused:
        pipeline.create(EventSourceArn=arn)
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_a_second_mapping_of_the_same_stream_and_function_is_refused(
    pipeline: StreamPipeline,
) -> None:
    pipeline.start()
    with pytest.raises(ClientError, match=r"DynamoDB arn .* already exists") as refused:
        pipeline.create()
    assert refused.value.response["Error"]["Code"] == "ResourceConflictException"


@pytest.mark.parametrize("cross_account", [True, False])
def test_a_table_under_the_aws_managed_key_is_read_in_its_own_account_only(
    cloud: LocalCloud, cross_account: bool
) -> None:
    """Rbac-considerations.html: cross-account access does not support these tables."""
    everything = [([*TABLE_STREAM_READS, "dynamodb:ListStreams"], ["*"])]
    pipeline = StreamPipeline(cloud, next(NAMES), permissions=everything)
    if not cross_account:
        pipeline.stream = TableStream(cloud, f"{pipeline.name}-own", account=TARGET)
    pipeline.stream.dynamodb.update_table(
        TableName=pipeline.stream.name, SSESpecification={"Enabled": True, "SSEType": "KMS"}
    )
    if cross_account:
        pipeline.allow()
        with pytest.raises(ClientError, match=r"Cannot access stream .*kms:Decrypt on resource"):
            pipeline.create()
    else:
        assert pipeline.create()["State"] == "Creating"


def test_a_customer_managed_key_has_to_let_the_functions_role_decrypt(cloud: LocalCloud) -> None:
    name = next(NAMES)
    kms = cloud.client("kms", SOURCE)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    reads = [([*TABLE_STREAM_READS, "dynamodb:ListStreams"], ["*"]), (["kms:Decrypt"], [key])]
    pipeline = StreamPipeline(cloud, name, permissions=reads)
    pipeline.stream.dynamodb.update_table(
        TableName=name, SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    )
    pipeline.allow()
    with pytest.raises(ClientError, match=r"Cannot access stream .*kms:Decrypt on resource"):
        pipeline.create()
    allow = {
        "Version": "2012-10-17",
        "Statement": [
            *json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])["Statement"],
            {
                "Effect": "Allow",
                "Principal": {"AWS": pipeline.role},
                "Action": "kms:Decrypt",
                "Resource": "*",
            },
        ],
    }
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(allow))
    assert pipeline.create()["State"] == "Creating"


def test_a_mapping_can_be_allowed_for_one_function_alone(
    cloud: LocalCloud, pipeline: StreamPipeline
) -> None:
    """lambda:FunctionArn limits creating, changing and deleting mappings of other functions."""
    pipeline.allow()
    account = f"arn:aws:lambda:{TARGET.region}:{TARGET.account_id}"
    document = json.loads(
        policy((["lambda:CreateEventSourceMapping", "lambda:DeleteEventSourceMapping"], ["*"]))
    )
    condition = {"ArnEquals": {"lambda:FunctionArn": f"{account}:function:{pipeline.name}"}}
    document["Statement"][0]["Condition"] = condition
    role = make_role(cloud, TARGET, f"{pipeline.name}-maker", json.dumps(document))
    maker = as_role(cloud, TARGET, role, "lambda")
    asked = {"EventSourceArn": pipeline.stream.arn, "StartingPosition": "LATEST"}
    with pytest.raises(ClientError, match="AccessDenied"):
        maker.create_event_source_mapping(FunctionName=f"{pipeline.name}-other", **asked)
    made = [
        maker.create_event_source_mapping(FunctionName=pipeline.name, **asked),
    ]
    maker.delete_event_source_mapping(UUID=made[0]["UUID"])
    whole = f"{account}:function:{pipeline.name}"
    assert maker.create_event_source_mapping(FunctionName=whole, **asked)["UUID"]
    other = StreamPipeline(cloud, next(NAMES))
    other.start()
    with pytest.raises(ClientError, match="AccessDenied"):
        maker.delete_event_source_mapping(UUID=other.mapping)


def test_a_mapping_whose_permission_is_taken_away_says_so_and_resumes_with_it(
    pipeline: StreamPipeline,
) -> None:
    pipeline.start()
    pipeline.stream.put("one")
    until(lambda: pipeline.seen() == ["one"], "the first record")
    pipeline.stream.dynamodb.delete_resource_policy(ResourceArn=pipeline.stream.arn)
    until(lambda: pipeline.result().startswith("PROBLEM"), "the refusal")
    assert "dynamodb:DescribeStream" in pipeline.result()
    pipeline.stream.put("two")
    time.sleep(1.2)
    assert pipeline.seen() == ["one"]
    until(lambda: _put(pipeline), "the policy back")
    until(lambda: pipeline.seen() == ["one", "two"], "the rest")


def _put(pipeline: StreamPipeline) -> bool:
    try:
        pipeline.allow()
    except ClientError:
        return False
    return True


# -- events ----------------------------------------------------------------------------------------


def test_an_event_has_the_documented_shape(cloud: LocalCloud) -> None:
    pipeline = StreamPipeline(cloud, next(NAMES), {"EVENT": "1"})
    before = int(time.time())
    pipeline.stream.put("a", b={"B": b"\x00\xff"}, n={"N": "12345678901234567890123456789"})
    pipeline.start()
    (event,) = until(lambda: pipeline.printed("event"), "the event")
    (record,) = event["Records"]
    assert sorted(record) == [
        "awsRegion",
        "dynamodb",
        "eventID",
        "eventName",
        "eventSource",
        "eventSourceARN",
        "eventVersion",
    ]
    assert (record["eventSource"], record["eventName"]) == ("aws:dynamodb", "INSERT")
    assert record["eventSourceARN"] == pipeline.stream.arn
    assert record["awsRegion"] == "eu-west-1"
    body = record["dynamodb"]
    assert sorted(body) == [
        "ApproximateCreationDateTime",
        "Keys",
        "NewImage",
        "SequenceNumber",
        "SizeBytes",
        "StreamViewType",
    ]
    image = {"pk": {"S": "a"}, "b": {"B": "AP8="}, "n": {"N": "12345678901234567890123456789"}}
    assert body["NewImage"] == image, "binary in base64 once, numbers as text"
    assert body["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    at = body["ApproximateCreationDateTime"]
    assert at == int(at) >= before, "whole seconds"
    (read,) = pipeline.stream.records()
    assert body["SequenceNumber"] == read["dynamodb"]["SequenceNumber"]
    assert record["eventID"] == read["eventID"]


def test_the_event_of_an_expired_item_names_dynamodb(cloud: LocalCloud) -> None:
    pipeline = StreamPipeline(cloud, next(NAMES), {"EVENT": "1"})
    pipeline.stream.dynamodb.update_time_to_live(
        TableName=pipeline.name,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"},
    )
    pipeline.stream.put("a", until={"N": str(int(time.time()) - 5)})
    pipeline.start()

    def removed() -> Any:
        events = pipeline.printed("event")
        found = [record for event in events for record in event["Records"]]
        return [record for record in found if record["eventName"] == "REMOVE"]

    (record,) = until(removed, "the expiry")
    identity = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    assert record["userIdentity"] == identity
    assert "NewImage" not in record["dynamodb"]


# -- failures --------------------------------------------------------------------------------------


def test_a_partial_answer_repeats_from_the_lowest_failed_record(cloud: LocalCloud) -> None:
    pipeline = StreamPipeline(cloud, next(NAMES), {"POISON": "13,15"})
    keys = [str(number) for number in range(10, 22)]  # over the step from 21 to 22 digits
    for key in keys:
        pipeline.stream.put(key)
    pipeline.start(MaximumRetryAttempts=1)
    until(lambda: len(pipeline.batches()) >= 3, "the retry")
    pipeline.stream.put("last")
    until(lambda: pipeline.batches()[-1] == ["last"], "what comes after the given-up batch")
    assert pipeline.batches() == [keys, keys[3:], keys[3:], ["last"]]


def test_bisection_isolates_a_poison_record_and_s3_gets_it_whole(cloud: LocalCloud) -> None:
    s3 = make_bucket(cloud, TARGET, "given-up-by-tables")
    pipeline = StreamPipeline(
        cloud,
        next(NAMES),
        {"POISON": "3", "MODE": "raise"},
        extra=[(["s3:PutObject", "s3:ListBucket"], ["arn:aws:s3:::given-up-by-tables*"])],
    )
    for number in range(8):
        pipeline.stream.put(str(number))
    destination = {"OnFailure": {"Destination": "arn:aws:s3:::given-up-by-tables"}}
    pipeline.start(
        BisectBatchOnFunctionError=True, MaximumRetryAttempts=1, DestinationConfig=destination
    )
    until(lambda: pipeline.batches()[-1:] == [["4", "5", "6", "7"]], "the batch's end")
    assert pipeline.batches()[-4:-1] == [["2"], ["3"], ["3"]]
    (found,) = until(
        lambda: s3.list_objects_v2(Bucket="given-up-by-tables").get("Contents"), "the object"
    )
    (shard_id,) = pipeline.stream.shards()
    assert found["Key"].startswith(f"aws/lambda/{pipeline.mapping}/{shard_id}/")
    body = json.loads(s3.get_object(Bucket="given-up-by-tables", Key=found["Key"])["Body"].read())
    info = body["DDBStreamBatchInfo"]
    assert body["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert (info["batchSize"], info["streamArn"]) == (1, pipeline.stream.arn)
    assert "." not in info["approximateArrivalOfFirstRecord"]
    (record,) = json.loads(body["payload"])["Records"]
    assert record["dynamodb"]["Keys"] == {"pk": {"S": "3"}}
    assert record["dynamodb"]["SequenceNumber"] == info["startSequenceNumber"]


def test_a_queue_gets_the_metadata_of_a_given_up_batch(cloud: LocalCloud) -> None:
    sqs = cloud.client("sqs", TARGET)
    name = next(NAMES)
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:{TARGET.region}:{TARGET.account_id}:{name}"
    pipeline = StreamPipeline(cloud, name, {"POISON": "a", "MODE": "raise"})
    pipeline.stream.put("a")
    pipeline.start(MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": arn}})
    (message,) = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"), "the message")
    body = json.loads(message["Body"])
    assert sorted(body["DDBStreamBatchInfo"]) == [
        "approximateArrivalOfFirstRecord",
        "approximateArrivalOfLastRecord",
        "batchSize",
        "endSequenceNumber",
        "shardId",
        "startSequenceNumber",
        "streamArn",
    ]
    assert "payload" not in body


def test_a_topic_gets_the_metadata_of_a_given_up_batch(cloud: LocalCloud) -> None:
    sqs, sns = cloud.client("sqs", TARGET), cloud.client("sns", TARGET)
    name = next(NAMES)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": f"arn:aws:sqs:{TARGET.region}:{TARGET.account_id}:{name}",
    }
    allow = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    url = sqs.create_queue(QueueName=name, Attributes={"Policy": allow})["QueueUrl"]
    topic = sns.create_topic(Name=name)["TopicArn"]
    queue = f"arn:aws:sqs:{TARGET.region}:{TARGET.account_id}:{name}"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    pipeline = StreamPipeline(cloud, name, {"POISON": "a", "MODE": "raise"})
    pipeline.stream.put("a")
    pipeline.start(MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": topic}})
    (message,) = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"), "the message")
    body = json.loads(json.loads(message["Body"])["Message"])
    assert body["DDBStreamBatchInfo"]["streamArn"] == pipeline.stream.arn


# -- lineage, lanes, readers -----------------------------------------------------------------------


def test_a_parent_is_finished_before_its_children_begin(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with LocalCloud(
        tmp_path_factory.mktemp("rolling"),
        streams="shard_records=4,first_shards=1,most_shards=3",
        chaos="policy_spread=0",
    ) as rolling:
        pipeline = StreamPipeline(rolling, "lineage", {"EVENT": "1", "SLEEP": "0.05"})
        for number in range(40):
            pipeline.stream.put(f"{number % 3}", n={"N": str(number)})
        pipeline.start(BatchSize=3)
        for number in range(40, 60):
            pipeline.stream.put(f"{number % 3}", n={"N": str(number)})
        until(lambda: len(pipeline.seen()) >= 60, "every record", 60)
        assert len(pipeline.seen()) == 60, "each of them once"
        assert all(len(batch) <= 3 for batch in pipeline.batches())
        events = pipeline.printed("event")
        order = [r["dynamodb"]["SequenceNumber"] for event in events for r in event["Records"]]
        shards = pipeline.stream.shards()
        places = {
            shard_id: [
                order.index(record["dynamodb"]["SequenceNumber"])
                for record in pipeline.stream.read(shard_id)
            ]
            for shard_id in shards
        }
        for shard_id, shard in shards.items():
            parent = places.get(shard.get("ParentShardId", ""))
            if parent and places[shard_id]:
                assert max(parent) < min(places[shard_id])


def test_records_of_an_item_stay_in_order_along_the_lineage(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with LocalCloud(
        tmp_path_factory.mktemp("ordered"),
        streams="shard_records=4,first_shards=2,most_shards=4",
        chaos="policy_spread=0",
    ) as rolling:
        pipeline = StreamPipeline(rolling, "ordered", {"EVENT": "1", "SLEEP": "0.02"})
        pipeline.start(ParallelizationFactor=2)
        for number in range(60):
            pipeline.stream.put(f"{number % 5}", n={"N": str(number)})

        def events() -> Any:
            found = [r for event in pipeline.printed("event") for r in event["Records"]]
            return found if len(found) >= 60 else None

        seen: dict[str, list[int]] = {}
        for record in until(events, "every record", 60):
            body = record["dynamodb"]
            seen.setdefault(body["Keys"]["pk"]["S"], []).append(int(body["NewImage"]["n"]["N"]))
        assert seen == {str(key): list(range(key, 60, 5)) for key in range(5)}


def test_two_functions_read_a_shard_and_the_third_is_throttled(cloud: LocalCloud) -> None:
    first = StreamPipeline(cloud, next(NAMES))
    everything = [([*TABLE_STREAM_READS, "dynamodb:ListStreams"], ["*"])]
    others = [StreamPipeline(cloud, next(NAMES), permissions=everything) for _ in range(2)]
    for other in others:
        other.stream = first.stream
    roles = [each.role for each in (first, *others)]
    document = json.loads(policy((TABLE_STREAM_READS, [first.stream.arn]), principal="x"))
    document["Statement"][0]["Principal"] = {"AWS": roles}
    first.stream.dynamodb.put_resource_policy(
        ResourceArn=first.stream.arn, Policy=json.dumps(document)
    )
    for each in (first, *others):
        each.create()
        each.settle()
    first.stream.put("a")
    pipelines = (first, *others)
    until(lambda: sum(each.seen() == ["a"] for each in pipelines) == 2, "two have read")
    (third,) = (each for each in pipelines if not each.seen())
    until(lambda: "throttled" in third.result(), "the third throttled")
    next(each for each in pipelines if each.seen()).update(Enabled=False)
    until(lambda: third.seen() == ["a"], "its turn")


def test_a_stream_switched_off_is_read_to_its_end_and_the_new_one_is_not(
    pipeline: StreamPipeline,
) -> None:
    pipeline.start(Enabled=False)
    pipeline.stream.put("before")
    pipeline.stream.switch_off()
    pipeline.update(Enabled=True)
    until(lambda: pipeline.seen() == ["before"], "the old stream's record")
    pipeline.stream.switch_on()
    pipeline.stream.put("after")
    with pytest.raises(ClientError) as refused:
        pipeline.stream.dynamodb.get_resource_policy(ResourceArn=pipeline.stream.arn)
    assert refused.value.response["Error"]["Code"] == "PolicyNotFoundException"
    time.sleep(0.7)
    assert pipeline.seen() == ["before"], "a mapping is of one stream"
    assert pipeline.state() == "Enabled", "and no state says that it is dead"
