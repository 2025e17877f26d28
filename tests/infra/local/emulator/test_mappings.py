"""Event source mappings: start, resume, failure, giving up, and permissions."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from tests.support.infra.clouds import (
    STREAM_READS,
    make_bucket,
    make_function,
    make_role,
    make_stream,
    messages,
    policy,
    until,
)

pytestmark = pytest.mark.slow

# Prints the numbers of each batch; a number in POISON fails as MODE says; SLEEP delays.
CODE = """
import base64, json, os, time
def handler(event, context):
    records = [(r["kinesis"]["sequenceNumber"], base64.b64decode(r["kinesis"]["data"]).decode())
               for r in event["Records"]]
    print(json.dumps({"batch": [data[:20] for _, data in records]}))
    time.sleep(float(os.environ.get("SLEEP", "0")))
    poison = os.environ.get("POISON", "").split(",")
    failed = [number for number, data in records if data in poison]
    if failed and os.environ.get("MODE") == "raise":
        raise RuntimeError("poison")
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}
"""

LOGS = (["logs:PutLogEvents", "logs:CreateLogStream"], ["arn:aws:logs:*:*:*"])


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("cloud"), time_scale=0.002) as running:
        yield running


@pytest.fixture(scope="module")
def kinesis(cloud: LocalCloud) -> Any:
    return cloud.client("kinesis", SOURCE)


@dataclass
class Pipeline:
    """A stream in the source account, a function and a mapping in the target's."""

    cloud: LocalCloud
    name: str
    arn: str
    mapping: str = ""

    @property
    def functions(self) -> Any:
        return self.cloud.client("lambda", TARGET)

    def put(self, *numbers: int | str, key: str | None = None) -> None:
        self.cloud.client("kinesis", SOURCE).put_records(
            StreamARN=self.arn,
            Records=[{"Data": str(n).encode(), "PartitionKey": key or str(n)} for n in numbers],
        )

    def create(self, **options: Any) -> None:
        defaults = {
            "StartingPosition": "TRIM_HORIZON",
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        }
        created = self.functions.create_event_source_mapping(
            EventSourceArn=self.arn, FunctionName=self.name, **{**defaults, **options}
        )
        self.mapping = created["UUID"]
        assert created["State"] == "Creating"
        self.settle()

    def update(self, **options: Any) -> None:
        self.functions.update_event_source_mapping(UUID=self.mapping, **options)
        self.settle()

    def settle(self) -> None:
        until(lambda: self.state() in ("Enabled", "Disabled"), "the mapping's state")

    def state(self) -> str:
        found: str = self.functions.get_event_source_mapping(UUID=self.mapping)["State"]
        return found

    def result(self) -> str:
        found: str = self.functions.get_event_source_mapping(UUID=self.mapping)[
            "LastProcessingResult"
        ]
        return found

    def batches(self) -> list[list[str]]:
        try:
            lines = messages(self.cloud, f"/aws/lambda/{self.name}")
        except ClientError:
            return []
        return [json.loads(line)["batch"] for line in lines if line.startswith('{"batch"')]

    def seen(self) -> list[str]:
        return [number for batch in self.batches() for number in batch]


def pipeline(
    cloud: LocalCloud,
    name: str,
    shards: int = 1,
    environment: dict[str, str] | None = None,
    extra: tuple[list[str], list[str]] | None = None,
    **stream: Any,
) -> Pipeline:
    kinesis = cloud.client("kinesis", SOURCE)
    arn = make_stream(kinesis, name, shards, **stream)
    statements = [(STREAM_READS, [arn]), LOGS, *([extra] if extra else [])]
    _name, role = make_function(
        cloud, name, CODE, policy(*statements), Environment={"Variables": environment or {}}
    )
    kinesis.put_resource_policy(
        ResourceARN=arn, Policy=policy((STREAM_READS, [arn]), principal=role)
    )
    return Pipeline(cloud, name, arn)


def test_a_mapping_created_disabled_starts_at_the_horizon_once_enabled(cloud: LocalCloud) -> None:
    made = pipeline(cloud, "horizon")
    made.put(*range(5))
    made.create(Enabled=False)
    assert made.state() == "Disabled"
    time.sleep(0.5)
    assert made.seen() == []
    made.update(Enabled=True)
    until(lambda: made.seen() == ["0", "1", "2", "3", "4"], "all records")
    assert made.result() == "OK"


