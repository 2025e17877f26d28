"""Requests to AWS, held against botocore's model of its API."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from bootstrap.aws.calls import Calls
from bootstrap.aws.exports import AwsExports
from bootstrap.aws.snapshots import AwsSnapshots
from bootstrap.aws.source import AwsSource
from bootstrap.aws.tables import Tables
from bootstrap.aws.target import AwsTarget
from bootstrap.core.errors import AccessDeniedError, AccountError, Side, UnavailableError
from bootstrap.core.facts import ExportRequest, ExportSpec, ImportRequest, TableFacts
from bootstrap.plan.table_parameters import creation_parameters
from replicator.probes import ProbeRecord
from tests.support.bootstrap.fake_aws import SOURCE_ARN
from tests.support.bootstrap.request_recorder import NOW, Recorder
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.errors import client_error
from tests.support.fakes.s3 import FakeS3

pytestmark = pytest.mark.promise("C5")


@pytest.fixture
def asked() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def source(asked: list[tuple[str, dict[str, Any]]]) -> AwsSource:
    clients = [
        Recorder(name, asked)
        for name in ("dynamodb", "kinesis", "cloudwatch", "application-autoscaling", "kms")
    ]
    return AwsSource(Calls(Side.SOURCE, "Role exporter"), *clients)


@pytest.fixture
def target(asked: list[tuple[str, dict[str, Any]]]) -> AwsTarget:
    clients = [Recorder(name, asked) for name in ("dynamodb", "lambda", "kms")]
    return AwsTarget(Calls(Side.TARGET, "Role importer"), *clients)


def the_export() -> ExportRequest:
    return ExportRequest(SOURCE_ARN, 1_767_225_600, "token", "bucket", "222222222222", "p/1")


def test_an_export_is_requested_with_its_time_token_and_the_buckets_owner(
    source: AwsSource, asked: list[tuple[str, dict[str, Any]]]
) -> None:
    source.export(the_export())
    ((operation, request),) = asked
    assert operation == "ExportTableToPointInTime"
    assert request["ExportTime"] == datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    assert request["ClientToken"] == "token"
    assert request["S3BucketOwner"] == "222222222222"
    assert request["ExportType"] == "FULL_EXPORT"


@pytest.mark.parametrize(
    "wanted", [ExportSpec("t", "p", time=1), ExportSpec("t", "p", window=(1, 901))]
)
@pytest.mark.parametrize("key", ["arn:aws:kms:eu-west-1:222222222222:key/1", ""])
def test_every_export_names_the_snapshot_buckets_key_if_it_has_one(
    source: AwsSource, asked: list[tuple[str, dict[str, Any]]], wanted: ExportSpec, key: str
) -> None:
    """The exports of `run`, of `verify` (full) and of `backfill` (incremental)."""
    exports = AwsExports(
        Calls(Side.TARGET, "Role importer"),
        Recorder("dynamodb", asked),
        "orders",
        bucket="bucket",
        bucket_owner="222222222222",
        key=key,
    )
    exports.start(SOURCE_ARN, wanted)
    source.export(replace(the_export(), key=key))
    for _, request in asked:
        assert request.get("S3SseKmsKeyId", "") == key
        assert request.get("S3SseAlgorithm") == ("KMS" if key else "AES256")


def test_nothing_reads_or_writes_an_item_of_the_source(
    source: AwsSource, asked: list[tuple[str, dict[str, Any]]]
) -> None:
    """C5, by the requests of every method of the source account."""
    record = ProbeRecord("0", "probe", b"{}")
    calls: dict[str, Callable[[], object]] = {
        "table": lambda: source.table("orders"),
        "destinations": lambda: source.destinations("orders"),
        "stream": lambda: source.stream("stream"),
        "backups": lambda: source.backups("orders"),
        "enable_backups": lambda: source.enable_backups("orders"),
        "disable_backups": lambda: source.disable_backups("orders"),
        "tags": lambda: source.tags(SOURCE_ARN),
        "expiry": lambda: source.expiry("orders"),
        "surroundings": lambda: source.surroundings("orders", SOURCE_ARN),
        "policy": lambda: source.policy(SOURCE_ARN),
        "scaled_capacity": lambda: source.scaled_capacity("orders", ["by-day"]),
        "running_exports": lambda: source.running_exports(),
        "export": lambda: source.export(the_export()),
        "describe_export": lambda: source.describe_export("arn:" + "x" * 40),
        "find_export": lambda: source.find_export(SOURCE_ARN, "p/1"),
        "open_shards": lambda: source.open_shards("stream"),
        "stream_policy": lambda: source.stream_policy("arn:stream"),
        "put_probes": lambda: source.put_probes("stream", [record, record]),
        "oldest_unreplicated": lambda: source.oldest_unreplicated("orders", 0, 60, 60),
        "consumed_writes": lambda: source.consumed_writes("orders", 0, 60, 60),
        "expired_items": lambda: source.expired_items("orders", 0, 60, 60),
        "throttled_partitions": lambda: source.throttled_partitions("orders", 0, 60, 60),
        "key": lambda: source.key("arn:key"),
        "awss_own_key": lambda: source.awss_own_key("arn:key"),
        "failed_to_replicate": lambda: source.failed_to_replicate("orders", 0, 60, 60),
    }
    methods = {name for name in vars(AwsSource) if not name.startswith("_")}
    assert methods == set(calls), "a new method of the gateway belongs here as well"
    for call in calls.values():
        call()
    allowed = (
        r"Describe\w+|GetResourcePolicy|List(Aliases|Exports|Shards|TagsOfResource)|UpdateContinuousBackups|ExportTableToPointInTime"
        r"|GetKeyPolicy|PutRecords|GetMetricStatistics"
    )
    assert [name for name, _ in asked if not re.fullmatch(allowed, name)] == []


def test_only_open_shards_are_probed_and_only_rejected_probes_come_back(source: AwsSource) -> None:
    shards = source.open_shards("stream")
    assert [shard.shard_id for shard in shards.shards] == ["b"]
    assert shards.at == NOW.timestamp()
    first, second = (ProbeRecord("0", key, b"{}") for key in "ab")
    assert source.put_probes("stream", [first, second]) == [first]


def test_a_probe_that_another_shard_took_counts_as_not_put(source: AwsSource) -> None:
    first = ProbeRecord("0", "a", b"{}", "shard-of-before")
    there = ProbeRecord("0", "b", b"{}", "b")
    elsewhere = ProbeRecord("0", "b", b"{}", "shard-of-before")
    assert source.put_probes("stream", [first, there]) == [first]
    assert source.put_probes("stream", [first, elsewhere]) == [first, elsewhere]


def test_an_export_is_found_by_its_exact_prefix(source: AwsSource) -> None:
    assert source.find_export(SOURCE_ARN, "p/1") is not None
    assert source.find_export(SOURCE_ARN, "p") is None


def test_an_import_is_requested_of_data_as_an_export_writes_it(
    target: AwsTarget, asked: list[tuple[str, dict[str, Any]]]
) -> None:
    table = creation_parameters(facts(), "orders-replica")
    target.import_table(ImportRequest("token", "bucket", "222222222222", "p/data/", table))
    ((_, request),) = asked
    assert (request["InputFormat"], request["InputCompressionType"]) == ("DYNAMODB_JSON", "GZIP")
    assert request["S3BucketSource"]["S3KeyPrefix"] == "p/data/"
    assert request["ClientToken"] == "token"


def test_stream_of_the_target_is_requested_as_the_api_takes_it(
    target: AwsTarget, asked: list[tuple[str, dict[str, Any]]]
) -> None:
    target.set_stream("orders-replica", "NEW_AND_OLD_IMAGES")
    ((name, request),) = asked
    assert name == "UpdateTable"
    assert request["StreamSpecification"] == {
        "StreamEnabled": True,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }


def test_settings_of_the_target_are_requested_as_the_api_takes_them(
    target: AwsTarget, asked: list[tuple[str, dict[str, Any]]]
) -> None:
    target.protect("orders-replica")
    target.set_class("orders-replica", "STANDARD_INFREQUENT_ACCESS")
    target.warm("orders-replica", 12_000, 9_000)
    target.tag(SOURCE_ARN, {"team": "shop"})
    target.set_expiry("orders-replica", "expires", True)
    target.drop("orders-replica")
    target.unprotect("orders-replica")
    asked_for = [{k: v for k, v in request.items() if k != "TableName"} for _, request in asked]
    assert [name for name, _ in asked] == [
        *["UpdateTable"] * 3,
        *("TagResource", "UpdateTimeToLive", "DeleteTable", "UpdateTable"),
    ]
    assert [asked_for[n]["DeletionProtectionEnabled"] for n in (0, 6)] == [True, False]
    assert asked_for[2] == {
        "WarmThroughput": {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 9_000}
    }
    assert asked_for[4]["TimeToLiveSpecification"] == {
        "Enabled": True,
        "AttributeName": "expires",
    }


def test_a_snapshot_is_removed_by_its_prefix_a_thousand_objects_at_a_time() -> None:
    s3 = FakeS3(VirtualClock())
    s3.create_bucket(Bucket="snapshots")
    for key in ("orders/run-1/1/a", "orders/run-1/2/b", "orders/run-10/c", "customers/run-1/d"):
        s3.put_object(Bucket="snapshots", Key=key, Body=b"")
    snapshots = AwsSnapshots(Calls(Side.TARGET, "Role importer"), s3, "snapshots")
    assert (snapshots.remove("orders/run-1/"), snapshots.remove("orders/run-1/")) == (2, 0)
    assert sorted(s3.buckets["snapshots"]) == ["customers/run-1/d", "orders/run-10/c"]


@pytest.mark.parametrize(
    ("code", "error"), [("AccessDenied", AccessDeniedError), ("InternalError", UnavailableError)]
)
def test_objects_that_s3_failed_to_delete_are_not_counted_as_removed(
    code: str, error: type[Exception]
) -> None:
    class Refusing:
        def list_objects_v2(self, **_: Any) -> dict[str, Any]:
            return {"Contents": [{"Key": "orders/run-1/1/a"}]}

        def delete_objects(self, **_: Any) -> dict[str, Any]:
            return {"Errors": [{"Key": "orders/run-1/1/a", "Code": code, "Message": "no"}]}

    snapshots = AwsSnapshots(Calls(Side.TARGET, "Role importer"), Refusing(), "snapshots")
    with pytest.raises(error, match="s3:DeleteObject on snapshots/orders/run-1/1/a"):
        snapshots.remove("orders/run-1/")


class SwitchedAlready:
    """DynamoDB's answer to a repeated change of time to live whose first answer was lost."""

    def __init__(self, status: str) -> None:
        self.status = status

    def update_time_to_live(self, **_: Any) -> NoReturn:
        raise client_error("UpdateTimeToLive", "ValidationException", "TimeToLive is already so")

    def describe_time_to_live(self, **_: Any) -> dict[str, Any]:
        return {"TimeToLiveDescription": {"TimeToLiveStatus": self.status, "AttributeName": "x"}}


