"""Two accounts for the watchdog: what it may call, with answers of the real shapes."""

from __future__ import annotations

import datetime
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from replicator import names
from replicator.buffers import STREAMS
from replicator.change import Probe
from replicator.probes import probe_key
from replicator.watchdog.aws_readings import BOOK_KEY
from replicator.watchdog.probe_rounds import WatchdogState
from replicator.watchdog.watchdog import Watchdog
from replicator.watchdog.watchdog_config import WatchdogConfig
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.dynamodb import FakeDynamoDB
from tests.support.fakes.errors import client_error
from tests.support.fakes.s3 import FakeS3

STREAM_ARN = "arn:aws:kinesis:eu-west-1:111111111111:stream/changes"
ROUND = 300.0

OTHER = "arn:aws:kinesis:eu-west-1:111111111111:stream/other"
CONFIG = WatchdogConfig(
    stack="test",
    source_table="orders",
    source_account="111111111111",
    source_region="eu-west-1",
    target_table="orders-replica",
    target_region="eu-west-1",
    ledger_table="ledger",
    quarantine_bucket="quarantine",
    on_failure_bucket="on-failure",
    stream_name="changes",
    stream_arn=STREAM_ARN,
    mapping_uuid="a-mapping",
    consumer_function="consumer",
    observer_role="arn:aws:iam::111111111111:role/observer",
    parallelization_factor=1,
    retention_hours=8760,
    record_kib=10240,
)
TABLE_STREAM_CONFIG = replace(
    CONFIG,
    stream_name="",
    stream_arn="",
    mapping_uuid="",
    retention_hours=24,
    record_kib=0,
    buffer=STREAMS,
)
"""The same table, with its own stream as the buffer."""


MAPPING = {
    "LastProcessingResult": "OK",
    "StateTransitionReason": "User action",
    "MaximumRetryAttempts": -1,
    "MaximumRecordAgeInSeconds": -1,
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::on-failure"}},
}


def denied(operation: str) -> Exception:
    return client_error(operation, "AccessDeniedException", "no")


