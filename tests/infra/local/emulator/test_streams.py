"""Kinesis: settings that are echoed, limits, closed shards, and reading across accounts by ARN."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from tests.support.infra.clouds import (
    STREAM_READS,
    as_role,
    make_role,
    make_stream,
    policy,
    raw_records,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def kinesis(cloud: LocalCloud) -> Any:
    return cloud.client("kinesis", SOURCE)


def summary(kinesis: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = kinesis.describe_stream_summary(StreamName=name)
    return found["StreamDescriptionSummary"]


def put(kinesis: Any, name: str, first: int, count: int) -> None:
    records = [
        {"Data": str(n).encode(), "PartitionKey": str(n)} for n in range(first, first + count)
    ]
    kinesis.put_records(StreamName=name, Records=records)


def test_streams_are_listed_by_their_tags_in_their_own_account_and_region(
    cloud: LocalCloud, kinesis: Any
) -> None:
    for name, tags in (("a", {"stack": "dev", "more": "x"}), ("b", {"stack": "other"}), ("c", {})):
        kinesis.create_stream(StreamName=f"tagged-{name}", ShardCount=1, Tags=tags)
    wanted = {
        "TagFilters": [{"Key": "stack", "Values": ["dev"]}],
        "ResourceTypeFilters": ["kinesis", "s3"],
    }

    def listed(account: Any, region: str | None = None) -> list[str]:
        tagging = cloud.client("resourcegroupstaggingapi", account, region)
        found = tagging.get_resources(**wanted)["ResourceTagMappingList"]
        return [each["ResourceARN"] for each in found]

    assert listed(SOURCE) == [summary(kinesis, "tagged-a")["StreamARN"]]
    assert listed(SOURCE, "us-west-2") == [] == listed(TARGET)


def test_the_settings_of_a_stream_are_echoed(cloud: LocalCloud, kinesis: Any) -> None:
    key = cloud.client("kms", SOURCE).create_key()["KeyMetadata"]["Arn"]
    kinesis.create_stream(
        StreamName="settings",
        StreamModeDetails={"StreamMode": "ON_DEMAND"},
        MaxRecordSizeInKiB=10240,
        RecordDistributionStrategy="USER_PARTITION_KEY",
        Tags={"owner": "us"},
    )
    kinesis.increase_stream_retention_period(StreamName="settings", RetentionPeriodHours=8760)
    kinesis.start_stream_encryption(StreamName="settings", EncryptionType="KMS", KeyId=key)
    found = summary(kinesis, "settings")
    assert found["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert found["MaxRecordSizeInKiB"] == 10240
    assert found["RecordDistributionStrategy"] == "USER_PARTITION_KEY"
    assert found["RetentionPeriodHours"] == 8760
    assert (found["EncryptionType"], found["KeyId"]) == ("KMS", key)
    assert found["OpenShardCount"] == 4
    tags = kinesis.list_tags_for_resource(ResourceARN=found["StreamARN"])["Tags"]
    assert tags == [{"Key": "owner", "Value": "us"}]
    kinesis.update_stream_record_distribution_strategy(
        StreamARN=found["StreamARN"], RecordDistributionStrategy="AUTO"
    )
    assert summary(kinesis, "settings")["RecordDistributionStrategy"] == "AUTO"


def test_records_up_to_the_streams_maximum_are_taken(kinesis: Any) -> None:
    arn = make_stream(kinesis, "sizes")
    large = b"x" * (2 * 2**20)
    with pytest.raises(ClientError, match="less than or equal to 1048576"):
        kinesis.put_record(StreamARN=arn, Data=large, PartitionKey="k")
    kinesis.update_max_record_size(StreamARN=arn, MaxRecordSizeInKiB=2048)
    kinesis.put_record(StreamARN=arn, Data=large, PartitionKey="k")
    assert raw_records(kinesis, arn)[0]["Data"] == large


def test_a_page_holds_no_more_than_ten_megabytes(kinesis: Any) -> None:
    arn = make_stream(kinesis, "pages", MaxRecordSizeInKiB=4096)
    for _ in range(4):
        kinesis.put_record(StreamARN=arn, Data=b"x" * (4 * 2**20), PartitionKey="k")
    shard = kinesis.list_shards(StreamARN=arn)["Shards"][0]["ShardId"]
    iterator = kinesis.get_shard_iterator(
        StreamARN=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    assert len(kinesis.get_records(ShardIterator=iterator)["Records"]) == 2
    assert len(raw_records(kinesis, arn)) == 4


@pytest.mark.parametrize("how", ["split", "merge", "count"])
def test_resharding_keeps_the_records_and_ends_the_parents(kinesis: Any, how: str) -> None:
    name = f"reshard-{how}"
    arn = make_stream(kinesis, name, shards=2)
    put(kinesis, name, 0, 50)
    one, two = (shard["ShardId"] for shard in kinesis.list_shards(StreamName=name)["Shards"])
    if how == "split":
        kinesis.split_shard(StreamName=name, ShardToSplit=one, NewStartingHashKey=str(2**126))
    elif how == "merge":
        kinesis.merge_shards(StreamName=name, ShardToMerge=one, AdjacentShardToMerge=two)
    else:
        kinesis.update_shard_count(
            StreamName=name, TargetShardCount=4, ScalingType="UNIFORM_SCALING"
        )
    put(kinesis, name, 50, 50)
    assert {int(record["Data"]) for record in raw_records(kinesis, arn)} == set(range(100))
    shards = kinesis.list_shards(StreamName=name)["Shards"]
    closed = [s for s in shards if "EndingSequenceNumber" in s["SequenceNumberRange"]]
    parents = {s.get("ParentShardId") for s in shards} | {
        s.get("AdjacentParentShardId") for s in shards
    }
    assert {s["ShardId"] for s in closed} == parents - {None}
    assert summary(kinesis, name)["OpenShardCount"] == len(shards) - len(closed)
    iterator = kinesis.get_shard_iterator(
        StreamName=name, ShardId=closed[0]["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    answer = kinesis.get_records(ShardIterator=iterator)
    assert "NextShardIterator" not in answer
    assert answer["ChildShards"]


def test_an_iterator_may_start_at_a_time_or_a_sequence_number(kinesis: Any) -> None:
    arn = make_stream(kinesis, "starts")
    put(kinesis, "starts", 0, 3)
    time.sleep(0.05)
    moment = time.time()
    time.sleep(0.05)
    put(kinesis, "starts", 3, 3)
    shard = kinesis.list_shards(StreamARN=arn)["Shards"][0]["ShardId"]
    every = raw_records(kinesis, arn)

    def read(**start: Any) -> list[int]:
        iterator = kinesis.get_shard_iterator(StreamARN=arn, ShardId=shard, **start)
        answer = kinesis.get_records(ShardIterator=iterator["ShardIterator"])
        return [int(record["Data"]) for record in answer["Records"]]

    fourth = every[3]["SequenceNumber"]
    assert len(fourth) == 56
    assert read(ShardIteratorType="AT_TIMESTAMP", Timestamp=moment) == [3, 4, 5]
    assert read(ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=fourth) == [3, 4, 5]
    assert read(ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=fourth) == [4, 5]
    assert read(ShardIteratorType="LATEST") == []


def test_another_account_reads_by_arn_under_the_streams_policy_and_its_own(
    cloud: LocalCloud, kinesis: Any
) -> None:
    arn = make_stream(kinesis, "shared")
    put(kinesis, "shared", 0, 5)
    role = make_role(cloud, TARGET, "reader", policy((STREAM_READS, [arn])))
    reader = as_role(cloud, TARGET, role, "kinesis")
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.describe_stream_summary(StreamARN=arn)
    kinesis.put_resource_policy(
        ResourceARN=arn, Policy=policy((STREAM_READS, [arn]), principal=role)
    )
    found = reader.describe_stream_summary(StreamARN=arn)["StreamDescriptionSummary"]
    assert found["StreamARN"] == arn
    assert len(raw_records(reader, arn)) == 5
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.put_record(StreamARN=arn, Data=b"x", PartitionKey="k")
    bare = make_role(cloud, TARGET, "bare", policy((["s3:ListBucket"], ["*"])))
    with pytest.raises(ClientError, match="AccessDenied"):
        as_role(cloud, TARGET, bare, "kinesis").list_shards(StreamARN=arn)


def test_not_even_another_accounts_root_reads_without_the_streams_policy(
    cloud: LocalCloud, kinesis: Any
) -> None:
    arn = make_stream(kinesis, "private")
    with pytest.raises(ClientError, match="no resource-based policy allows"):
        cloud.client("kinesis", TARGET).list_shards(StreamARN=arn)