def test_a_disabled_mapping_goes_on_where_it_stopped(cloud: LocalCloud) -> None:
    made = pipeline(cloud, "resume")
    made.create()
    made.put(1, 2)
    until(lambda: made.seen() == ["1", "2"], "the first records")
    made.update(Enabled=False)
    made.put(3)
    time.sleep(0.5)
    assert made.seen() == ["1", "2"]
    made.update(Enabled=True)
    until(lambda: made.seen() == ["1", "2", "3"], "the rest, once")


def test_latest_starts_with_what_arrives_later(cloud: LocalCloud) -> None:
    made = pipeline(cloud, "latest")
    made.put(1)
    made.create(StartingPosition="LATEST")
    time.sleep(0.5)
    made.put(2)
    until(lambda: made.seen() == ["2"], "the later record")


def test_at_timestamp_starts_with_the_first_arrival_from_then(cloud: LocalCloud) -> None:
    made = pipeline(cloud, "timestamp")
    made.put(1)
    time.sleep(1.1)
    moment = int(time.time())
    made.put(2)
    made.create(StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=moment)
    until(lambda: made.seen() == ["2"], "the record from then on")


def test_a_partial_answer_repeats_from_the_lowest_failed_record(cloud: LocalCloud) -> None:
    made = pipeline(cloud, "partial", environment={"POISON": "3,5"})
    made.put(*range(8), key="k")
    made.create(MaximumRetryAttempts=1)
    until(lambda: len(made.batches()) >= 3, "the retry")
    made.put(8)
    until(lambda: made.batches()[-1] == ["8"], "what comes after the batch that was given up")
    whole, rest = [str(n) for n in range(8)], [str(n) for n in range(3, 8)]
    assert made.batches() == [whole, rest, rest, ["8"]]


def test_without_the_response_type_the_answer_is_ignored(cloud: LocalCloud) -> None:
    made = pipeline(cloud, "ignored", environment={"POISON": "1"})
    made.put(0, 1, 2, key="k")
    made.create(FunctionResponseTypes=[])
    until(lambda: made.result() == "OK", "the batch's end")
    assert made.batches() == [["0", "1", "2"]]


def test_a_failing_batch_is_repeated_without_end_by_default(cloud: LocalCloud) -> None:
    made = pipeline(cloud, "forever", environment={"POISON": "1", "MODE": "raise"})
    made.put(0, 1, 2, key="k")
    made.create()
    until(lambda: len(made.batches()) >= 4, "several attempts")
    assert set(map(tuple, made.batches())) == {("0", "1", "2")}
    assert made.result().startswith("PROBLEM")


def test_an_answer_that_names_the_first_record_halves_nothing(cloud: LocalCloud) -> None:
    """C3: so a batch that the consumer fails on purpose, for too many bad records, stays whole."""
    made = pipeline(cloud, "whole", environment={"POISON": "0"})
    made.put(*range(8), key="k")
    made.create(BisectBatchOnFunctionError=True)
    until(lambda: len(made.batches()) >= 5, "several attempts")
    assert set(map(tuple, made.batches())) == {tuple(str(n) for n in range(8))}