@dataclass
class WatchdogHarness:
    """Healthy to begin with: replicating, on, everything active. Change what should be wrong."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    config: WatchdogConfig = CONFIG
    mapping: str | None = "Enabled"
    mapping_settings: dict[str, Any] = field(default_factory=lambda: dict(MAPPING))
    """What else GetEventSourceMapping says."""
    function: dict[str, Any] | None = field(
        default_factory=lambda: {"State": "Active", "LastUpdateStatus": "Successful"}
    )
    destination: dict[str, str] | None = field(
        default_factory=lambda: {
            "StreamArn": STREAM_ARN,
            "DestinationStatus": "ACTIVE",
            "ApproximateCreationDateTimePrecision": "MICROSECOND",
        }
    )
    source_id: str | None = "the-first-source"
    source_state: dict[str, Any] = field(default_factory=lambda: {"TableStatus": "ACTIVE"})
    """What else DescribeTable says of the source."""
    stream: dict[str, Any] | None = None
    shards: int = 2
    skipped: list[tuple[float, float]] = field(default_factory=list)
    """Datapoints of FailedToReplicateRecordCount: when (epoch seconds), how many."""
    undelivered: list[tuple[float, float]] = field(default_factory=list)
    """Datapoints of DestinationDeliveryFailures."""
    waiting_ms: float | None = None
    consumed: list[tuple[float, float]] = field(default_factory=list)
    """Datapoints of the source's ConsumedWriteCapacityUnits."""
    expired: list[tuple[float, float]] = field(default_factory=list)
    """Datapoints of the source's TimeToLiveDeletedItemCount."""
    ages: list[tuple[float, float]] = field(default_factory=list)
    """Datapoints of the consumer's IteratorAge: when, and how many seconds."""
    ended: list[tuple[float, float]] = field(default_factory=list)
    """Datapoints of the consumer's EndedAge, likewise."""
    throttled: list[tuple[float, float]] = field(default_factory=list)
    """Datapoints of the consumer's Throttles: when, and how many."""
    policy: str | None = None
    """The source's resource policy."""
    probes: list[tuple[str, int]] = field(default_factory=list)
    """What is in the stream."""
    refusing: int = 0
    """How many records Kinesis throttles yet."""
    splitting: bool = False
    """Each call that puts records finds another shard open than the call before."""
    elsewhere: int = 0
    """How many shards further on a record lands than the list of shards says."""
    broken: set[str] = field(default_factory=set)
    """Operations that are denied."""
    assumed: int = 0

    def __post_init__(self) -> None:
        self.target = FakeDynamoDB(self.clock)
        for name, key, kind in (("ledger", "k", "B"), ("orders-replica", "pk", "S")):
            self.target.create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind}],
            )
        self.s3 = FakeS3(self.clock)
        for bucket in ("quarantine", "on-failure"):
            self.s3.create_bucket(Bucket=bucket)
        self.stream = {
            "StreamStatus": "ACTIVE",
            "RetentionPeriodHours": 8760,
            "MaxRecordSizeInKiB": 10240,
            "StreamCreationTimestamp": self.moment(self.clock()),
        }
        self.settle(expire=True)
        self.out, self.logger = io.StringIO(), _RecordingLogger()
        self.watchdog = self.another_container()

    def another_container(self) -> Watchdog:
        return Watchdog(self.config, self._client, self.clock, self.logger, self.out)

    # -- what happens ----------------------------------------------------------------------------

    def settle(self, **flags: bool | int | str) -> None:
        """The settings row."""
        item: dict[str, Any] = {"k": {"B": b"settings"}}
        for name, value in flags.items():
            if isinstance(value, str):
                item[name] = {"S": value}
            else:
                item[name] = {"BOOL": value} if isinstance(value, bool) else {"N": str(value)}
        self.target.put_item(TableName="ledger", Item=item)

    def receive(self, at: float, age: float) -> None:
        """Lambda hands a batch to the consumer, which ends it."""
        self.ages.append((at, age))
        self.ended.append((at, age))

    def consume(self) -> None:
        """The consumer takes every probe out of the stream."""
        for probe, n in self.probes:
            item = {
                "k": {"B": probe_key(Probe(probe, n))},
                "at": {"N": str(self.clock.now_micros())},
            }
            self.target.put_item(TableName="ledger", Item=item)
        self.probes.clear()

    def round(self, seconds_left: float = 240.0) -> dict[str, float]:
        """The watchdog looks once; returns the gauges that it said."""
        self.out.seek(0)
        self.out.truncate()
        self.watchdog.round(lambda: seconds_left)
        [line] = self.out.getvalue().splitlines()
        self.line = json.loads(line)
        [directive] = self.line["_aws"]["CloudWatchMetrics"]
        assert {name: self.line[name] for name in CONFIG.dimensions} == CONFIG.dimensions
        return {metric["Name"]: self.line[metric["Name"]] for metric in directive["Metrics"]}

    def after(self, seconds: float = ROUND) -> dict[str, float]:
        """A healthy interval, and the round at its end."""
        self.clock.advance(1)
        self.consume()
        self.clock.advance(seconds - 1)
        return self.round()

    def book(self) -> WatchdogState:
        row = self.target.get_item(TableName="ledger", Key={"k": {"B": BOOK_KEY}})
        return WatchdogState.from_text(row["Item"]["book"]["S"])

    def moment(self, at: float) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(at, datetime.UTC)

    # -- what the watchdog calls -----------------------------------------------------------------

    def _client(self, service: str, region: str, credentials: Mapping[str, str] | None) -> Any:
        assert region == "eu-west-1"
        if credentials:
            assert credentials["AccessKeyId"] == "observer"
            answers = {"dynamodb": _Source, "kinesis": _Kinesis, "cloudwatch": _CloudWatch}
            return _Denying(answers[service](self), self)
        if service in ("dynamodb", "s3"):
            return _Denying({"dynamodb": self.target, "s3": self.s3}[service], self)
        answers = {"lambda": _Lambda, "sts": _Sts, "cloudwatch": _CloudWatch}
        return _Denying(answers[service](self), self)