@pytest.mark.parametrize(
    ("status", "on"),
    [("ENABLED", True), ("ENABLING", True), ("DISABLED", False), ("DISABLING", False)],
)
def test_a_repeated_change_of_time_to_live_whose_first_answer_was_lost_is_no_failure(
    status: str, on: bool
) -> None:
    target = AwsTarget(Calls(Side.TARGET, "Role importer"), SwitchedAlready(status), None)
    target.set_expiry("ledger", "x", on)
    with pytest.raises(AccountError, match="already so"):
        target.set_expiry("ledger", "x", not on)
    if on:
        with pytest.raises(AccountError, match="already so"):
            target.set_expiry("ledger", "another attribute", on)


class UpdatedAlready:
    """DynamoDB's answer to a repeated change of a table whose first answer was lost."""

    def update_table(self, **_: Any) -> NoReturn:
        raise client_error("UpdateTable", "ValidationException", "it is already so")

    def describe_table(self, **_: Any) -> dict[str, Any]:
        table = {
            "TableArn": SOURCE_ARN,
            "TableId": "1",
            "TableStatus": "ACTIVE",
            "DeletionProtectionEnabled": True,
            "TableClassSummary": {"TableClass": "STANDARD_INFREQUENT_ACCESS"},
            "WarmThroughput": {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 8_000},
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        }
        return {"Table": table}


