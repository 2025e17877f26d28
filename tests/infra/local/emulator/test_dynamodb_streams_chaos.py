"""LOCAL_CHAOS on DynamoDB streams: redelivery, overlap, death, and a stream switched off and on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from tests.support.infra.clouds import make_table, until
from tests.support.infra.table_streams import StreamPipeline, TableStream

pytestmark = pytest.mark.slow


def caused(cloud: LocalCloud, what: str, account: Any = TARGET) -> int:
    cloudwatch = cloud.client("cloudwatch", account)
    points = cloudwatch.get_metric_statistics(
        Namespace="LocalChaos",
        MetricName=what,
        StartTime=time.time() - 3600,
        EndTime=time.time() + 60,
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return int(sum(point["Sum"] for point in points))


def test_batches_overlap_and_come_again_and_the_stream_has_each_record_once(
    tmp_path: Path,
) -> None:
    chaos = "policy_spread=0,overlap=0.3,redeliver=0.3,delay_seconds=0.2,seed=3"
    with LocalCloud(tmp_path, chaos=chaos, streams="shard_records=10") as cloud:
        pipeline = StreamPipeline(cloud, "again")
        keys = [f"k{number}" for number in range(40)]
        for key in keys:
            pipeline.stream.put(key)
        pipeline.start(BatchSize=2)
        until(lambda: set(pipeline.seen()) == set(keys), "every record", 40)
        until(lambda: caused(cloud, "Overlapped") and caused(cloud, "Redelivered"), "both faults")
        until(lambda: len(pipeline.seen()) > len(keys), "records delivered more than once")
        read = [record["dynamodb"]["Keys"]["pk"]["S"] for record in pipeline.stream.records()]
        assert sorted(read) == sorted(keys)


def test_invocations_die_and_every_record_is_delivered_in_the_end(tmp_path: Path) -> None:
    with LocalCloud(tmp_path, chaos="policy_spread=0,kill=0.3,kill_calls=0,seed=3") as cloud:
        pipeline = StreamPipeline(cloud, "dying", {"CALL": "1"})
        keys = [f"k{number}" for number in range(20)]
        for key in keys:
            pipeline.stream.put(key)
        pipeline.start(BatchSize=1)
        until(lambda: set(pipeline.seen()) == set(keys), "every record", 40)
        until(lambda: caused(cloud, "Killed"), "a death")
        assert len(pipeline.seen()) > len(keys), "a batch whose invocation died comes again"


def test_a_stream_is_switched_off_and_on_again_and_is_another_one_with_a_gap(
    tmp_path: Path,
) -> None:
    chaos = "stream_off=0.2,delay_seconds=0.3,seed=1"
    with LocalCloud(tmp_path, chaos=chaos) as cloud:
        stream = TableStream(cloud, "flapping")
        first = stream.arn
        written: list[str] = []

        def written_through() -> bool:
            written.append(f"k{len(written)}")
            stream.put(written[-1])
            return caused(cloud, "StreamOff", SOURCE) >= 2 and len(written) > 20

        until(written_through, "two times off")
        until(lambda: stream.table().get("StreamSpecification"), "on again")
        arns = [
            each["StreamArn"] for each in stream.api.list_streams(TableName="flapping")["Streams"]
        ]
        assert arns[0] == first
        assert len(arns) > 2
        assert stream.table()["LatestStreamArn"] == arns[-1]
        found = []
        for arn in arns:
            stream.arn = arn
            found += [record["dynamodb"]["Keys"]["pk"]["S"] for record in stream.records()]
        assert found, "some of the changes"
        assert set(found) < set(written), "not all of them: what was written between is in none"
        assert len(found) == len(set(found))


def test_the_lost_answer_of_a_call_that_switches_a_stream_on_meets_a_stream_that_is_on(
    tmp_path: Path,
) -> None:
    with LocalCloud(tmp_path, chaos="lost_create=1,seed=1") as cloud:
        dynamodb = cloud.client("dynamodb", SOURCE)
        with pytest.raises(dynamodb.exceptions.ResourceInUseException):  # the SDK's repetition
            make_table(dynamodb, "lost")
        assert dynamodb.describe_table(TableName="lost")["Table"]["TableName"] == "lost"
        wanted = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        # The SDK's repetition meets a table that is still UPDATING, or a stream that is on.
        with pytest.raises(ClientError, match=r"ResourceInUse|already has an enabled stream"):
            dynamodb.update_table(TableName="lost", StreamSpecification=wanted)
        assert dynamodb.describe_table(TableName="lost")["Table"]["LatestStreamArn"]
        assert caused(cloud, "LostCreate", SOURCE) >= 2