class _RecordingLogger:
    """A logger."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, message: str, **_: Any) -> None:
        self.lines.append(message)

    error = warning


class _Denying:
    """Passes calls on, unless they are broken."""

    def __init__(self, client: Any, world: WatchdogHarness) -> None:
        self._client, self._world = client, world

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = "".join(part.title() for part in name.split("_"))
        if operation in self._world.broken:

            def deny(**_: Any) -> Any:
                raise denied(operation)

            return deny
        method: Callable[..., Any] = getattr(self._client, name)
        return method


@dataclass
class _Sts:
    world: WatchdogHarness

    def assume_role(self, *, RoleArn: str, RoleSessionName: str) -> dict[str, Any]:  # noqa: N803
        assert RoleArn == CONFIG.observer_role
        assert RoleSessionName
        self.world.assumed += 1
        ends = self.world.moment(self.world.clock() + 3600)
        return {"Credentials": {"AccessKeyId": "observer", "Expiration": ends}}


@dataclass
class _Lambda:
    world: WatchdogHarness

    def get_event_source_mapping(self, *, UUID: str) -> dict[str, Any]:  # noqa: N803
        if self.world.mapping is None:
            raise client_error("GetEventSourceMapping", "ResourceNotFoundException", "gone")
        return {"UUID": UUID, "State": self.world.mapping, **self.world.mapping_settings}

    def get_function_configuration(self, *, FunctionName: str) -> dict[str, Any]:  # noqa: N803
        if self.world.function is None:
            raise client_error("GetFunctionConfiguration", "ResourceNotFoundException", "gone")
        return {"FunctionName": FunctionName, **self.world.function}


@dataclass
class _Source:
    world: WatchdogHarness

    def describe_table(self, *, TableName: str) -> dict[str, Any]:  # noqa: N803
        if self.world.source_id is None:
            raise client_error("DescribeTable", "ResourceNotFoundException", TableName)
        return {"Table": {"TableId": self.world.source_id, **self.world.source_state}}

    def describe_kinesis_streaming_destination(self, *, TableName: str) -> dict[str, Any]:  # noqa: N803
        if self.world.source_id is None:
            raise client_error("Describe", "ResourceNotFoundException", TableName)
        found = self.world.destination
        return {"TableName": TableName, "KinesisDataStreamDestinations": [found] if found else []}

    def get_resource_policy(self, *, ResourceArn: str) -> dict[str, Any]:  # noqa: N803
        assert ResourceArn == "arn:aws:dynamodb:eu-west-1:111111111111:table/orders"
        if self.world.policy is None:
            raise client_error("GetResourcePolicy", "PolicyNotFoundException", ResourceArn)
        return {"Policy": self.world.policy, "RevisionId": "1"}


@dataclass
class _Kinesis:
    world: WatchdogHarness

    def describe_stream_summary(self, *, StreamName: str) -> dict[str, Any]:  # noqa: N803
        if self.world.stream is None:
            raise client_error("DescribeStreamSummary", "ResourceNotFoundException", StreamName)
        return {"StreamDescriptionSummary": self.world.stream}

    def list_shards(self, **request: Any) -> dict[str, Any]:
        # One shard a page; and one that is closed.
        n = int(request.get("NextToken", "0"))
        shard: dict[str, Any] = {
            "ShardId": f"shardId-{n:012d}",
            "HashKeyRange": {"StartingHashKey": str(n * 100)},
            "SequenceNumberRange": {"StartingSequenceNumber": "1"},
        }
        closed = {
            **shard,
            "SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": "2"},
        }
        last = n + 1 == self.world.shards
        return {"Shards": [shard, closed], **({} if last else {"NextToken": str(n + 1)})}

    def put_records(self, *, StreamName: str, Records: Any) -> dict[str, Any]:  # noqa: N803
        assert len(Records) <= 500
        answers = []
        self.world.shards += self.world.splitting
        for record in Records:
            if self.world.refusing > 0:
                self.world.refusing -= 1
                answers.append({"ErrorCode": "ProvisionedThroughputExceededException"})
                continue
            value = json.loads(record["Data"])
            assert value["tableName"] == "orders"
            self.world.probes.append((value["probe"], value["n"]))
            shard = int(record["ExplicitHashKey"]) // 100
            taker = {"ShardId": f"shardId-{shard + self.world.elsewhere:012d}"}
            answers.append({"SequenceNumber": "1", **taker})
        return {"Records": answers}


@dataclass
class _CloudWatch:
    world: WatchdogHarness

    def get_metric_statistics(self, **request: Any) -> dict[str, Any]:
        begin, end = request["StartTime"].timestamp(), request["EndTime"].timestamp()
        assert (end - begin) / request["Period"] <= 1440, "CloudWatch answers no more"
        age = self.world.clock() - begin
        kept = {60: 15 * 86_400, 300: 63 * 86_400}.get(request["Period"], 455 * 86_400)
        assert age <= kept, "CloudWatch has no datapoints of this period any more"
        if request["Namespace"] == names.NAMESPACE:
            assert request["MetricName"] == names.ENDED_AGE
            found = {each["Name"]: each["Value"] for each in request["Dimensions"]}
            assert found == self.world.config.dimensions
            return self._ages(self.world.ended, request, 1.0)
        if request["Namespace"] == "AWS/Lambda":
            assert request["Dimensions"] == [{"Name": "FunctionName", "Value": "consumer"}]
            if request["MetricName"] == "IteratorAge":
                return self._ages(self.world.ages, request, 1000.0)
            if request["MetricName"] == "Throttles":
                return self._sums(self.world.throttled, request)
            assert request["MetricName"] == "DestinationDeliveryFailures"
            return self._sums(self.world.undelivered, request)
        if request["MetricName"] == "ConsumedWriteCapacityUnits":
            assert request["Dimensions"] == [{"Name": "TableName", "Value": "orders"}]
            return self._sums(self.world.consumed, request)
        if request["MetricName"] == "TimeToLiveDeletedItemCount":
            return self._sums(self.world.expired, request)
        assert {"Name": "DelegatedOperation", "Value": "KinesisDataStream"} in request["Dimensions"]
        if request["MetricName"] == "AgeOfOldestUnreplicatedRecord":
            age, at = self.world.waiting_ms, request["EndTime"]
            return {"Datapoints": [] if age is None else [{"Timestamp": at, "Maximum": age}]}
        return self._sums(self.world.skipped, request)

    def _ages(
        self, ages: Sequence[tuple[float, float]], request: Mapping[str, Any], scale: float
    ) -> dict[str, Any]:
        found = self._sums(ages, request)["Datapoints"]
        return {
            "Datapoints": [
                {"Timestamp": each["Timestamp"], "Maximum": each["Sum"] * scale} for each in found
            ]
        }

    def _sums(
        self, events: Sequence[tuple[float, float]], request: Mapping[str, Any]
    ) -> dict[str, Any]:
        begin, end = request["StartTime"].timestamp(), request["EndTime"].timestamp()
        period = request["Period"]
        return {
            "Datapoints": [
                {"Timestamp": self.world.moment(at // period * period), "Sum": n}
                for at, n in events
                if begin <= at < end
            ]
        }


def steady() -> WatchdogHarness:
    """A world in which a round of probes has come through already."""
    world = WatchdogHarness()
    world.round()
    world.after()
    return world


def set_destination(**changes: str) -> Callable[[WatchdogHarness], None]:
    def change(world: WatchdogHarness) -> None:
        assert world.destination is not None
        world.destination = {**world.destination, **changes}

    return change