def test_a_repeated_change_of_a_table_whose_first_answer_was_lost_is_no_failure() -> None:
    target = AwsTarget(Calls(Side.TARGET, "Role importer"), UpdatedAlready(), None)
    target.protect("orders")
    target.set_class("orders", "STANDARD_INFREQUENT_ACCESS")
    target.warm("orders", 12_000, 8_000)
    target.set_stream("orders", "NEW_IMAGE")
    refused: list[Callable[[], None]] = [
        lambda: target.unprotect("orders"),
        lambda: target.set_class("orders", "STANDARD"),
        lambda: target.warm("orders", 12_000, 8_001),
        lambda: target.set_stream("orders", "KEYS_ONLY"),
    ]
    for each in refused:
        with pytest.raises(AccountError, match="already so"):
            each()


def test_unknown_warm_throughput_of_reads_is_left_unchanged(
    target: AwsTarget, asked: list[tuple[str, dict[str, Any]]]
) -> None:
    """DynamoDB refuses 0."""
    target.warm("ledger", 0, 9_000)
    ((_, request),) = asked
    assert request["WarmThroughput"] == {"WriteUnitsPerSecond": 9_000}


def test_a_mappings_starting_time_is_read() -> None:
    answer = {
        "UUID": "u",
        "State": "Disabled",
        "EventSourceArn": "arn",
        "StartingPosition": "AT_TIMESTAMP",
        "StartingPositionTimestamp": NOW,
    }
    client = SimpleNamespace(get_event_source_mapping=lambda **_: answer)
    found = AwsTarget(Calls(Side.TARGET, "Role importer"), None, client).mapping("u")
    assert found is not None
    assert found.starts_at == NOW.timestamp()


