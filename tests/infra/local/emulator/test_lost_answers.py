"""Answers of creating calls that are lost, and AWS's own reply to the SDK's repetition."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import SOURCE, TARGET, LocalCloud
from tests.support.infra.clouds import (
    STREAM_READS,
    make_bucket,
    make_function,
    make_stream,
    make_table,
    policy,
    until,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    directory = tmp_path_factory.mktemp("cloud")
    with LocalCloud(directory, chaos="lost_create=1") as running:
        yield running


def lost(cloud: LocalCloud) -> float:
    """Return how many answers the cloud has withheld."""
    found = cloud.client("cloudwatch", SOURCE).get_metric_statistics(
        Namespace="LocalChaos",
        MetricName="LostCreate",
        StartTime=time.time() - 600,
        EndTime=time.time() + 60,
        Period=3600,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in found))


def refusal(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return str(caught.value.response["Error"]["Code"])


def switch_recovery_on(dynamodb: Any, table: str) -> None:
    recovery = {"PointInTimeRecoveryEnabled": True}
    request = {"TableName": table, "PointInTimeRecoverySpecification": recovery}
    code = refusal(dynamodb.update_continuous_backups, **request)
    assert code == "ContinuousBackupsUnavailableException"
    dynamodb.update_continuous_backups(**request)


def test_the_repetition_of_create_table_finds_the_table(cloud: LocalCloud) -> None:
    dynamodb = cloud.client("dynamodb", SOURCE)
    before = lost(cloud)
    with pytest.raises(dynamodb.exceptions.ResourceInUseException):
        make_table(dynamodb, "created")
    assert dynamodb.describe_table(TableName="created")["Table"]["TableName"] == "created"
    assert lost(cloud) == before + 1


def test_the_repetition_of_a_streaming_destination_finds_the_first(cloud: LocalCloud) -> None:
    dynamodb = cloud.client("dynamodb", SOURCE)
    arn = make_stream(cloud.client("kinesis", SOURCE), "lost-destination")
    with pytest.raises(dynamodb.exceptions.ResourceInUseException):
        make_table(dynamodb, "streaming")
    before = lost(cloud)
    request = {"TableName": "streaming", "StreamArn": arn}
    code = refusal(dynamodb.enable_kinesis_streaming_destination, **request)
    assert code == "ResourceInUseException"
    found = dynamodb.describe_kinesis_streaming_destination(TableName="streaming")
    [destination] = found["KinesisDataStreamDestinations"]
    assert destination["DestinationStatus"] in ("ENABLING", "ACTIVE")
    assert lost(cloud) == before + 1


def test_the_repetition_of_switching_recovery_on_meets_the_change(cloud: LocalCloud) -> None:
    dynamodb = cloud.client("dynamodb", SOURCE)
    with pytest.raises(dynamodb.exceptions.ResourceInUseException):
        make_table(dynamodb, "recoverable")
    before = lost(cloud)
    switch_recovery_on(dynamodb, "recoverable")
    assert lost(cloud) == before + 1


def test_the_repetition_of_a_change_of_time_to_live_says_that_it_is_made(
    cloud: LocalCloud,
) -> None:
    dynamodb = cloud.client("dynamodb", SOURCE)
    with pytest.raises(dynamodb.exceptions.ResourceInUseException):
        make_table(dynamodb, "expiring")
    before = lost(cloud)
    expiry = {"Enabled": True, "AttributeName": "until"}
    request = {"TableName": "expiring", "TimeToLiveSpecification": expiry}
    assert refusal(dynamodb.update_time_to_live, **request) == "ValidationException"
    found = dynamodb.describe_time_to_live(TableName="expiring")["TimeToLiveDescription"]
    assert (found["TimeToLiveStatus"], found["AttributeName"]) == ("ENABLED", "until")
    assert lost(cloud) == before + 1


def test_the_repetition_of_an_export_is_the_same_export(cloud: LocalCloud) -> None:
    dynamodb = cloud.client("dynamodb", SOURCE)
    make_bucket(cloud, SOURCE, "exports-of-lost-answers")
    with pytest.raises(dynamodb.exceptions.ResourceInUseException):
        make_table(dynamodb, "exported")
    switch_recovery_on(dynamodb, "exported")
    table = dynamodb.describe_table(TableName="exported")["Table"]["TableArn"]
    before = lost(cloud)
    answer = dynamodb.export_table_to_point_in_time(
        TableArn=table, S3Bucket="exports-of-lost-answers", ClientToken="token"
    )
    [listed] = dynamodb.list_exports(TableArn=table)["ExportSummaries"]
    assert listed["ExportArn"] == answer["ExportDescription"]["ExportArn"]
    assert lost(cloud) == before + 1


def test_the_repetition_of_an_import_finds_the_table(cloud: LocalCloud) -> None:
    dynamodb = cloud.client("dynamodb", SOURCE)
    s3 = make_bucket(cloud, SOURCE, "imports-of-lost-answers")
    item = b'{"Item": {"pk": {"S": "a"}}}'
    s3.put_object(Bucket="imports-of-lost-answers", Key="data.json", Body=item)
    schema = {
        "TableName": "imported",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    }
    code = refusal(
        dynamodb.import_table,
        S3BucketSource={"S3Bucket": "imports-of-lost-answers"},
        InputFormat="DYNAMODB_JSON",
        TableCreationParameters=schema,
        ClientToken="token",
    )
    assert code == "ResourceInUseException"
    assert len(dynamodb.list_imports()["ImportSummaryList"]) == 1


def test_the_repetition_of_a_mapping_names_the_first_one(cloud: LocalCloud) -> None:
    arn = make_stream(cloud.client("kinesis", TARGET), "mapped")
    reads = policy((STREAM_READS, [arn]))
    name, _role = make_function(cloud, "mapped", "def handler(event, context): pass\n", reads)
    client = cloud.client("lambda", TARGET)
    code = refusal(
        client.create_event_source_mapping,
        EventSourceArn=arn,
        FunctionName=name,
        StartingPosition="TRIM_HORIZON",
    )
    assert code == "ResourceConflictException"
    until(lambda: len(client.list_event_source_mappings()["EventSourceMappings"]) == 1, "one")


def test_the_repetition_of_a_policys_compare_and_set_misses(cloud: LocalCloud) -> None:
    dynamodb = cloud.client("dynamodb", SOURCE)
    with pytest.raises(dynamodb.exceptions.ResourceInUseException):
        make_table(dynamodb, "guarded")
    arn = dynamodb.describe_table(TableName="guarded")["Table"]["TableArn"]
    deny = {"Effect": "Deny", "Principal": "*", "Action": "dynamodb:PutItem", "Resource": arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    before = lost(cloud)
    put = {"ResourceArn": arn, "Policy": document}
    first = {**put, "ExpectedRevisionId": "NO_POLICY"}
    assert refusal(dynamodb.put_resource_policy, **first) == "PolicyNotFoundException"
    revision = dynamodb.put_resource_policy(**put)["RevisionId"]
    shown = until(lambda: _policy(dynamodb, arn), "the policy that was put all the same")
    assert shown["RevisionId"] == revision
    time.sleep(0.2)  # AWS's quiet 15 seconds
    removal = {"ResourceArn": arn, "ExpectedRevisionId": revision}
    assert refusal(dynamodb.delete_resource_policy, **removal) == "PolicyNotFoundException"
    until(lambda: _policy(dynamodb, arn) is None, "the policy deleted all the same")
    assert lost(cloud) == before + 3


def _policy(dynamodb: Any, arn: str) -> Any:
    try:
        return dynamodb.get_resource_policy(ResourceArn=arn)
    except dynamodb.exceptions.PolicyNotFoundException:
        return None