def test_bisection_isolates_a_poison_record_and_s3_gets_it_whole(cloud: LocalCloud) -> None:
    s3 = make_bucket(cloud, TARGET, "given-up")
    may_put = (
        ["s3:PutObject", "s3:ListBucket"],
        ["arn:aws:s3:::given-up", "arn:aws:s3:::given-up/*"],
    )
    made = pipeline(cloud, "bisect", environment={"POISON": "3", "MODE": "raise"}, extra=may_put)
    made.put(*range(8), key="k")
    made.create(
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=2,
        DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::given-up"}},
    )
    until(lambda: "7" in {b[-1] for b in made.batches()[1:]}, "the last record")
    assert made.batches().count(["3"]) == 3
    succeeded = {n for batch in made.batches() if "3" not in batch for n in batch}
    assert succeeded == {"0", "1", "2", "4", "5", "6", "7"}
    (entry,) = s3.list_objects_v2(Bucket="given-up")["Contents"]
    assert entry["Key"].startswith(f"aws/lambda/{made.mapping}/shardId-000000000000/")
    body = json.loads(s3.get_object(Bucket="given-up", Key=entry["Key"])["Body"].read())
    assert body["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert body["KinesisBatchInfo"]["batchSize"] == 1
    (record,) = json.loads(body["payload"])["Records"]
    assert base64.b64decode(record["kinesis"]["data"]) == b"3"


def test_a_record_over_the_payload_limit_goes_to_the_destination(cloud: LocalCloud) -> None:
    s3 = make_bucket(cloud, TARGET, "too-large")
    resources = ["arn:aws:s3:::too-large", "arn:aws:s3:::too-large/*"]
    may_put = (["s3:PutObject", "s3:ListBucket"], resources)
    made = pipeline(cloud, "oversize", extra=may_put, MaxRecordSizeInKiB=10240)
    made.put("x" * 5_000_000, "small", key="k")
    destination = {"OnFailure": {"Destination": "arn:aws:s3:::too-large"}}
    made.create(DestinationConfig=destination)
    until(lambda: made.seen() == ["small"], "the record that fits")
    assert s3.list_objects_v2(Bucket="too-large")["KeyCount"] == 1


@pytest.mark.parametrize("refuses", ["the role lacks a right", "the bucket is gone", "no queue"])
def test_a_batch_that_its_destination_does_not_take_is_counted(
    cloud: LocalCloud, refuses: str
) -> None:
    name = "refused-" + refuses.rpartition(" ")[2]
    arn = f"arn:aws:s3:::{name}"
    s3 = make_bucket(cloud, TARGET, name)
    rights = ["s3:PutObject", "s3:ListBucket"] if refuses != "the role lacks a right" else []
    may_put = ([*rights, "logs:CreateLogStream"], [arn, f"{arn}/*"])
    poison = {"POISON": "3", "MODE": "raise"}
    made = pipeline(cloud, name, environment=poison, extra=may_put)
    if refuses == "the bucket is gone":
        s3.delete_bucket(Bucket=name)
    if refuses == "no queue":
        arn = f"arn:aws:sqs:{TARGET.region}:{TARGET.account_id}:{name}"
    made.put(3, 4, key="k")
    made.create(
        BatchSize=1,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )
    until(lambda: "4" in made.seen(), "the record behind it")

    def counted() -> float:
        points = cloud.client("cloudwatch", TARGET).get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="DestinationDeliveryFailures",
            Dimensions=[{"Name": "FunctionName", "Value": name}],
            StartTime=time.time() - 300,
            EndTime=time.time() + 60,
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(each["Sum"] for each in points))

    assert until(counted, "the metric") == 1.0


def test_batches_keep_within_six_megabytes(cloud: LocalCloud) -> None:
    made = pipeline(cloud, "payload", MaxRecordSizeInKiB=10240)
    for n in range(4):
        made.put(f"{n}" + "x" * 2_000_000, key="k")
    made.create()
    until(lambda: len(made.seen()) == 4, "all records")
    assert [len(batch) for batch in made.batches()] == [2, 2]


def test_the_batching_window_collects_a_batch(cloud: LocalCloud) -> None:
    made = pipeline(cloud, "window")
    made.create(MaximumBatchingWindowInSeconds=6)
    for n in range(3):
        made.put(n, key="k")
        time.sleep(0.2)  # without a window the first would have gone by now
    until(lambda: len(made.seen()) == 3, "all records")
    assert made.batches() == [["0", "1", "2"]]


def test_shards_are_worked_on_at_the_same_time(cloud: LocalCloud) -> None:
    made = pipeline(cloud, "parallel", shards=4, environment={"SLEEP": "4"})
    made.put(*range(40))
    begin = time.monotonic()
    made.create()
    until(lambda: len(made.seen()) == 40, "all records", 30)
    assert time.monotonic() - begin < 15, "one after the other takes 16 seconds"