def test_an_import_is_found_by_its_exact_prefix(target: AwsTarget) -> None:
    assert target.find_import(SOURCE_ARN, "p/") is not None
    assert target.find_import(SOURCE_ARN, "p/1") is None


def facts(**changes: Any) -> TableFacts:
    values: dict[str, Any] = {
        "arn": SOURCE_ARN,
        "table_id": "1",
        "status": "ACTIVE",
        "items": 0,
        "size_bytes": 0,
        "deletion_protection": True,
        "keys": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "attributes": [
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "day", "left-over")
        ],
        "global_indexes": [
            {
                "IndexName": "by-day",
                "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
                "IndexStatus": "ACTIVE",
                "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
                "OnDemandThroughput": {"MaxWriteRequestUnits": 10},
            }
        ],
    }
    return TableFacts(**{**values, **changes})


def test_the_target_has_the_sources_keys_and_indexes_on_demand_without_a_maximum() -> None:
    assert creation_parameters(facts(), "orders-replica") == {
        "TableName": "orders-replica",
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "day", "AttributeType": "S"},
        ],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-day",
                "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    }


def test_the_target_is_encrypted_with_kms_when_the_source_is_and_not_with_the_sources_key() -> None:
    made = creation_parameters(facts(encryption="KMS", key_arn="arn:theirs"), "orders-replica")
    assert made["SSESpecification"] == {"Enabled": True, "SSEType": "KMS"}