def test_the_parallelization_factor_keeps_each_keys_order(cloud: LocalCloud) -> None:
    made = pipeline(cloud, "factor", environment={"SLEEP": "0.3"})
    for n in range(6):
        made.put(*(f"{key}-{n}" for key in "abcdefgh"))
    # The partition key of a number is the number itself, so give each letter its own.
    kinesis = cloud.client("kinesis", SOURCE)
    for n in range(6, 9):
        for key in "abcdefgh":
            kinesis.put_record(StreamARN=made.arn, Data=f"{key}-{n}".encode(), PartitionKey=key)
    made.create(ParallelizationFactor=4, BatchSize=5)
    until(lambda: len(set(made.seen())) == 72, "all records", 30)
    assert len(made.seen()) == 72, "a record went to more than one poller"
    for key in "abcdefgh":
        own = [seen for seen in made.seen() if seen.startswith(key) and int(seen[2:]) >= 6]
        assert own == sorted(own)
    made.update(ParallelizationFactor=2)
    made.put("after")
    until(lambda: "after" in made.seen(), "a record after the change of the factor")


def test_a_split_loses_nothing_and_children_come_after_their_parent(
    cloud: LocalCloud, kinesis: Any
) -> None:
    made = pipeline(cloud, "split", environment={"SLEEP": "0.2"})
    made.put(*range(20))
    kinesis.split_shard(
        StreamName="split", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127)
    )
    made.put(*range(20, 40))
    made.create(BatchSize=5)
    until(lambda: len(made.seen()) == 40, "all records")
    assert set(made.seen()[:20]) == {str(n) for n in range(20)}


def test_update_shard_count_loses_nothing(cloud: LocalCloud, kinesis: Any) -> None:
    made = pipeline(cloud, "rescale", shards=2)
    made.create()
    made.put(*range(20))
    kinesis.update_shard_count(
        StreamName="rescale", TargetShardCount=4, ScalingType="UNIFORM_SCALING"
    )
    made.put(*range(20, 40))
    kinesis.update_shard_count(
        StreamName="rescale", TargetShardCount=2, ScalingType="UNIFORM_SCALING"
    )
    made.put(*range(40, 60))
    until(lambda: set(made.seen()) == {str(n) for n in range(60)}, "all records")
    assert len(made.seen()) == 60


def test_reading_stops_while_the_streams_policy_does_not_allow_it(
    cloud: LocalCloud, kinesis: Any
) -> None:
    made = pipeline(cloud, "revoked")
    made.create()
    made.put(1)
    until(lambda: made.seen() == ["1"], "the first record")
    allowed = kinesis.get_resource_policy(ResourceARN=made.arn)["Policy"]
    kinesis.delete_resource_policy(ResourceARN=made.arn)
    time.sleep(1.5)
    made.put(2)
    until(lambda: "kinesis:DescribeStream" in made.result(), "the result to name the action")
    assert made.seen() == ["1"]
    kinesis.put_resource_policy(ResourceARN=made.arn, Policy=allowed)
    until(lambda: made.seen() == ["1", "2"], "the second record")


def test_a_function_throttled_to_nothing_is_reported_until_it_runs_again(
    cloud: LocalCloud,
) -> None:
    made = pipeline(cloud, "throttled")
    made.functions.put_function_concurrency(FunctionName=made.name, ReservedConcurrentExecutions=0)
    made.create()
    made.put(1)
    until(lambda: made.result() == "PROBLEM: Function call failed", "the result to say so")
    assert made.seen() == []
    made.functions.delete_function_concurrency(FunctionName=made.name)
    until(lambda: made.result() == "OK", "the function to run")
    assert made.seen() == ["1"]


def test_a_right_that_is_back_is_reported_without_a_new_record(
    cloud: LocalCloud, kinesis: Any
) -> None:
    made = pipeline(cloud, "back")
    made.create()
    allowed = kinesis.get_resource_policy(ResourceARN=made.arn)["Policy"]
    kinesis.delete_resource_policy(ResourceARN=made.arn)
    until(lambda: made.result().startswith("PROBLEM"), "the result to name the right")
    kinesis.put_resource_policy(ResourceARN=made.arn, Policy=allowed)
    until(lambda: made.result() == "No records processed", "the stream to be read again")


@pytest.mark.parametrize("action", STREAM_READS)
def test_a_role_that_lacks_a_read_cannot_get_a_mapping(
    cloud: LocalCloud, kinesis: Any, action: str
) -> None:
    name = f"lacks-{action.partition(':')[2]}"
    arn = make_stream(kinesis, name)
    others = [each for each in STREAM_READS if each != action]
    _name, role = make_function(cloud, name, CODE, policy((others, [arn]), LOGS))
    kinesis.put_resource_policy(
        ResourceARN=arn, Policy=policy((STREAM_READS, [arn]), principal=role)
    )
    with pytest.raises(ClientError, match=f"may not perform: {action} on resource: {arn}"):
        Pipeline(cloud, name, arn).create()


def test_an_encrypted_stream_needs_the_key_from_both_sides(cloud: LocalCloud, kinesis: Any) -> None:
    name = "encrypted"
    arn = make_stream(kinesis, name)
    kms = cloud.client("kms", SOURCE)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kinesis.start_stream_encryption(StreamName=name, EncryptionType="KMS", KeyId=key)
    _name, role = make_function(cloud, name, CODE, policy((STREAM_READS, [arn]), LOGS))
    kinesis.put_resource_policy(
        ResourceARN=arn, Policy=policy((STREAM_READS, [arn]), principal=role)
    )
    made = Pipeline(cloud, name, arn)
    with pytest.raises(ClientError, match="kms:Decrypt"):
        made.create()
    cloud.client("iam", TARGET).put_role_policy(
        RoleName=f"{name}-role",
        PolicyName="permissions",
        PolicyDocument=policy((STREAM_READS, [arn]), (["kms:Decrypt"], [key]), LOGS),
    )
    with pytest.raises(ClientError, match="kms:Decrypt"):
        made.create()
    kms.put_key_policy(
        KeyId=key, PolicyName="default", Policy=policy((["kms:Decrypt"], ["*"]), principal=role)
    )
    made.create()


def test_states_pass_through_their_transitions(tmp_path: Path) -> None:
    with LocalCloud(tmp_path, time_scale=0.1) as cloud:
        _pass_through_the_states(pipeline(cloud, "states"))


def _pass_through_the_states(made: Pipeline) -> None:
    made.create(Enabled=False)
    enabling = made.functions.update_event_source_mapping(UUID=made.mapping, Enabled=True)
    assert enabling["State"] == "Enabling"
    with pytest.raises(ClientError, match="ResourceInUse"):
        made.functions.update_event_source_mapping(UUID=made.mapping, BatchSize=7)
    made.settle()
    assert made.state() == "Enabled"
    updating = made.functions.update_event_source_mapping(UUID=made.mapping, BatchSize=7)
    assert updating["State"] == "Updating"


def test_the_defaults_are_lambdas(cloud: LocalCloud) -> None:
    made = pipeline(cloud, "defaults")
    made.create(Enabled=False)
    found = made.functions.get_event_source_mapping(UUID=made.mapping)
    assert found["BatchSize"] == 100
    assert found["MaximumRetryAttempts"] == -1
    assert found["MaximumRecordAgeInSeconds"] == -1
    assert found["BisectBatchOnFunctionError"] is False
    assert found["ParallelizationFactor"] == 1


def test_iterator_age_is_reported_with_each_invocation(cloud: LocalCloud) -> None:
    made = pipeline(cloud, "age")
    made.put(1)
    time.sleep(1)
    made.create()
    until(lambda: made.seen(), "the record")

    def points() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = cloud.client("cloudwatch", TARGET).get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="IteratorAge",
            Dimensions=[{"Name": "FunctionName", "Value": "age"}],
            StartTime=time.time() - 60,
            EndTime=time.time() + 60,
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]
        return found

    (point,) = until(points, "the metric")
    assert 1000 <= point["Maximum"] < 20_000


def test_a_role_that_trusts_lambda_is_not_the_account_roots_to_assume(cloud: LocalCloud) -> None:
    trusted = make_role(
        cloud, TARGET, "lambda-only", policy((["s3:ListBucket"], ["*"])), "lambda.amazonaws.com"
    )
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.client("sts", TARGET).assume_role(RoleArn=trusted, RoleSessionName="root")