def test_an_indexs_writes_are_read_by_its_own_dimension(
    source: AwsSource, asked: list[tuple[str, dict[str, Any]]]
) -> None:
    source.consumed_writes("orders", 0, 60, 60)
    source.consumed_writes("orders", 0, 60, 60, index="by-day")
    table = {"Name": "TableName", "Value": "orders"}
    index = {"Name": "GlobalSecondaryIndexName", "Value": "by-day"}
    assert [request["Dimensions"] for _, request in asked] == [[table], [table, index]]


class WarmIndexes:
    """DynamoDB with a table whose indexes take so many writes a second."""

    def __init__(self, refuses: bool = False, **writes: int) -> None:
        self.asked: list[dict[str, Any]] = []
        self._refuses = refuses
        self._indexes = [
            {
                "IndexName": name,
                "WarmThroughput": {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": units},
            }
            for name, units in writes.items()
        ]

    def update_table(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        if self._refuses:
            raise client_error("UpdateTable", "ValidationException", "it is already so")
        return {"ResponseMetadata": {"HTTPHeaders": {}}}

    def describe_table(self, **_: Any) -> dict[str, Any]:
        table = {"TableArn": SOURCE_ARN, "TableStatus": "ACTIVE"}
        return {"Table": {**table, "GlobalSecondaryIndexes": self._indexes}}


def test_indexes_are_warmed_in_one_call_and_unknown_reads_are_left_unchanged() -> None:
    client = WarmIndexes(first=4_000, second=4_000, third=4_000)
    AwsTarget(Calls(Side.TARGET, "Role importer"), client, None).warm_indexes(
        "orders", {"second": (12_000, 9_000), "first": (0, 8_000)}
    )
    (request,) = client.asked
    assert request == {
        "TableName": "orders",
        "GlobalSecondaryIndexUpdates": [
            {"Update": {"IndexName": "first", "WarmThroughput": {"WriteUnitsPerSecond": 8_000}}},
            {
                "Update": {
                    "IndexName": "second",
                    "WarmThroughput": {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 9_000},
                }
            },
        ],
    }


def test_a_repeated_warming_of_indexes_whose_first_answer_was_lost_is_no_failure() -> None:
    client = WarmIndexes(refuses=True, first=8_000)
    target = AwsTarget(Calls(Side.TARGET, "Role importer"), client, None)
    target.warm_indexes("orders", {"first": (0, 8_000)})
    with pytest.raises(AccountError, match="already so"):
        target.warm_indexes("orders", {"first": (0, 8_001)})


class Expiry:
    """A DynamoDB whose tables have this status of time to live."""

    def __init__(self, *status: str) -> None:
        self._description = {"TimeToLiveStatus": status[0]} if status else {}

    def describe_time_to_live(self, **_: Any) -> dict[str, Any]:
        return {"TimeToLiveDescription": {**self._description, "AttributeName": "until"}}


@pytest.mark.parametrize("status", [("ARCHIVING",), ()], ids=["a new one", "none"])
def test_a_status_of_time_to_live_that_is_unknown_is_not_off(status: tuple[str, ...]) -> None:
    tables = Tables(Calls(Side.TARGET, "Role importer"), Expiry(*status))
    with pytest.raises(AccountError, match="which this version does not know") as ended:
        tables.expiry("orders")
    assert ended.value.exit_code == Side.TARGET.value
    assert "aws dynamodb describe-time-to-live --table-name orders" in ended.value.fix


@pytest.mark.parametrize(
    ("status", "on"),
    [("ENABLED", True), ("ENABLING", True), ("DISABLED", False), ("DISABLING", False)],
)
def test_every_status_of_time_to_live_that_aws_documents_is_known(status: str, on: bool) -> None:
    tables = Tables(Calls(Side.TARGET, "Role importer"), Expiry(status))
    assert tables.expiry("orders").enabled is on
